"""The guest's wire to the host, and the control plane at its other end.

The guest, the tap device and the control plane share a network namespace that nothing else is in: runs side by side have the
same addresses and do not see each other, and what is in there ends with its last process.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import guest

sys.path.insert(0, str(guest.REPOSITORY / "tests" / "lab"))
from vklab.netlink import Netlink  # noqa: E402

CLUSTER = guest.REPOSITORY / "tests" / "kubernetes" / "cluster"
TAP, NETWORK, ADDRESS, API_PORT, CONTROL_PORT = "lab0", "10.99.0", "10.99.0.1", 6443, 6444
OPTIONS = {"tap": TAP, "modules": (*guest.MODULES, "sch_netem")}
CLONE_NEWNET, TUNSETIFF, TUNSETPERSIST, IFF_TAP, IFF_NO_PI = 0x40000000, 0x400454CA, 0x400454CB, 0x2, 0x1000


class ControlPlane:
    """An API server at 10.99.0.1; this process moves into the network that has it."""

    def __init__(self, controllers=False):
        """`controllers`: it has the controllers and the scheduler, too, as nodes with kubelets need them."""
        self.options = ["--controllers"] if controllers else []
        missing = subprocess.run([CLUSTER.with_name("build"), *(["--nodes"] if controllers else []), "--check"], capture_output=True, text=True)
        if missing.returncode != 0:
            raise guest.GuestError(missing.stderr.strip())
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise guest.GuestError(f"needs a network namespace of its own: {os.strerror(ctypes.get_errno())}")
        netlink = Netlink()
        netlink.set_up(1)
        make_tap(TAP)
        index = socket.if_nametoindex(TAP)
        netlink.set_up(index)
        netlink.add_address(index, f"{ADDRESS}/24")
        netlink.close()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="vipkeeper-cluster-"))
        self.process = None

    def start(self, job):
        """Starts it; it gets ready while the guest boots. Where it is stands in the guest's job directory."""
        self.log = self.directory.with_name(self.directory.name + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [CLUSTER, "serve", self.directory, "--address", ADDRESS, "--port", str(API_PORT), "--control-port", str(CONTROL_PORT),
                 "--dies-with-parent", *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (job / "control_plane").write_text(json.dumps(
            {"address": ADDRESS, "api_port": API_PORT, "control_port": CONTROL_PORT, "network": NETWORK}))

    def stop(self):
        if self.process is not None:
            early = self.process.poll()
            self.process.terminate()
            self.process.wait()
            if early is not None:
                print(f"guest: the control plane ended early, with {early}: {self.log.read_text()[-4000:]}", file=sys.stderr)
            self.log.unlink()
        shutil.rmtree(self.directory, ignore_errors=True)


def make_tap(name):
    """A tap device that stays, for linux.uml to open."""
    with open("/dev/net/tun", "r+b", buffering=0) as tun:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        fcntl.ioctl(tun, TUNSETPERSIST, 1)
