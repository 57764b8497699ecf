"""The command that starts and ends a control plane (tests/kubernetes/cluster): it leaves nothing behind, however it ends."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

CLUSTER = pathlib.Path(__file__).resolve().parents[1] / "kubernetes" / "cluster"


def cluster(*arguments):
    return subprocess.run([CLUSTER, *arguments], capture_output=True, text=True, timeout=120)


def processes_that_name(directory):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(directory) in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def wait_until_gone(directory):
    """What was about to end may need a moment more."""
    deadline = time.monotonic() + 10
    while found := processes_that_name(directory):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_two_run_side_by_side_and_are_gone_when_they_are_stopped_or_killed(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    started = [subprocess.Popen([CLUSTER, "start", directory], stdout=subprocess.PIPE, text=True) for directory in (one, two)]
    try:
        urls = {process.communicate(timeout=120)[0].splitlines()[0] for process in started}
        assert [process.returncode for process in started] == [0, 0] and len(urls) == 2
        for directory in (one, two):
            assert json.loads(cluster("call", directory, "ready").stdout) is True
            assert len(processes_that_name(directory)) == 3
        again = cluster("start", one)
        assert again.returncode == 1 and "tests/kubernetes/cluster stop" in again.stderr
        assert cluster("call", one, "no_such_method").returncode == 1
        # Killed, it has no last word: what it started dies with it.
        os.kill(json.loads((two / "control").read_text())["pid"], signal.SIGKILL)
    finally:
        ends = {directory.name: cluster("stop", directory) for directory in (one, two)}
    assert all(end.returncode == 0 for end in ends.values()), ends
    wait_until_gone(one)
    wait_until_gone(two)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_it_starts_it_leaves_nothing(tmp_path, number):
    starting = subprocess.Popen([CLUSTER, "start", tmp_path / "one"], stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "one").exists():  # from here on it has something to take away
            time.sleep(0.01)
        starting.send_signal(number)
        assert starting.wait(60) == 128 + number
        wait_until_gone(tmp_path / "one")
        assert list(tmp_path.iterdir()) == []
    finally:
        cluster("stop", tmp_path / "one")
