"""The lab's fixtures (tests/lab/conftest.py) and a cluster with a real API server: tests/lab/run --control-plane."""

import contextlib
import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("lab_conftest", HERE.parent / "lab" / "conftest.py")
_lab = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_lab)
pytest_configure = _lab.pytest_configure
pytest_collection_modifyitems = _lab.pytest_collection_modifyitems
_kernel, lab = _lab._kernel, _lab.lab
sys.path.insert(0, str(HERE))

from story import ClusterSite  # noqa: E402
from vklab.cluster import Cluster, ClusterError  # noqa: E402


def pytest_addoption(parser):
    _lab.pytest_addoption(parser)
    parser.addoption("--seeds", default="1-20", help="of the chaos tests: 17 or 1-100")
    parser.addoption("--outage", type=float, default=8, help="seconds without an API server in test_outage.py")


def pytest_generate_tests(metafunc):
    """Five seeds a test: starting a cluster takes longer than a seed."""
    if "seeds" in metafunc.fixturenames:
        first, _, last = metafunc.config.getoption("--seeds").partition("-")
        seeds = list(range(int(first), int(last or first) + 1))
        metafunc.parametrize("seeds", [seeds[i:i + 5] for i in range(0, len(seeds), 5)], ids=lambda some: f"{some[0]}-{some[-1]}")


@pytest.fixture
def outage(request):
    return request.config.getoption("--outage")


@pytest.fixture(scope="session")
def control_plane():
    one = Cluster()
    one.wait_started()
    return one


@pytest.fixture
def cluster(control_plane):
    """The control plane as new: only rbac/ is applied."""
    control_plane.restore()
    return control_plane


@pytest.fixture
def site(lab, cluster):
    """Three nodes whose vipkeeper runs as the DaemonSet's pod and has brought the site's objects into the kernel."""
    one = ClusterSite(lab, cluster)
    one.start()
    return one


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed and "lab" in item.funcargs:
        report.sections.append(("the lab's programs", item.funcargs["lab"].logs()))
        with contextlib.suppress(ClusterError, OSError):
            report.sections.append(("the API server", item.funcargs["control_plane"].call("log")))
