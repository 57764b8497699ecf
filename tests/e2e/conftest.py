"""One cluster for all tests of a run, with vipkeeper applied as README says: tests/e2e/run."""

import json
import os
import pathlib
import re
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import workload  # noqa: E402
from cluster import REPOSITORY, VIP, WORK, Cluster, wait_until  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--kube-proxy", action="store_true", help="with kube-proxy on each node")
    parser.addoption("--freeze", type=float, default=10, help="seconds for which the API server stands still")


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
        pytest.exit(f"the cluster did not start: {error}\n{one.logs(25)}", 3)
    yield one
    for process in one.processes.values():
        process.kill()


def readme_commands():
    """The commands of README's section Deploy that are kubectl's, without their comments."""
    section = (REPOSITORY / "README.md").read_text().split("\n## Deploy\n")[1].split("\n## ")[0]
    return [line.split("#")[0].split() for line in re.findall(r"(?m)^    (kubectl .*)$", section)]


def overlay():
    """deploy/ with this cluster's image and addresses: what README asks the reader to fill in."""
    folder = WORK / "overlay"
    folder.mkdir(exist_ok=True)
    entries = {VIP: "default/web"}
    (folder / "kustomization.yaml").write_text(json.dumps({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [os.path.relpath(REPOSITORY / "deploy", folder)],
        "images": [{"name": "vipkeeper", "newName": "localhost/vipkeeper", "newTag": "e2e"}],
        "patches": [{"target": {"kind": "ConfigMap", "name": "vip-configmap"},
                     "patch": json.dumps([{"op": "replace", "path": "/data", "value": entries}])}]}))
    return str(folder)


@pytest.fixture(scope="session")
def cluster(bare_cluster):
    """With three web pods, one a node, behind the Service web, and vipkeeper on each node."""
    bare_cluster.apply(*workload.objects(replicas=3, spread=True))
    bare_cluster.overlay = overlay()
    for command in readme_commands():
        if command[1] == "apply":
            bare_cluster.kubectl(*[bare_cluster.overlay if word == "deploy" else word for word in command[1:]])
    workload.wait_for_pods(bare_cluster, 3, 300)
    vipkeeper_runs(bare_cluster, 420)
    return bare_cluster


def vipkeeper_runs(cluster, patience=240):
    wait_until(lambda: len(cluster.pods("app.kubernetes.io/name=vipkeeper", "kube-system")) == 3, patience, "vipkeeper on each node")
    wait_until(lambda: len(cluster.holders()) == 1, 30, "one holder")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and "bare_cluster" in item.funcargs:
        one = item.funcargs["bare_cluster"]
        for name in ("kube-apiserver", "etcd"):
            one.signal(name, signal.SIGCONT)
        shown = [one.kubectl("get", "pods", "-A", "-o", "wide", check=False), one.kubectl("get", "events", "-A", check=False)[-3000:],
                 *(one.kubectl("-n", "kube-system", "logs", "--tail=30", pod, check=False) for pod in one.kubectl(
                     "-n", "kube-system", "get", "pods", "-l", "app.kubernetes.io/name=vipkeeper", "-o", "name", check=False).split()[:3]),
                 *(f"{node.name}: {node.run('ipvsadm', '-Ln', check=False)}" for node in one.nodes), one.logs()]
        report.sections.append(("the cluster", "\n".join(shown)))
