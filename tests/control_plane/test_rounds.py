"""Start, watch and end, again and again, at any moment of it: `VIPKEEPER=build/tsan/cmd/vipkeeper ... --rounds=1000` for the
sanitizers, `--valgrind-rounds=1000` for valgrind."""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import urllib.request

import churn
from control_plane import die_with_parent

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FIXED = {"192.0.2.50": ""}
# Quiet, so that every line of its own is a finding; what is only still reachable at the end is none, and is not freed: a thread that
# _Exit() stopped may hold the lock for that.
VALGRIND = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite", "--error-exitcode=99",
            f"--suppressions={REPOSITORY}/scripts/valgrind.supp", "--run-libc-freeres=no", "--run-cxx-freeres=no"]


class Instance:
    """One `vipkeeper run --dry-run`, let in by a kubeconfig with its account's token; `under` a command that runs it."""

    def __init__(self, plane, directory, program, under=()):
        self.log = directory / "log"
        self.port = free_port()
        # Fixed addresses: TSan's runtime of g++ 12 does not know the wider randomization of newer kernels.
        fixed = ["setarch", "-R"] if "san" in str(program) else []
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*fixed, *under, program, "run", "--dry-run", "--kubeconfig", kubeconfig(plane, directory), "--services-configmap",
                 "kube-system/vip-configmap", "--node-name", "node1", "--node-ip", "192.0.2.11", "--iface", "eth0", "--run-dir",
                 directory / "run", "--config-file", directory / "keepalived.conf", "--http-address", "127.0.0.1", "--http-port",
                 str(self.port)], stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.began = time.monotonic()

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5).status == 200
        except OSError:
            return False

    def end(self):
        """SIGTERM; (exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60), time.monotonic() - began


def program_under_test():
    program = pathlib.Path(os.environ.get("VIPKEEPER") or REPOSITORY / "build/vipkeeper").absolute()
    assert program.exists(), f"no program at {program}: `make build` makes it, or name another with VIPKEEPER=PATH"
    return program


def kubeconfig(plane, directory):
    """What a pod has mounted, as a kubeconfig that names the files."""
    path = directory / "kubeconfig"
    if not path.exists():
        for name, text in plane.account_files().items():
            (directory / name).write_text(text)
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": plane.url, "certificate-authority": "ca.crt"}}],
            "users": [{"name": "vipkeeper", "user": {"tokenFile": "token"}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "vipkeeper"}}]}))
    return path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def one_after_another(plane, directory, rounds, *program):
    """Each is told to end at a random moment between its start and half as long again as it needs to be ready."""
    plane.apply(churn.Churn.first_objects(FIXED))
    first = Instance(plane, directory, *program)
    while not first.ready():
        assert first.process.poll() is None, first.log.read_text()
        time.sleep(0.01)
    until_ready = time.monotonic() - first.began
    assert first.end()[0] == 0, first.log.read_text()
    limit = 1 if until_ready < 2 else 20  # what runs thirty times slower says nothing about time
    chance = random.Random(seed := random.randrange(1 << 30))
    longest = 0.0
    plane.start_churn(seed, 50, FIXED)
    try:
        for number in range(rounds):
            one = Instance(plane, directory, *program)
            time.sleep(chance.uniform(0, 1.5 * until_ready))
            code, took = one.end()
            text = one.log.read_text()
            # Before main() has begun nobody is there who could say good-bye.
            assert code == 0 or (code == -signal.SIGTERM and "Starting vipkeeper" not in text), f"round {number}: ended {code}:\n{text}"
            assert took < limit, f"round {number}: took {took:.2f} s to end:\n{text}"
            assert not re.search(r"Sanitizer|runtime error", text), f"round {number}:\n{text}"
            longest = max(longest, took)
    finally:
        plane.stop_churn()
    print(f"seed {seed}: {rounds} rounds, ready after {until_ready:.2f} s, {longest:.2f} s to end at the longest")


def test_it_ends_within_a_second_and_with_zero_at_whatever_moment_it_is_told_to(plane, tmp_path, request):
    one_after_another(plane, tmp_path, request.config.getoption("--rounds"), program_under_test())


def test_valgrind_finds_nothing_at_whatever_moment_it_is_told_to_end(plane, tmp_path, request):
    one_after_another(plane, tmp_path, request.config.getoption("--valgrind-rounds"), program_under_test(), VALGRIND)
