"""etcd and kube-apiserver as the tests run them, and everything they do to them.

One `ControlPlane` is one directory, one etcd and one API server on an address of its choice: an authority of its own for the
serving certificate and another for clients, RBAC on, tokens for service accounts, an audit log of what the ServiceAccount of
rbac/ asks. Objects are put by server-side apply over a connection kept open (a kubectl costs 100 ms a call), with an
administrator's certificate; `kubectl` is there where the command itself is what matters.

The two processes die with the process that started them. PR_SET_PDEATHSIG means the starting *thread*: start and restart only
from a thread that lives as long (tests/kubernetes/cluster has a loop for it in its main thread).
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

import yaml

import churn
from authority import Authority

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SERVICE_ACCOUNT = "system:serviceaccount:kube-system:vipkeeper"
# What the API server calls its own Service, and the first address of the range below.
NAMES = ("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:localhost", "IP:127.0.0.1", "IP:10.96.0.1")
SERVICE_RANGE = "10.96.0.0/16"
RESOURCES = {
    "ConfigMap": ("/api/v1", "configmaps"), "Service": ("/api/v1", "services"), "Pod": ("/api/v1", "pods"),
    "Secret": ("/api/v1", "secrets"), "ServiceAccount": ("/api/v1", "serviceaccounts"), "Node": ("/api/v1", "nodes"),
    "Namespace": ("/api/v1", "namespaces"), "Event": ("/apis/events.k8s.io/v1", "events"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"), "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"), "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "FlowSchema": ("/apis/flowcontrol.apiserver.k8s.io/v1", "flowschemas"),
    "PriorityLevelConfiguration": ("/apis/flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations"),
}
CLUSTER_SCOPED = {"Node", "Namespace", "ClusterRole", "ClusterRoleBinding", "FlowSchema", "PriorityLevelConfiguration"}
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [SERVICE_ACCOUNT]}, {"level": "None"}],
}


class ControlPlaneError(RuntimeError):
    """The control plane did not do what it was told; the text says why and, where there is one, the remedy."""


def programs(*more):
    """{KUBE_APISERVER, KUBECTL, ETCD, ETCDCTL: path}; an Error with the remedy if one is missing. `more`: an option of build."""
    done = subprocess.run([HERE / "build", *more, "--print"], capture_output=True, text=True)
    if done.returncode != 0:
        raise ControlPlaneError(done.stderr.strip())
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


class ControlPlane:
    programs_of_build = ()

    def __init__(self, directory, address="127.0.0.1", port=0, etcd=None, on_main_thread=lambda function: function()):
        """`port` 0 takes any free one; `etcd` names another program than the one built."""
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.programs = programs(*self.programs_of_build)
        self.address, self.port = address, port or free_port(address)
        self.default_etcd, self._on_main_thread = etcd or self.programs["ETCD"], on_main_thread
        self.etcd_program, self.watch_cache = self.default_etcd, True
        self.processes = {}
        self.storm_occupant = None
        self._connections = threading.local()
        self._make_files()

    # Starting and stopping

    def start(self, watch_cache=True, etcd=None):
        """From nothing: an empty etcd, an API server that is ready, and rbac/ applied."""
        self.stop()
        self.watch_cache, self.etcd_program = watch_cache, etcd or self.default_etcd
        subprocess.run(["rm", "-rf", self.directory / "etcd"], check=True)
        self.etcd_ports = [free_port("127.0.0.1"), free_port("127.0.0.1")]
        self.start_etcd()
        self.start_api_server()
        wait_for(lambda: self.request("GET", "/api/v1/namespaces/kube-system")[0] == 200, 30, "the namespace kube-system")
        self.begin()

    def begin(self):
        """What a new cluster has."""
        self.apply_rbac()

    def start_etcd(self):
        """Starts etcd with the data that is there, where the API server looks for it."""
        url, peer_url = (f"http://127.0.0.1:{port}" for port in self.etcd_ports)
        self._spawn("etcd", [
            self.etcd_program, "--data-dir", self.directory / "etcd", "--name=tests", "--unsafe-no-fsync", "--log-level=warn",
            "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
            "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"tests={peer_url}"])
        self._wait("etcd", lambda: get(self.etcd_ports[0], "/health") == 200)

    def start_api_server(self, wait=True):
        at = self.directory
        self._spawn("kube-apiserver", [
            self.programs["KUBE_APISERVER"], f"--etcd-servers=http://127.0.0.1:{self.etcd_ports[0]}",
            f"--bind-address={self.address}", f"--advertise-address={self.address}", f"--secure-port={self.port}",
            f"--tls-cert-file={at}/server.crt", f"--tls-private-key-file={at}/server.key",
            f"--client-ca-file={at}/client-ca.crt", f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--api-audiences=https://kubernetes.default.svc",
            f"--service-account-key-file={at}/accounts.key", f"--service-account-signing-key-file={at}/accounts.key",
            f"--audit-log-path={at}/audit.log", f"--audit-policy-file={at}/audit-policy.json",
            # The pods of daemonset.yaml have a privileged container.
            "--allow-privileged=true", "--profiling=false", f"--watch-cache={'true' if self.watch_cache else 'false'}",
            *self.api_server_options()])
        if wait:
            self._wait("kube-apiserver", self.ready)

    def api_server_options(self):
        """No controller runs here that would make accounts, and nobody asks for the API server by its own Service."""
        return ["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"]

    def stop(self):
        """All gone, at once: a SIGTERM would be a minute's drain."""
        for name in list(self.processes):
            self.kill(name)

    def kill(self, name="kube-apiserver"):
        """SIGKILL, and waits until it is gone."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()
        return time.time()

    def freeze(self, name="kube-apiserver"):
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name="kube-apiserver"):
        self.processes[name].send_signal(signal.SIGCONT)

    def running(self, name="kube-apiserver"):
        return name in self.processes and self.processes[name].poll() is None

    def ready(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/readyz", timeout=2)[0] == 200
        return False

    def restore(self):
        """After whatever a test did: both running, and no object but those of a new cluster with rbac/ in it."""
        for name in self.processes:
            self.thaw(name)
        if not (self.running("etcd") and self.watch_cache and self.etcd_program == self.default_etcd):
            self.start()
        elif not self.running():
            self.start_api_server()
        self.end_storm()
        for kind, namespaces in (("Service", ("default",)), ("EndpointSlice", ("default",)), ("ConfigMap", ("kube-system",)),
                                 ("Pod", ("kube-system",)), ("DaemonSet", ("kube-system",)), ("Secret", ("kube-system",)),
                                 ("ServiceAccount", ("kube-system",)), ("RoleBinding", ("kube-system",)), ("Node", ("",)),
                                 ("Event", ("kube-system", "default"))):
            for namespace in namespaces:
                # All but the API server's own Service.
                self._checked("DELETE", path_of(kind, namespace) + "?fieldSelector=metadata.name!%3Dkubernetes", {"gracePeriodSeconds": 0})
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            self.delete(kind, "vipkeeper", "")
        self.apply_rbac()

    # Asking it, as an administrator

    def request(self, method, path, body=None, content_type="application/json", timeout=20, user=None):
        """(status, parsed body, or its text). Over a connection that is kept; once more on a new one if that was dead. As that
        `user`, where one is named."""
        for attempt in (0, 1):
            connection = getattr(self._connections, "one", None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPSConnection(self.address, self.port, context=self._context(), timeout=timeout)
                self._connections.one = connection
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                data = None if body is None else json.dumps(body)
                headers = {"Content-Type": content_type} if data else {}
                if user:
                    headers["Impersonate-User"] = user
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                raw = answer.read().decode()
                return answer.status, json.loads(raw) if answer.getheader("Content-Type", "").startswith("application/json") else raw
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._connections.one = None
                if fresh or attempt or isinstance(error, TimeoutError):
                    raise

    def apply(self, objects, timeout=20):
        """Server-side apply of each object (status included, where the kind has one to be written apart); what they are now."""
        found = []
        for value in objects:
            kind, metadata = value["kind"], value["metadata"]
            path = path_of(kind, metadata.get("namespace", "default"), metadata["name"])
            query = "?fieldManager=tests&force=true"
            if "status" in value:
                bare = {key: part for key, part in value.items() if key != "status"}
                self._checked("PATCH", path + query, bare, "application/apply-patch+yaml", timeout)
                path += "/status"
            found.append(self._checked("PATCH", path + query, value, "application/apply-patch+yaml", timeout))
        return found

    def apply_rbac(self):
        """What rbac/ has, as it is."""
        self.apply([value for file in sorted((REPOSITORY / "rbac").glob("*.yaml")) for value in yaml.safe_load_all(file.read_text())])

    def timed_apply(self, objects):
        """The same; how long the server took to answer, in seconds."""
        began = time.monotonic()
        self.apply(objects)
        return time.monotonic() - began

    def delete(self, kind, name, namespace="default", timeout=20):
        """Whether it was there."""
        status, body = self.request("DELETE", path_of(kind, namespace, name), {"gracePeriodSeconds": 0}, timeout=timeout)
        if status not in (200, 202, 404):
            raise ControlPlaneError(f"DELETE {kind} {namespace}/{name}: {status} {body}")
        return status != 404

    def get(self, kind, name="", namespace="default"):
        """An object, or the list of a kind."""
        return self._checked("GET", path_of(kind, namespace, name))

    def kubectl(self, *arguments, input=None, check=True, timeout=60):
        """Runs kubectl as the administrator, in the repository; {"code", "out", "err"}."""
        done = subprocess.run([self.programs["KUBECTL"], "--kubeconfig", self.directory / "admin.kubeconfig", "--cache-dir",
                               self.directory / "kubectl", *map(str, arguments)],
                              capture_output=True, text=True, input=input, cwd=REPOSITORY, timeout=timeout)
        if check and done.returncode != 0:
            raise ControlPlaneError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return {"code": done.returncode, "out": done.stdout, "err": done.stderr}

    def account_files(self, bound_to=None, seconds=3600):
        """What a pod of the ServiceAccount has mounted: {"token", "ca.crt", "namespace"}. A token that is `bound_to` a Secret of
        that name ends with it."""
        spec = {"expirationSeconds": seconds}
        if bound_to:
            [secret] = self.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": bound_to, "namespace": "kube-system"}}])
            spec["boundObjectRef"] = {"kind": "Secret", "apiVersion": "v1", "name": bound_to, "uid": secret["metadata"]["uid"]}
        answer = self._checked("POST", path_of("ServiceAccount", "kube-system", "vipkeeper") + "/token",
                               {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return {"token": answer["status"]["token"], "ca.crt": self.authority.certificate.read_text(), "namespace": "kube-system"}

    def audit_position(self):
        """Where the audit log ends now, for audit()."""
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "audit.log").stat().st_size
        return 0

    def audit(self, since=0):
        """The requests of the ServiceAccount from that position on: [{"verb", "uri", "code", "stage", "source", "time"}]. A watch
        has two entries: stage ResponseStarted when it begins, ResponseComplete when it ends."""
        with open(self.directory / "audit.log", "rb") as log:
            log.seek(since)
            lines = log.read().splitlines()
        found = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):  # the last line may be half written
                event = json.loads(line)
                found.append({"verb": event["verb"], "uri": event["requestURI"], "code": event.get("responseStatus", {}).get("code"),
                              "stage": event["stage"], "source": event["sourceIPs"][0], "time": event["requestReceivedTimestamp"]})
        return found

    # Misbehaving

    def compact(self):
        """etcd forgets every revision but the newest. The watch cache hides it: start(watch_cache=False)."""
        version = self.etcdctl("endpoint", "status", "--write-out=json")
        self.etcdctl("compact", str(json.loads(version)[0]["Status"]["header"]["revision"]))

    def etcdctl(self, *arguments):
        done = subprocess.run([self.programs["ETCDCTL"], "--endpoints", f"127.0.0.1:{self.etcd_ports[0]}", *arguments],
                              capture_output=True, text=True, timeout=20, env={**os.environ, "ETCDCTL_API": "3"})
        if done.returncode != 0:
            raise ControlPlaneError(f"etcdctl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def begin_storm(self):
        """Every request of the ServiceAccount is answered with 429, by the server's own Priority and Fairness, from its return on
        and for less than a minute. A level without a share still serves one request at a time: one whose body never comes."""
        level = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration", "metadata": {"name": "storm"},
                 "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
                                                         "limitResponse": {"type": "Reject"}}}}
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
        schema = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": "storm"},
                  "spec": {"priorityLevelConfiguration": {"name": "storm"}, "matchingPrecedence": 2, "rules": [{
                      "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "vipkeeper", "namespace": "kube-system"}}],
                      "resourceRules": [everything],
                      "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}}
        self.apply([level, schema])
        wait_for(lambda: self._storm_blows() or self._occupy_storm(), 20, "429 to the ServiceAccount")

    def end_storm(self):
        if self.storm_occupant is not None:
            self.storm_occupant.close()
            self.storm_occupant = None
        if self.delete("FlowSchema", "storm", "") | self.delete("PriorityLevelConfiguration", "storm", ""):
            wait_for(lambda: not self._storm_blows(), 20, "the end of 429 to the ServiceAccount")

    def _occupy_storm(self):
        if self.storm_occupant is not None:
            self.storm_occupant.close()
        self.storm_occupant = http.client.HTTPSConnection(self.address, self.port, context=self._context(), timeout=20)
        self.storm_occupant.putrequest("POST", path_of("Event", "default"))
        for name, value in (("Impersonate-User", SERVICE_ACCOUNT), ("Content-Type", "application/json"), ("Content-Length", "1000")):
            self.storm_occupant.putheader(name, value)
        self.storm_occupant.endheaders()

    def _storm_blows(self):
        """The server takes what it is told of Priority and Fairness to heart some time after its answer."""
        return self.request("GET", path_of("Service", "default"), user=SERVICE_ACCOUNT)[0] == 429

    def rotate_authority(self):
        """A new authority signs the serving certificate, and the server is started again with it."""
        self.kill()
        self._make_server_certificate(f"ca-{time.monotonic_ns()}")
        self.start_api_server()

    def cut_connections(self):
        """Every connection of a client on another host is reset."""
        done = subprocess.run(["ss", "--kill", "--tcp", "--no-header", "state", "established", "sport", "=", f":{self.port}", "and",
                               "not", "dst", self.address], capture_output=True, text=True)
        if done.returncode != 0:
            raise ControlPlaneError(f"ss --kill: {done.stderr.strip()}")
        return len(done.stdout.splitlines())

    def rotate_account_key(self):
        """Every token so far is void, as an expired one is: the server is started again with another key."""
        self.kill()
        self._make_account_key()
        self.start_api_server()

    def start_churn(self, seed, rate, fixed):
        """Objects that change all the time (churn.py), beside whatever else is called."""
        self.churn = churn.Churn(self, seed, rate, fixed)
        self.churn.start()

    def stop_churn(self):
        return self.churn.stop()

    def expected(self):
        return churn.expected_table(self)

    def log(self, name="kube-apiserver", lines=40):
        return "\n".join((self.directory / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    # Its parts

    def _checked(self, method, path, body=None, content_type="application/json", timeout=20):
        status, answer = self.request(method, path, body, content_type, timeout)
        if status >= 300:
            raise ControlPlaneError(f"{method} {path}: {status} {answer['message'] if isinstance(answer, dict) else answer}")
        return answer

    def _make_files(self):
        clients = Authority(self.directory, "client-ca")
        certificate, key = clients.issue("admin", "/O=system:masters/CN=admin")
        self._make_account_key()
        (self.directory / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
        self._make_server_certificate("ca")
        (self.directory / "admin.kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": self.url, "certificate-authority": str(self.directory / "ca.pem")}}],
            "users": [{"name": "admin", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}]}))

    def _make_account_key(self):
        subprocess.run(["openssl", "genrsa", "-out", self.directory / "accounts.key", "2048"], check=True, capture_output=True)

    @property
    def url(self):
        return f"https://{self.address}:{self.port}"

    def _make_server_certificate(self, authority):
        self.authority = Authority(self.directory, authority)
        self.authority.issue("server", "/CN=kube-apiserver", dict.fromkeys([*NAMES, f"IP:{self.address}"]))
        (self.directory / "ca.pem").write_text(self.authority.certificate.read_text())

    def _context(self):
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        context.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        return context

    def _spawn(self, name, argv):
        def spawn():
            with open(self.directory / f"{name}.log", "ab") as log:
                self.processes[name] = subprocess.Popen(
                    [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                    preexec_fn=die_with_parent)
        self._on_main_thread(spawn)

    def _wait(self, name, ready):
        deadline = time.monotonic() + 90
        while not ready():
            if not self.running(name) or time.monotonic() > deadline:
                raise ControlPlaneError(f"{name} did not get ready; its log ends:\n{self.log(name)}")
            time.sleep(0.05)


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def path_of(kind, namespace, name=""):
    group, plural = RESOURCES[kind]
    scope = "" if kind in CLUSTER_SCOPED or not namespace else f"/namespaces/{namespace}"
    return f"{group}{scope}/{plural}" + (f"/{name}" if name else "")


def free_port(address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
        one.bind((address, 0))
        return one.getsockname()[1]


def get(port, path):
    """The status of a plain HTTP answer from loopback, or 0."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
