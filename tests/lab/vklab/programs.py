"""Programs on the lab's hosts: started in a host's namespaces, ended in every way a program can end."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time


def children_of(pid):
    """PIDs of the direct children of `pid`."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return found


def tree_of(pid):
    """`pid` and all its descendants."""
    return [pid] + [below for child in children_of(pid) for below in tree_of(child)]


class Program:
    """One running program with its log. What it forks counts as part of it."""

    def __init__(self, name, argv, host, environment=None, before_exec=None):
        self.name, self.host, self.argv = name, host, [str(a) for a in argv]
        self.log_path = host.directory / f"{name}.log"
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0

        def enter():
            host.namespaces.enter()
            if before_exec:
                before_exec()

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter,
                start_new_session=True, env={**os.environ, **(environment or {})}, cwd="/")

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process.poll() is None

    def log(self):
        """What it has said since this start of it."""
        with open(self.log_path, "rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def freeze(self):
        for pid in tree_of(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in tree_of(self.pid):
            with contextlib.suppress(ProcessLookupError):  # a child of a moment, iptables for one
                os.kill(pid, signal.SIGCONT)

    def kill9(self):
        """All its processes gone at one instant, without a last word. Returns when it was (monotonic)."""
        pids = tree_of(self.pid)
        if len(pids) > 1:  # or the children would see their parent die, and clean up
            self.freeze()
        when = time.monotonic()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pid in pids[1:]:
            with contextlib.suppress(ChildProcessError):  # ours to reap, as we are their subreaper
                os.waitpid(pid, 0)
        return when

    def terminate(self):
        """SIGTERM, not waiting for the end. Returns when it was (monotonic)."""
        when = time.monotonic()
        self.signal(signal.SIGTERM)
        return when

    def stop(self, timeout=15):
        """SIGTERM and the end awaited; returns the exit code."""
        self.terminate()
        return self.process.wait(timeout)

    def cpu_seconds(self):
        """Processor time used so far by all its processes, in seconds (10 ms ticks)."""
        ticks = 0
        for pid in tree_of(self.pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        """Resident memory of all its processes together, in KiB, as ps and top count it."""
        total = 0
        for pid in tree_of(self.pid):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(status.split("VmRSS:")[1].split()[0])
        return total
