"""The API server of the tests (tests/apiserver) on a host of the lab: objects are put into its directory, and it tells them on."""

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

    def _ready(self):
        with self.host.network():
            connection = socket.socket()
        return http_get(connection, (self.address, PORT), "/readyz")[0] == 200
