"""A guest that is User Mode Linux: a kernel with IPVS that runs as an ordinary process.

Two things were learnt the hard way and must stay, besides the PID namespace (killed alone, linux.uml would leave the processes
it traces running untraced, as real root processes on the host):
- it is not PID 1 of that namespace: on panic it kills itself, which PID 1 would ignore. Hence the `sh` between.
- it is pinned to one CPU: its system calls are four times faster so.
"""

import os
import pathlib

import guest


class UserModeLinux(guest.Guest):
    packages = {**guest.Guest.packages, "linux.uml": "user-mode-linux"}

    def settings(self):
        return {"inside": "guest", "files": "hostfs", "line": "/dev/ttyS0", "module_tree": "/usr/lib/uml/modules"}

    def command(self):
        kernel = [
            "linux.uml", f"mem={self.memory_mb}M", f"umid={self.job.name}", f"uml_dir={self.job}/",
            "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "noreboot", "panic=1",
            "con=null", "con0=null,fd:2", "ssl=null", "ssl0=null,fd:1", f"init={guest.INIT}", *self.kernel_parameters(),
        ]
        if self.tap:
            kernel.append(f"vec0:transport=tap,ifname={self.tap},depth=128,gro=1")
        cpu = least_busy_cpu() if self.cpu is None else self.cpu
        return ["taskset", "-c", str(cpu), "sh", "-c", '"$@"; exit $?', "pid1", *kernel], ()


def least_busy_cpu():
    """Of the CPUs we may use, the one with the fewest guests: guests side by side then do not share one."""
    guests = dict.fromkeys(sorted(os.sched_getaffinity(0)), 0)
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if lines["Name"] == "linux.uml" and comm(lines["PPid"]) == "sh":
                guests[int(lines["Cpus_allowed_list"])] += 1
        except (OSError, KeyError, ValueError):
            continue
    return min(guests, key=guests.get)


def comm(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
