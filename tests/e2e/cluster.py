"""A Kubernetes cluster inside the guest: etcd, API server, controller manager and scheduler in the guest's own network at
10.88.0.1, three nodes with a kubelet and a containerd each (node.sh), a client on the nodes' segment and one behind a router.

    far 198.51.100.100 --- router --- ===== 10.88.0.0/24 ===== client .99
                                       |       |       |
                                   node1 .11  node2  node3        10.244.N.0/24: the pods of node N

Nothing of it is made up but the images (image.py) and the plain routes between the nodes' pod networks. A node is a network,
mount, UTS and cgroup namespace, as with kind, so that a pod with hostNetwork has its node's addresses, IPVS table and rules.
"""

import ctypes
import functools
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(REPOSITORY / "tests" / "lab"), str(REPOSITORY / "tests" / "kubernetes")]
from authority import Authority  # noqa: E402
import vklab  # noqa: E402

NETWORK = "10.88.0"
API, CLIENT, ROUTER, FAR_CLIENT = f"{NETWORK}.1", f"{NETWORK}.99", f"{NETWORK}.98", "198.51.100.100"
VIP = f"{NETWORK}.50"
WORK = pathlib.Path("/run/e2e")
LOGS = pathlib.Path(os.environ.get("LAB_OUT", "/run/job/out")) / "logs"
CLONE_NEWNET = 0x40000000
MODULES = ("overlay bridge br_netfilter veth iptable_nat iptable_filter iptable_mangle ip6table_nat xt_comment xt_mark xt_conntrack "
           "xt_MASQUERADE xt_nat xt_addrtype xt_statistic xt_recent xt_physdev xt_multiport xt_nfacct nf_conntrack_netlink").split()
CONTROLLERS = ("daemonset-controller,replicaset-controller,deployment-controller,serviceaccount-controller,disruption-controller,"
               "root-ca-certificate-publisher-controller,endpoints-controller,endpointslice-controller,node-lifecycle-controller,"
               "taint-eviction-controller,namespace-controller,garbage-collector-controller,pod-garbage-collector-controller")
libc = ctypes.CDLL(None, use_errno=True)
# All nodes and all of Kubernetes share one processor: who looks too often keeps what is looked for from happening.
wait_until = functools.partial(vklab.wait_until, pause=0.5)
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
        if gateway:
            self.ip("route", "add", "default", "via", gateway)

    def ip(self, *words):
        return run("ip", "-n", self.name, *words).stdout

    def run(self, *command, check=True):
        return run("ip", "netns", "exec", self.name, *command, check=check).stdout

    def enter(self):
        """For preexec_fn and threads of a process that stays there."""
        with open(f"/run/netns/{self.name}") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {self.name}")

    def addresses(self):
        return {word for line in self.ip("-o", "-4", "addr", "show").splitlines() for word in line.split()[3:4]}

    def cut(self):
        """Its cable at the far end: the host itself sees nothing of it."""
        run("ip", "link", "set", self.name, "down")

    def mend(self):
        run("ip", "link", "set", self.name, "up")


