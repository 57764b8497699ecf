"""A Kubernetes cluster of three nodes, each with a kubelet and a containerd of its own (node.sh), in the guest; etcd, API server,
controllers and scheduler on the host, at the other end of the guest's wire (tests/kubernetes/full_plane.py), where what they compute
is not taken from the nodes. So is the client that asks without pause.

    far 198.51.100.100 --- router --- ===== 10.99.0.0/24 ===== client .99
                                       |     |    |    |   \\
                          the guest .2 +   node1 .11 .12 .13  +-- wire -- the host .1: control plane, load
                                           10.244.N.0/24: the pods of node N

Nothing of it is made up but the images (image.py) and the plain routes between the nodes' pod networks. A node is a network,
mount, UTS and cgroup namespace, as with kind, so that a pod with hostNetwork has its node's addresses, IPVS table and rules.
"""

import contextlib
import ctypes
import functools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))
import vklab  # noqa: E402
from vklab import cluster as lab_cluster  # noqa: E402
from vklab.ipvs import read_table  # noqa: E402
from vklab.netlink import Netlink  # noqa: E402

SEGMENT = "wire"  # the bridge that vklab makes, the wire to the host one of its ports
NETWORK = "10.99.0"
GUEST, CLIENT, ROUTER, FAR_CLIENT = f"{NETWORK}.2", f"{NETWORK}.99", f"{NETWORK}.98", "198.51.100.100"
VIP = f"{NETWORK}.50"
WORK = pathlib.Path("/run/e2e")
LOGS = pathlib.Path(os.environ.get("LAB_OUT", "/run/job/out")) / "logs"
CLONE_NEWNET = 0x40000000
MODULES = ("overlay bridge br_netfilter veth iptable_nat iptable_filter iptable_mangle ip6table_nat xt_comment xt_mark xt_conntrack "
           "xt_MASQUERADE xt_nat xt_addrtype xt_statistic xt_recent xt_physdev xt_multiport xt_nfacct nf_conntrack_netlink").split()
libc = ctypes.CDLL(None, use_errno=True)
# All nodes share one processor: who looks too often keeps what is looked for from happening.
wait_until = functools.partial(vklab.wait_until, pause=0.3)
holds_for = functools.partial(vklab.holds_for, pause=0.3)


def run(*command, check=True, **keywords):
    return subprocess.run([str(word) for word in command], check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **keywords)


def die_with_parent():
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Host:
    """A network namespace of this name, with an interface eth0 on a bridge."""

    def __init__(self, name, bridge, address, gateway):
        self.name, self.address = name, address
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", name, "master", bridge, "up")
        self.ip("addr", "add", f"{address}/24", "dev", "eth0")
        for interface in ("lo", "eth0"):
            self.ip("link", "set", interface, "up")
        self.ip("route", "add", "default", "via", gateway)
        with self.network():
            self.netlink = Netlink()

    def ip(self, *words):
        return run("ip", "-n", self.name, *words).stdout

    def run(self, *command, check=True):
        return run("ip", "netns", "exec", self.name, *command, check=check).stdout

    def enter(self):
        """For preexec_fn and threads of a process that stays there."""
        with open(f"/run/netns/{self.name}") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {self.name}")

    @contextlib.contextmanager
    def network(self):
        """This thread is in the host's network for as long as the block lasts: sockets opened there stay there."""
        with open("/proc/thread-self/ns/net") as home:
            try:
                self.enter()
                yield
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def holds(self, address):
        return any(held.split("/")[0] == address for _, held in self.netlink.addresses())

    def ipvs(self):
        """Its kernel's IPVS table: vklab.ipvs."""
        return read_table(self)

    def cut(self):
        """Its cable at the far end: the host itself keeps its addresses."""
        run("ip", "link", "set", self.name, "down")

    def mend(self):
        run("ip", "link", "set", self.name, "up")


