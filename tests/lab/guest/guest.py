"""A guest kernel for the lab, whichever it is: uml.py and emulation.py are the two kinds, kinds.py chooses.

One `Guest` is one boot. Its root is this machine's root file system, read-only; /run, /tmp and /var/{lib,log,tmp} are the
guest's own. A job directory on the host, seen inside as /run/job, carries the command in and the exit code out; the
command's output comes over a serial line. What a command leaves in $LAB_OUT (/run/job/out) is for the host to take.

All processes of a guest are in a PID namespace of its own, which dies with us, also when we are killed.
"""

import ctypes
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
INIT = pathlib.Path(__file__).resolve().with_name("init.sh")
MODULES = ("veth", "bridge", "ipv6", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh")
TIMED_OUT, DIED = 124, 125


class GuestError(Exception):
    """The guest could not be started or died; the text says why and what to do."""


def kept_directory(name):
    """Where the guest kept under NAME has its job directory."""
    return pathlib.Path(tempfile.gettempdir()) / f"vipkeeper-guest-{name}"


class Guest:
    """What the kinds have in common. A kind says what it needs (`packages`: program to Debian package), what init.sh is to know
    (`settings`), and the command that is the guest with the descriptors it inherits (`command`): its stdout is the serial line, its
    stderr the console."""

    packages = {"busybox": "busybox-static", "modprobe": "kmod", "unshare": "util-linux"}

    def __init__(self, name=None, memory_mb=768, cpu=None, modules=MODULES, tap=None):
        """`tap`: a tap device of the network namespace we are in, whose other end is vec0 inside. `cpu`: where it is to run, for kinds
        that stay on one."""
        self.kept = name is not None
        self.memory_mb, self.modules, self.tap = memory_mb, modules, tap
        self.cpu = cpu
        self.process = None
        self.require()
        if self.kept:
            self.job = kept_directory(name)
            try:
                self.job.mkdir(mode=0o700)
            except FileExistsError:
                raise GuestError(f"a guest named {name} is there already: use it with tests/lab/guest/exec {name} -- COMMAND, "
                                 f"or end it with tests/lab/guest/stop {name}") from None
        else:
            self.job = pathlib.Path(tempfile.mkdtemp(prefix="vipkeeper-guest-"))
        for folder in ("out", "exec"):
            (self.job / folder).mkdir()
        for path in (self.job, REPOSITORY):
            if any(c.isspace() or c == "," for c in str(path)):
                raise GuestError(f"{path}: a path with a blank or a comma cannot be handed to the guest's kernel; move it")

    def boot(self, command=None):
        """Boots; runs `command` (a list), or, with none, waits for commands of exec. Returns at once."""
        if command is not None:
            (self.job / "command").write_text("exec " + shlex.join(command) + "\n")
        # Created beforehand if the host has none: the guest mounts its modules there and cannot make the folder itself.
        os.makedirs("/lib/modules", exist_ok=True)
        kernel, descriptors = self.command()
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child=KILL", *kernel],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.job / "console", "ab"),
            pass_fds=descriptors, cwd="/", start_new_session=True, preexec_fn=None if self.kept else die_with_parent)
        (self.job / "host_pid").write_text(str(self.process.pid))
        # A program's arguments can be read only a moment after it has begun, and guest_process_alive goes by them.
        while not guest_process_alive(self.job) and self.process.poll() is None:
            time.sleep(0.001)

    def kernel_parameters(self):
        """For init.sh: the kernel hands parameters that it does not know over as environment."""
        settings = {"repository": REPOSITORY, "job": self.job, "modules": ",".join(self.modules), **self.settings()}
        return [f"lab_{name}={value}" for name, value in settings.items()]

    @classmethod
    def require(cls):
        """An error that says what is missing, if anything is."""
        missing = sorted({package for program, package in cls.packages.items() if shutil.which(program) is None})
        if missing:
            raise GuestError(f"needs the Debian package {' and '.join(missing)}: apt-get install {' '.join(missing)}")
        if os.geteuid() != 0:
            raise GuestError("needs root: the guest runs in a PID namespace of its own")

    def stream(self, timeout):
        """Copies the command's output to ours until the guest is gone; returns the command's exit code."""
        deadline = time.monotonic() + timeout
        os.set_blocking(self.process.stdout.fileno(), False)
        while True:
            finished = self.process.poll() is not None
            chunk = self.process.stdout.read()
            if chunk:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            elif finished:
                return self.exit_code()
            elif time.monotonic() > deadline:
                print(f"guest: no end after {timeout} s, killed (give it longer with -t)", file=sys.stderr)
                return TIMED_OUT
            else:
                time.sleep(0.01)

    def exit_code(self):
        try:
            return int((self.job / "exit_code").read_text())
        except (FileNotFoundError, ValueError):
            print("guest: the guest's kernel died before the command ended; its console said:", file=sys.stderr)
            print((self.job / "console").read_text(errors="replace")[-4000:], file=sys.stderr)
            return DIED

    def remove(self):
        """Ends the guest, whatever it does, and removes its job directory."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        shutil.rmtree(self.job, ignore_errors=True)


def exec_in_kept(name, command, timeout, quiet=False):
    """Runs `command` (a list) in the guest kept under NAME; streams its output, returns its exit code."""
    job = kept_directory(name)
    if not guest_process_alive(job):
        raise GuestError(f"no guest named {name} is running here (make demo KEEP=1 leaves one named demo)")
    key = f"{os.getpid()}-{time.monotonic_ns()}"
    output, code = job / "exec" / f"{key}.output", job / "exec" / f"{key}.exit_code"
    output.touch()
    written = job / "exec" / f"{key}.new"
    written.write_text("exec " + shlex.join(command) + "\n")
    written.rename(job / "exec" / f"{key}.command")
    deadline = time.monotonic() + timeout
    with open(output, "rb") as reader:
        while True:
            finished = code.exists()
            chunk = reader.read()
            if chunk and not quiet:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            elif finished:
                return int(code.read_text())
            elif not guest_process_alive(job):
                raise GuestError(f"the guest {name} died; its console: {job}/console")
            elif time.monotonic() > deadline:
                return TIMED_OUT
            else:
                time.sleep(0.02)


def stop_kept(name):
    """Ends the guest kept under NAME and removes what it left on the host."""
    job = kept_directory(name)
    if guest_process_alive(job):
        os.kill(int((job / "host_pid").read_text()), signal.SIGKILL)
    elif not job.exists():
        raise GuestError(f"no guest named {name} here")
    shutil.rmtree(job, ignore_errors=True)


def guest_process_alive(job):
    """Whether the process noted in the job directory still is that guest's (a PID may have been given away since)."""
    try:
        pid = int((job / "host_pid").read_text())
        return str(job).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def end_on_signals():
    """Turns the signals that end us into an exception, so that `finally` removes the guest."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
