"""A host's namespaces: its own network, mounts (so its own /run and /etc/keepalived) and host name.

They live as long as this object holds them open: when its process ends, in whatever way, they end too. Links under
/run/netns and /run/vklab name them, so that `ip netns exec` and tests/lab/on find them.
"""

import contextlib
import ctypes
import os
import pathlib
import socket
import traceback

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWNET = 0x20000, 0x4000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
NAMES = pathlib.Path("/run/vklab")
KINDS = {"net": CLONE_NEWNET, "mnt": CLONE_NEWNS, "uts": CLONE_NEWUTS}


def call(function, *arguments):
    """A C library call by name; raises OSError for -1."""
    encoded = [a.encode() if isinstance(a, str) else os.fsencode(a) if isinstance(a, os.PathLike) else a for a in arguments]
    if getattr(libc, function)(*encoded) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}{arguments}: {os.strerror(code)}")


class Namespaces:
    """Fresh namespaces called `name`. `binds` is a {path in there: directory out here} of directories to lay over."""

    def __init__(self, name, binds=None):
        self.name = name
        self.directory = NAMES / name
        self.directory.mkdir(parents=True)
        self.net_name = pathlib.Path("/run/netns") / name
        self.net_name.parent.mkdir(exist_ok=True)
        self.files = {}
        try:
            self._create(binds or {})
        except BaseException:
            self.close()
            raise

    def _create(self, binds):
        # Made by a child, that waits until its namespaces are held open and named by us.
        made, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(made[0])
                os.close(go[1])
                call("unshare", CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS)
                socket.sethostname(self.name.split("-", 1)[-1])
                call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)
                for inside, outside in binds.items():
                    call("mount", os.fspath(outside), inside, None, MS_BIND, None)
                call("mount", "sysfs", "/sys", "sysfs", 0, None)
                os.write(made[1], b"+")
                os.read(go[0], 1)
            except BaseException:
                os.write(made[1], traceback.format_exc().encode())
            os._exit(0)
        os.close(made[1])
        os.close(go[0])
        try:
            answer = os.read(made[0], 65536).decode()
            if answer != "+":
                raise RuntimeError(f"namespaces of {self.name}: {answer}")
            for kind in KINDS:
                self.files[kind] = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                (self.directory / kind).symlink_to(f"/proc/{os.getpid()}/fd/{self.files[kind]}")
            self.net_name.symlink_to(self.directory / "net")
        finally:
            os.close(made[0])
            os.close(go[1])
            os.waitpid(pid, 0)

    @property
    def net(self):
        """The network namespace, as a file descriptor."""
        return self.files["net"]

    @contextlib.contextmanager
    def network(self):
        """This thread is in the network of the host for as long as the block lasts: sockets opened there stay there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            call("setns", self.net, CLONE_NEWNET)
            yield
        finally:
            call("setns", home, CLONE_NEWNET)
            os.close(home)

    def enter(self):
        """For good, all of them: for a forked child about to exec."""
        for kind, flag in KINDS.items():
            call("setns", self.files[kind], flag)

    def processes(self):
        """PIDs of all processes in this network namespace, but our own."""
        here, found = os.fstat(self.net), []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    there = os.stat(f"/proc/{entry.name}/ns/net")
                    if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                        found.append(int(entry.name))
        return found

    def close(self):
        for descriptor in self.files.values():
            os.close(descriptor)
        self.files = {}
        for path in (self.net_name, *(self.directory / kind for kind in KINDS)):
            path.unlink(missing_ok=True)
        self.directory.rmdir()
