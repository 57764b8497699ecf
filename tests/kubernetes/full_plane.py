"""A control plane for nodes with kubelets: the controllers and the scheduler beside the API server, keys for each node, and a client
that asks the cluster from outside, where it takes no processor from the nodes."""

import base64
import json
import os
import subprocess

from authority import Authority
from control_plane import HERE, REPOSITORY, ControlPlane, die_with_parent

# What makes pods of Deployments and DaemonSets, endpoints of Services, and takes away what has ended.
CONTROLLERS = ("daemonset-controller", "replicaset-controller", "deployment-controller", "serviceaccount-controller",
               "root-ca-certificate-publisher-controller", "endpoints-controller", "endpointslice-controller", "disruption-controller",
               "node-lifecycle-controller", "taint-eviction-controller", "namespace-controller", "garbage-collector-controller",
               "pod-garbage-collector-controller")


class FullControlPlane(ControlPlane):
    programs_of_build = ("--nodes",)
    load = None

    def begin(self):
        """The cluster is empty: rbac/ comes with deploy/."""
        at = self.directory
        for name, more in (("kube-controller-manager", [
                f"--service-account-private-key-file={at}/accounts.key", f"--root-ca-file={at}/ca.pem",
                "--use-service-account-credentials=true", f"--controllers={','.join(CONTROLLERS)}"]), ("kube-scheduler", [])):
            (at / f"{name}.kubeconfig").write_text(json.dumps(self._kubeconfig(name, f"/CN=system:{name}")))
            self._spawn(name, [self.programs[name.upper().replace("-", "_")], f"--kubeconfig={at}/{name}.kubeconfig",
                               "--leader-elect=false", "--secure-port=0", *more])

    def api_server_options(self):
        at = self.directory
        return ["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
                f"--kubelet-client-certificate={at}/kubelet-client.crt", f"--kubelet-client-key={at}/kubelet-client.key",
                f"--kubelet-certificate-authority={at}/client-ca.crt", "--kubelet-preferred-address-types=InternalIP"]

    def node_files(self, name, address):
        """What a node has of keys: {file name: text}."""
        subject = f"/O=system:nodes/CN=system:node:{name}"
        certificate, key = self._clients.issue(f"{name}-server", subject, (f"DNS:{name}", f"IP:{address}"))
        return {"kubelet.conf": json.dumps(self._kubeconfig(name, subject)),
                "kube-proxy.conf": json.dumps(self._kubeconfig("kube-proxy", "/CN=system:kube-proxy")),
                "client-ca.crt": self._clients.certificate.read_text(), "server.crt": certificate.read_text(), "server.key": key.read_text()}

    def overlay(self, kustomization):
        """A folder with this kustomization over deploy/, for kubectl -k."""
        folder = self.directory / "overlay"
        folder.mkdir(exist_ok=True)
        resources = [os.path.relpath(REPOSITORY / "deploy", folder)]
        (folder / "kustomization.yaml").write_text(json.dumps({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources, **kustomization}))
        return str(folder)

    def start_load(self, address, rate, port=80):
        """A client (load.py) asks there from now on."""
        def start():
            self.end_load()
            self.load = subprocess.Popen([HERE / "load.py", address, str(port), str(rate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, preexec_fn=die_with_parent)
        self._on_main_thread(start)

    def stop_load(self):
        """What came of it (load.py says what that is)."""
        outcome = json.loads(self.load.communicate()[0])
        self.load = None
        return outcome

    def end_load(self):
        """One that a test has left running."""
        if self.load is not None:
            self.load.kill()
            self.load.wait()
            self.load = None

    def logs(self, lines=15):
        return "\n".join(f"--- {name}\n{self.log(name, lines)}" for name in self.processes)

    def _make_files(self):
        super()._make_files()
        self._clients = Authority(self.directory, "client-ca")
        self._clients.issue("kubelet-client", "/O=system:masters/CN=kube-apiserver")

    def _kubeconfig(self, name, subject):
        """With its keys in it, so that it may be read anywhere."""
        def encoded(path):
            return base64.b64encode(path.read_bytes()).decode()
        certificate, key = self._clients.issue(name, subject)
        return {"apiVersion": "v1", "kind": "Config", "current-context": "tests",
                "clusters": [{"name": "tests", "cluster": {
                    "server": self.url, "certificate-authority-data": encoded(self.directory / "ca.pem")}}],
                "users": [{"name": name, "user": {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}}],
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": name}}]}
