"""/health answers one question: is a restart the cure? A thread that hangs says no, whatever else is wrong does not."""

import contextlib
import ctypes
import os
import pathlib

import pytest

from vklab import Manifests, config_map, node as node_object, wait_until

VIP = "192.0.2.50"
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def hung(program, name):
    """One thread of a program stopped while the others run on."""
    tasks = pathlib.Path(f"/proc/{program.pid}/task")
    (thread,) = [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name]
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, thread)


@pytest.fixture
def node(lab):
    one = lab.add_node("node1", lab.add_network("lan"), "192.0.2.11/24")
    one.manifests = Manifests(lab.directory / "manifests")
    one.manifests.put(node_object("node1", "192.0.2.11"))
    one.manifests.put(config_map({VIP: ""}))
    return one


@pytest.mark.ipvs
@pytest.mark.parametrize("thread", ["vrrp", "controller"])
def test_a_thread_that_hangs_is_unhealthy_and_well_again_when_it_goes_on(node, thread):
    node.start_vipkeeper(node.manifests.directory)
    node.wait_ready()
    assert node.http(8080, "/health") == (200, "OK")
    with hung(node.program, thread):
        wait_until(lambda: node.http(8080, "/health")[0] == 500, 60, "/health to say that a restart is the cure")
        body = node.http(8080, "/health")[1].lower()
        assert f"the {thread} thread does not answer" in body
    wait_until(lambda: node.http(8080, "/health") == (200, "OK"), 20, "/health to be well again")


@pytest.mark.ipvs
def test_a_programming_thread_that_hangs_is_a_problem_and_not_ready_and_costs_no_restart(node):
    def problems():
        return [one["message"] for one in node.live_status()["config"]["problems"] if one["object"] == "IPVS"]

    node.start_vipkeeper(node.manifests.directory)
    node.wait_ready()
    with hung(node.program, "programming"):
        wait_until(lambda: any("the programming thread does not answer" in one for one in problems()), 60, "the problem")
        assert node.http(8080, "/ready")[0] == 503
        assert node.http(8080, "/health") == (200, "OK")
    wait_until(lambda: not problems(), 20, "the problem to be gone")
    wait_until(lambda: node.http(8080, "/ready")[0] == 200, 20, "/ready")


def test_nothing_configured_is_healthy(node):
    node.manifests.put(config_map({}))
    node.start_vipkeeper(node.manifests.directory)
    wait_until(lambda: node.http(8080, "/health") == (200, "OK"), 20, "/health")
    node.manifests.put(config_map({"nonsense": "nothing"}))
    wait_until(lambda: node.live_status()["config"]["problems"], 20, "the problem")
    assert node.http(8080, "/health") == (200, "OK")


def test_no_api_server_is_healthy_and_not_ready(node):
    node.start_vipkeeper(options=["--apiserver-host", "http://192.0.2.9:6443"])
    wait_until(lambda: "does not answer" in str(node.live_status()["config"]["problems"]), 40, "the problem")
    assert node.http(8080, "/health") == (200, "OK")
    assert node.http(8080, "/ready")[0] == 503
