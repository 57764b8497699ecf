"""A cluster with a real API server, seen from the lab: its control plane, and nodes whose vipkeeper runs as in a pod.

The control plane runs on the host, at the other end of the guest's wire (guest/wire.py starts it): there it is ready in a sixth
of the time, and what it computes is not taken from the nodes. The wire ends in a bridge outside all labs' hosts, into which each
node is plugged with one more interface; so a node's way to the API server can be cut, slowed and captured like any cable.

What is done to the control plane is told to it over the same wire, from outside the nodes, so that no failure of theirs is in
the way: methods of `Cluster` that are not here are those of tests/kubernetes/control_plane.py.
"""

import contextlib
import http.client
import json
import pathlib
import socket
import threading
import time

import yaml

from .hosts import Network
from .netlink import Netlink
from .node import REPOSITORY, vipkeeper_program

CONTROL_PLANE = pathlib.Path("/run/job/control_plane")
SERVICE_ACCOUNT_DIRECTORY = "/run/secrets/kubernetes.io/serviceaccount"  # /var/run is /run
NAMESPACE = "kube-system"
INTERFACE = "wire0"


class ClusterError(AssertionError):
    """The control plane refused or failed; an AssertionError, so that wait_until goes on."""


class Outside:
    """The guest itself, outside all hosts of a lab, in the part of a switch."""

    def __init__(self):
        self.netlink = Netlink()

    def network(self):
        return contextlib.nullcontext()


class Cluster:
    patience = 120  # seconds for what is told to the control plane

    def __init__(self):
        try:
            self.where = json.loads(CONTROL_PLANE.read_text())
        except FileNotFoundError:
            raise RuntimeError("no control plane here: run these tests by `tests/lab/run --control-plane`") from None
        self._connections = threading.local()
        self.network = self._plug_in_the_wire()

    def _plug_in_the_wire(self):
        outside = Outside()
        network = Network(outside, "wire")
        index = socket.if_nametoindex("vec0")
        outside.netlink.set_bridge(index, network.index)
        outside.netlink.set_up(index)
        outside.netlink.add_address(network.index, f"{self.where['network']}.2/24")
        return network

    # Telling the control plane

    def call(self, method, *arguments, **keywords):
        """Runs a method of the control plane and returns what it returned."""
        connection = getattr(self._connections, "one", None)
        if connection is None:
            connection = http.client.HTTPConnection(self.where["address"], self.where["control_port"], timeout=self.patience)
            self._connections.one = connection
        try:
            connection.request("POST", "/", json.dumps({"method": method, "arguments": arguments, "keywords": keywords}))
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            connection.close()
            self._connections.one = None
            raise
        if "error" in answer:
            raise ClusterError(answer["error"])
        return answer["result"]

    def __getattr__(self, method):
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *arguments, **keywords: self.call(method, *arguments, **keywords)

    def wait_started(self, timeout=120):
        deadline = time.monotonic() + timeout
        while True:
            try:
                if self.call("ready"):
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"the control plane did not start within {timeout} s; guest/run says why at its end")
            time.sleep(0.05)

    def put(self, *values):
        """Applies objects; returns them as they are now."""
        return self.call("apply", values)

    def remove(self, kind, name, namespace="default"):
        assert self.call("delete", kind, name, namespace), f"{kind} {namespace}/{name} was not there"

    # Nodes

    def join(self, node, number):
        """Plugs the node into the wire and makes it a Node; the pod's volume is filled. `number` is its place there."""
        node.plug_in(self.network, f"{self.where['network']}.{10 + number}/24", INTERFACE)
        node.wire_address = f"{self.where['network']}.{10 + number}"
        address = next(a.split("/")[0] for a in node.addresses()["eth0"] if ":" not in a)
        self.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": {"kubernetes.io/os": "linux"}},
                  "status": {"addresses": [{"type": "InternalIP", "address": address}],
                             "conditions": [{"type": "Ready", "status": "True"}]}})

    def start_pod(self, node, *options, bound_to=None, environment=None):
        """What the DaemonSet of deploy/ starts on the node: its pod in the API, its arguments and environment, the account's
        files. `options` come after the DaemonSet's arguments."""
        daemon_set = next(yaml.safe_load_all((REPOSITORY / "deploy" / "daemonset.yaml").read_text()))
        template = daemon_set["spec"]["template"]
        [container] = template["spec"]["containers"]
        name = f"vipkeeper-{node.name}"
        self.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, **template["metadata"]},
                  "spec": {**template["spec"], "nodeName": node.name, "priorityClassName": ""}})
        fields = {"metadata.name": name, "metadata.namespace": NAMESPACE}
        pod_environment = {one["name"]: one.get("value") or fields[one["valueFrom"]["fieldRef"]["fieldPath"]] for one in container["env"]}
        self.renew_account_files(node, bound_to)
        node.container = ([vipkeeper_program(), *container["args"], *options],
                          {"KUBERNETES_SERVICE_HOST": self.where["address"], "KUBERNETES_SERVICE_PORT": str(self.where["api_port"]),
                           **pod_environment, **(environment or {})})
        return self.restart_pod(node)

    def restart_pod(self, node):
        """Starts the pod's container again, as the kubelet does; the API server need not be there for that."""
        argv, environment = node.container
        node.program = node.start("vipkeeper", argv, environment)
        return node.program

    def renew_account_files(self, node, bound_to=None):
        """A new token and the current authority, put into the pod's volume as the kubelet does: one symlink is replaced."""
        files = self.call("account_files", bound_to)
        volume = node.path(SERVICE_ACCOUNT_DIRECTORY)
        volume.mkdir(parents=True, exist_ok=True)
        data = volume / f"..{time.monotonic_ns()}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
        (volume / "..data_tmp").symlink_to(data.name)
        (volume / "..data_tmp").rename(volume / "..data")
        for name in files:
            if not (volume / name).is_symlink():
                (volume / name).symlink_to(f"..data/{name}")

    def delay(self, node, seconds):
        """What the node sends to the API server arrives so much later; 0 undoes it."""
        node.netlink.delay_sent(node.cables[INTERFACE].index, seconds)
