"""One cluster for all tests of a run, with vipkeeper applied as README says: tests/e2e/run."""

import contextlib
import json
import os
import pathlib
import re
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import workload  # noqa: E402
from cluster import REPOSITORY, VIP, Cluster, wait_until  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "load: while a client asks 200 times a second; what else runs on the machine shows in these")


def pytest_addoption(parser):
    parser.addoption("--kube-proxy", action="store_true", help="with kube-proxy on each node")
    parser.addoption("--freeze", type=float, default=8, help="seconds for which the API server stands still")


@pytest.fixture(scope="session")
def freeze(request):
    return request.config.getoption("--freeze")


@pytest.fixture(scope="session")
def bare_cluster(request):
    programs = json.loads(os.environ["E2E_PROGRAMS"])
    images = sorted(pathlib.Path(os.environ["E2E_IMAGES"]).glob("*.tar"))
    one = Cluster(programs, images, request.config.getoption("--kube-proxy"))
    try:
        one.start()
    except AssertionError as error:
        pytest.exit(f"the cluster did not start: {error}\n{one.node_logs(25)}\n{one.logs()}", 3)
    yield one
    one.close()


def readme_commands():
    """The commands of README's section Deploy that are kubectl's, without their comments."""
    section = (REPOSITORY / "README.md").read_text().split("\n## Deploy\n")[1].split("\n## ")[0]
    return [line.split("#")[0].split() for line in re.findall(r"(?m)^    (kubectl .*)$", section)]


# Over deploy/: this cluster's image and addresses, which README asks the reader to fill in.
FILLED_IN = {
    "images": [{"name": "vipkeeper", "newName": "localhost/vipkeeper", "newTag": "e2e"}],
    "patches": [{"target": {"kind": "ConfigMap", "name": "vip-configmap"},
                 "patch": json.dumps([{"op": "replace", "path": "/data", "value": {VIP: "default/web"}}])}]}


@pytest.fixture(scope="session")
def cluster(bare_cluster):
    """With three web pods, one a node, behind the Service web, and vipkeeper on each node."""
    bare_cluster.kubectl("apply", "--validate=strict", "-f", "-", input="\n---\n".join(
        json.dumps(one) for one in workload.objects(replicas=3)))
    bare_cluster.deploy = bare_cluster.overlay(FILLED_IN)
    for command in readme_commands():
        if command[1] == "apply":
            bare_cluster.kubectl(*[bare_cluster.deploy if word == "deploy" else word for word in command[1:]])
    workload.wait_for_pods(bare_cluster, 3, 300)
    vipkeeper_runs(bare_cluster, 420)
    return bare_cluster


@pytest.fixture(autouse=True)
def _no_load_stays(bare_cluster):
    yield
    bare_cluster.end_load()


def vipkeeper_runs(cluster, patience=240):
    wait_until(lambda: len(cluster.pods("app.kubernetes.io/name=vipkeeper", "kube-system")) == 3, patience, "vipkeeper on each node")
    wait_until(lambda: len(cluster.holders()) == 1, 30, "one holder")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and "bare_cluster" in item.funcargs:
        report.sections.append(("the cluster", picture(item.funcargs["bare_cluster"])))


def picture(cluster):
    """Pods, events, vipkeeper's logs, tables and the ends of all logs, for a failed test's report."""
    with contextlib.suppress(AssertionError):
        cluster.thaw()

    def shown(*words):
        return cluster.call("kubectl", *words, check=False)["out"]

    try:
        parts = [shown("get", "pods", "-A", "-o", "wide"), shown("get", "events", "-A")[-3000:],
                 shown("-n", "kube-system", "logs", "-l", "app.kubernetes.io/name=vipkeeper", "--prefix", "--tail=25")]
    except (AssertionError, OSError) as error:
        parts = [f"no answer of the API server: {error}"]
    parts += [f"{node.name}: {node.run('ipvsadm', '-Ln', check=False)}" for node in cluster.nodes]
    return "\n".join([*parts, cluster.node_logs(), cluster.logs()])
