"""pytest's side of the lab: a `lab` for each test, the reason why a kernel will not do, the logs of a failure."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from vklab import Lab  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "ipvs: needs a kernel with IPVS (leave out with -m 'not ipvs' where there is none)")
    config.addinivalue_line("markers", "masquerade: what must hold whichever way the rules of the return path are made")


def pytest_addoption(parser):
    parser.addoption("--shard", default="0/1", help="I/N: only every Nth test, from the Ith on")


@pytest.hookimpl(trylast=True)  # after -k and -m have chosen
def pytest_collection_modifyitems(config, items):
    shard, shards = (int(n) for n in config.getoption("--shard").split("/"))
    kept = items[shard::shards]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def kernel_has_ipvs():
    if not os.path.exists("/proc/net/ip_vs"):
        subprocess.run(["modprobe", "-q", "ip_vs"], check=False)
    return os.path.exists("/proc/net/ip_vs")


@pytest.fixture(autouse=True)
def _kernel(request):
    if request.node.get_closest_marker("ipvs") and not kernel_has_ipvs():
        pytest.fail("this kernel has no IPVS (modprobe ip_vs failed): run in the guest (LAB=guest, the default), or leave "
                    "these tests out explicitly with -m 'not ipvs'", pytrace=False)


@pytest.fixture
def lab():
    with Lab() as one:
        yield one


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for one in item.funcargs.values():
            one = one if isinstance(one, Lab) else getattr(one, "lab", None)  # of a site that outlives a test
            if isinstance(one, Lab):
                report.sections.append(("the lab's programs", one.logs()))
                break