class Cluster:
    def __init__(self, programs, images, kube_proxy):
        self.programs, self.images, self.kube_proxy = programs, images, kube_proxy
        self.processes = {}
        self.keys = WORK / "keys"
        for folder in (self.keys, LOGS, WORK / "bin"):
            folder.mkdir(parents=True, exist_ok=True)
        self._prepare_kernel()
        self._make_network()
        self._make_keys()
        self.api = Api(self.keys)

    # The parts

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
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", "kernel.hostname=control-plane")

    def _make_network(self):
        for bridge in ("segment", "far"):
            run("ip", "link", "add", bridge, "type", "bridge")
            run("ip", "link", "set", bridge, "up")
        run("ip", "addr", "add", f"{API}/24", "dev", "segment")
        self.client = Host("client", "segment", CLIENT, API)
        router = Host("router", "segment", ROUTER, API)
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        run("ip", "link", "add", "router-far", "type", "veth", "peer", "name", "eth1", "netns", "router")
        run("ip", "link", "set", "router-far", "master", "far", "up")
        router.ip("addr", "add", "198.51.100.1/24", "dev", "eth1")
        router.ip("link", "set", "eth1", "up")
        self.far_client = Host("far-client", "far", FAR_CLIENT, "198.51.100.1")
        self.nodes = [Host(f"node{i}", "segment", f"{NETWORK}.{10 + i}", API) for i in (1, 2, 3)]
        run("ip", "route", "add", "198.51.100.0/24", "via", ROUTER)
        for i, node in enumerate(self.nodes, 1):
            run("ip", "route", "add", f"10.244.{i}.0/24", "via", node.address)
            node.ip("route", "add", "198.51.100.0/24", "via", ROUTER)
            for j, other in enumerate(self.nodes, 1):
                if i != j:
                    node.ip("route", "add", f"10.244.{j}.0/24", "via", other.address)

    def _make_keys(self):
        authority = Authority(self.keys, "cluster")
        authority.issue("apiserver", "/CN=kube-apiserver", (
            "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:localhost", "IP:127.0.0.1", "IP:10.96.0.1",
            f"IP:{API}"))
        for name, subject in {"apiserver-kubelet": "/O=system:masters/CN=kube-apiserver", "admin": "/O=system:masters/CN=admin",
                              "controllers": "/CN=system:kube-controller-manager", "scheduler": "/CN=system:kube-scheduler",
                              **{node.name: f"/O=system:nodes/CN=system:node:{node.name}" for node in self.nodes}}.items():
            certificate, key = authority.issue(name, subject)
            (self.keys / f"{name}.conf").write_text(json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
                "clusters": [{"name": "cluster", "cluster": {"server": f"https://{API}:6443", "certificate-authority":
                                                             str(authority.certificate)}}],
                "users": [{"name": "user", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
                "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "user"}}]}))
        for node in self.nodes:
            authority.issue(f"kubelet-server-{node.name}", f"/O=system:nodes/CN=system:node:{node.name}",
                            (f"DNS:{node.name}", f"IP:{node.address}"))
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.keys / "accounts.key")
        os.environ["KUBECONFIG"] = str(self.keys / "admin.conf")

    def _spawn(self, name, command, **keywords):
        with open(LOGS / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                                    stderr=log, start_new_session=True, **keywords)

    def start(self):
        """Returns when all nodes are Ready."""
        self._spawn("etcd", [self.programs["ETCD"], "--data-dir", WORK / "etcd", "--unsafe-no-fsync", "--log-level=error",
                             "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
                             "--listen-peer-urls=http://127.0.0.1:2380"], preexec_fn=die_with_parent)
        self.start_api_server()
        for number, node in enumerate(self.nodes, 1):
            self._start_node(number, node)
        wait_until(lambda: self.api.text("/readyz") == "ok", 180, "the API server ready")
        for name, program, options in (
                ("controllers", "KUBE_CONTROLLER_MANAGER", [
                    f"--service-account-private-key-file={self.keys}/accounts.key", f"--root-ca-file={self.keys}/cluster.crt",
                    "--use-service-account-credentials=true", f"--controllers={CONTROLLERS}"]),
                ("scheduler", "KUBE_SCHEDULER", [])):
            self._spawn(name, [self.programs[program], f"--kubeconfig={self.keys}/{name}.conf", "--leader-elect=false", "--secure-port=0",
                               *options], preexec_fn=die_with_parent)
        wait_until(lambda: len(self.ready_nodes()) == len(self.nodes), 240, "the nodes Ready")

    def start_api_server(self):
        at = self.keys
        self._spawn("kube-apiserver", [
            self.programs["KUBE_APISERVER"], "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", "--bind-address=0.0.0.0",
            f"--advertise-address={API}", f"--tls-cert-file={at}/apiserver.crt", f"--tls-private-key-file={at}/apiserver.key",
            f"--client-ca-file={at}/cluster.crt", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={at}/accounts.key", f"--service-account-signing-key-file={at}/accounts.key",
            f"--kubelet-client-certificate={at}/apiserver-kubelet.crt", f"--kubelet-client-key={at}/apiserver-kubelet.key",
            f"--kubelet-certificate-authority={at}/cluster.crt", "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true", "--profiling=false", f"--cert-dir={WORK}/apiserver"], preexec_fn=die_with_parent)

    def _start_node(self, number, node):
        group = pathlib.Path(f"/sys/fs/cgroup/{node.name}")
        group.mkdir()
        environment = {**os.environ, **self.programs, "NAME": node.name, "ADDRESS": node.address, "POD_NETWORK": f"10.244.{number}.0/24",
                       "KEYS": str(self.keys), "IMAGES": " ".join(map(str, self.images)), "LOGS": str(LOGS), "API": API,
                       "PROXY": "yes" if self.kube_proxy else ""}

        def enter():
            (group / "cgroup.procs").write_text(str(os.getpid()))
            node.enter()
            die_with_parent()

        self._spawn(node.name, ["unshare", "--mount", "--uts", "--cgroup", "bash", HERE / "node.sh"], env=environment,
                    preexec_fn=enter)

    def ready_nodes(self):
        return {one["metadata"]["name"] for one in self.api.get("/api/v1/nodes")["items"]
                if any(c["type"] == "Ready" and c["status"] == "True" for c in one["status"].get("conditions", ()))}

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def logs(self, lines=12):
        return "\n".join(f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
                         for path in sorted(LOGS.glob("*.log")))

    # Its objects

    def kubectl(self, *words, check=True, text=None):
        done = subprocess.run([self.programs["KUBECTL"], *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}"
        return done.stdout

    def apply(self, *objects):
        self.kubectl("apply", "--validate=strict", "-f", "-",
                     text="\n---\n".join(json.dumps(one) for one in objects))

    def pods(self, label, namespace="default"):
        """The pods that are running and ready and not told to end."""
        items = self.api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={label.replace('=', '%3D')}")["items"]
        return [one for one in items if "deletionTimestamp" not in one["metadata"] and one["status"].get("phase") == "Running" and
                any(c["type"] == "Ready" and c["status"] == "True" for c in one["status"].get("conditions", ()))]

    def holders(self, vip=VIP):
        return [node.name for node in self.nodes if f"{vip}/32" in node.addresses()]

    def node(self, name):
        return next(one for one in self.nodes if one.name == name)


class Api:
    """Requests to the API server over one connection: a kubectl costs a second in here."""

    def __init__(self, keys):
        self.keys, self.connection = keys, None

    def text(self, path):
        """The answer's text; an OSError when there is none."""
        for attempt in (1, 2):
            if self.connection is None:
                context = ssl.create_default_context(cafile=str(self.keys / "cluster.crt"))
                context.load_cert_chain(self.keys / "admin.crt", self.keys / "admin.key")
                self.connection = http.client.HTTPSConnection(API, 6443, timeout=10, context=context)
            try:
                self.connection.request("GET", path)
                return self.connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                self.connection = None
                if attempt == 2:
                    raise OSError(f"{path}: {error}") from error

    def get(self, path):
        answer = json.loads(self.text(path))
        if answer.get("kind") == "Status":
            raise OSError(f"{path}: {answer.get('message')}")
        return answer


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