class Cluster(lab_cluster.Cluster):
    """Methods that are not here are the control plane's (tests/kubernetes/full_plane.py)."""

    patience = 600

    def __init__(self, programs, images, kube_proxy):
        super().__init__()
        self.programs, self.images, self.kube_proxy = programs, images, kube_proxy
        self.processes = {}
        for folder in (LOGS, WORK / "bin"):
            folder.mkdir(parents=True, exist_ok=True)
        self._prepare_kernel()
        self._make_network()

    def _prepare_kernel(self):
        run("modprobe", "-aq", *MODULES, check=False)
        # This kernel's nftables has no ip family: kubelet, kube-proxy and CNI have to find the older iptables.
        for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
            (WORK / "bin" / name).symlink_to(shutil.which(name.replace("tables", "tables-legacy")))
        shutil.copy2(self.programs["CONTAINERD_SHIM"], WORK / "bin" / "containerd-shim-runc-v2")
        os.environ["PATH"] = f"{WORK / 'bin'}:{os.environ['PATH']}"
        # The kubelet wants a clock speed and a topology, which User Mode Linux does not tell.
        told = pathlib.Path("/proc/cpuinfo").read_text().strip()
        (WORK / "cpuinfo").write_text(f"{told}\ncpu MHz\t\t: 1000.000\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\n\n")
        run("mount", "--bind", WORK / "cpuinfo", "/proc/cpuinfo")
        run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        pathlib.Path("/sys/fs/cgroup/cgroup.subtree_control").write_text("+cpu +io +memory +pids")
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", "kernel.hostname=segment")

    def _make_network(self):
        run("ip", "link", "add", "far", "type", "bridge")
        run("ip", "link", "set", "far", "up")
        self.client = Host("client", SEGMENT, CLIENT, GUEST)
        router = Host("router", SEGMENT, ROUTER, GUEST)
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        run("ip", "link", "add", "router-far", "type", "veth", "peer", "name", "eth1", "netns", "router")
        run("ip", "link", "set", "router-far", "master", "far", "up")
        router.ip("addr", "add", "198.51.100.1/24", "dev", "eth1")
        router.ip("link", "set", "eth1", "up")
        self.far_client = Host("far-client", "far", FAR_CLIENT, "198.51.100.1")
        self.nodes = [Host(f"node{i}", SEGMENT, f"{NETWORK}.{10 + i}", GUEST) for i in (1, 2, 3)]
        run("ip", "route", "add", "198.51.100.0/24", "via", ROUTER)
        for i, node in enumerate(self.nodes, 1):
            run("ip", "route", "add", f"10.244.{i}.0/24", "via", node.address)
            node.ip("route", "add", "198.51.100.0/24", "via", ROUTER)
            for j, other in enumerate(self.nodes, 1):
                if i != j:
                    node.ip("route", "add", f"10.244.{j}.0/24", "via", other.address)

    def start(self):
        """Returns when all nodes are Ready."""
        self.wait_started()
        for number, node in enumerate(self.nodes, 1):
            self._start_node(number, node)
        wait_until(lambda: len(self.ready_nodes()) == len(self.nodes), 240, "the nodes Ready")

    def _start_node(self, number, node):
        keys, group = WORK / node.name, pathlib.Path(f"/sys/fs/cgroup/{node.name}")
        for folder in (keys, group):
            folder.mkdir()
        for name, text in self.node_files(node.name, node.address).items():
            (keys / name).write_text(text)
        environment = {**os.environ, **self.programs, "NAME": node.name, "ADDRESS": node.address, "POD_NETWORK": f"10.244.{number}.0/24",
                       "KEYS": str(keys), "IMAGES": " ".join(map(str, self.images)), "LOGS": str(LOGS),
                       "API": f"{self.where['address']}:{self.where['api_port']}", "PROXY": "yes" if self.kube_proxy else ""}

        def enter():
            (group / "cgroup.procs").write_text(str(os.getpid()))
            node.enter()
            die_with_parent()

        with open(LOGS / f"{node.name}.log", "ab") as log:
            self.processes[node.name] = subprocess.Popen(
                ["unshare", "--mount", "--uts", "--cgroup", "bash", HERE / "node.sh"], env=environment, preexec_fn=enter,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def close(self):
        for process in self.processes.values():
            process.kill()

    def node_logs(self, lines=12):
        return "\n".join(f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
                         for path in sorted(LOGS.glob("*.log")))

    # Its objects

    def kubectl(self, *words, timeout=120, **keywords):
        """What it printed, by the kubectl of the control plane's side."""
        return self.call("kubectl", *words, timeout=timeout, **keywords)["out"]

    def items(self, path):
        """The objects of a list."""
        status, answer = self.call("request", "GET", path)
        assert status == 200, answer
        return answer["items"]

    def ready_nodes(self):
        return {one["metadata"]["name"] for one in self.items("/api/v1/nodes") if is_ready(one)}

    def pods(self, label, namespace="default"):
        """The pods that are running and ready and not told to end."""
        return [one for one in self.all_pods(label, namespace) if "deletionTimestamp" not in one["metadata"] and is_ready(one)]

    def all_pods(self, label, namespace="default"):
        return self.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={label.replace('=', '%3D')}")

    def holders(self, vip=VIP):
        return [node.name for node in self.nodes if node.holds(vip)]

    def node(self, name):
        return next(one for one in self.nodes if one.name == name)


def is_ready(value):
    """Of a Node or a Pod."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in value["status"].get("conditions", ()))


def process_in(host, name):
    """The PIDs of programs of that name in the host's network namespace."""
    inode = os.stat(f"/run/netns/{host.name}").st_ino
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() == name and os.stat(folder / "ns/net").st_ino == inode:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def ask(address, port=80, timeout=5.0):
    """(pod, client's address as it sees it) that answers there."""
    with socket.create_connection((address, port), timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.0 200"):
        raise OSError(f"not an answer: {answer!r}")
    pod, client = body.decode().split()
    return pod, client
