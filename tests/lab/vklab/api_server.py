"""The API server of the tests (tests/apiserver) on a host of the lab: objects are put into its directory, and it tells them on."""

import contextlib
import http.client
import json
import pathlib
import socket

from .manifests import Manifests
from .servers import http_get
from .waiting import wait_until

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "apiserver" / "apiserver.py"
PORT = 6443


class ApiServer(Manifests):
    """Serves the objects that are `put`, at `address` of `host`; they outlive a kill of the server, as etcd's do."""

    def __init__(self, host, address):
        super().__init__(host.directory / "objects")
        self.host, self.address = host, address
        self.start()

    @property
    def url(self):
        return f"http://{self.address}:{PORT}"

    def start(self):
        self.program = self.host.start("api-server", ["/usr/bin/python3", "-B", PROGRAM, "--listen", f"{self.address}:{PORT}",
                                                      "--objects", self.directory])
        wait_until(self._ready, 20, "the API server of the tests to answer")

    def ask(self, path, method="GET", body=None):
        """One request from its own host; (status, value)."""
        with self.host.network():
            connection = http.client.HTTPConnection(self.address, PORT, timeout=5)
            connection.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def events(self, namespace="default"):
        """The Events of a namespace."""
        return self.ask(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")[1]["items"]

    def ingress(self, service, namespace="default"):
        """status.loadBalancer.ingress of a Service."""
        found = self.ask(f"/api/v1/namespaces/{namespace}/services/{service}")[1]
        return found.get("status", {}).get("loadBalancer", {}).get("ingress", [])

    def writes(self):
        """The requests so far that were no GET: "PATCH /api/v1/..."."""
        return [line for line in self.ask("/_requests")[1].splitlines() if not line.startswith("/")]

    def forbid(self, method, part):
        """Requests of this method whose path has this part are answered with 403 from now on."""
        self.ask(f"/_forbid?method={method}&path={part}", "POST")

    def allow_all(self):
        self.ask("/_forbid", "POST")

    def _ready(self):
        with self.host.network():
            connection = socket.socket()
        return http_get(connection, (self.address, PORT), "/readyz")[0] == 200
