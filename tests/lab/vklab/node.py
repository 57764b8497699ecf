"""Nodes, that run vipkeeper or keepalived, and pods, that answer."""

import json
import os
import pathlib

from .hosts import Host
from .ipvs import read_table
from .waiting import wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
CONFIGURATION = "/etc/keepalived/keepalived.conf"
RUN_DIRECTORY = "/run/vipkeeper"


def vipkeeper_program():
    """The program under test: $VIPKEEPER, else the release build."""
    program = pathlib.Path(os.environ.get("VIPKEEPER") or REPOSITORY / "build" / "vipkeeper")
    if not program.exists():
        raise AssertionError(f"no program at {program}: `make build` makes it, or name another with VIPKEEPER=PATH")
    return program


class Node(Host):
    """A node of the cluster: forwards packets, runs one VIP program at a time."""

    def __init__(self, lab, name):
        super().__init__(lab, name)
        self.sysctl("net.ipv4.ip_forward", 1)
        self.sysctl("net.ipv4.conf.all.send_redirects", 0)
        self.program = None

    # Starting

    def start_keepalived(self, text, *options):
        """Debian's keepalived with this configuration, as kube-keepalived-vip starts it."""
        self.path(CONFIGURATION).write_text(text)
        self.program = self.start("keepalived", ["keepalived", "--dont-fork", "--log-console", "--log-detail",
                                                 "--use-file", CONFIGURATION, *options],
                                  {"TMPDIR": "/run"})
        return self.program

    def start_engine(self, text, *options, before_exec=None):
        """`vipkeeper engine` with this configuration, its HTTP on port 8080."""
        self.path(CONFIGURATION).write_text(text)
        self.program = self.start("vipkeeper", [
            vipkeeper_program(), "engine", "-f", CONFIGURATION, "--run-dir", RUN_DIRECTORY,
            "--http-address", "127.0.0.1", "--http-port", "8080", *options], before_exec=before_exec)
        return self.program

    def start_router(self, program, text):
        """One of the two by name, for stories that both must tell."""
        return {"keepalived": self.start_keepalived, "vipkeeper": self.start_engine}[program](text)

    def start_vipkeeper(self, manifests=None, configmap="default/vip-configmap", advert=0.3, vrid=50, options=(),
                        environment=None, before_exec=None):
        """`vipkeeper run`: controller and engine, as the DaemonSet starts it, fed from a directory of manifests."""
        argv = [vipkeeper_program(), "run", f"--services-configmap={configmap}", "--node-name", self.name,
                "--iface", "eth0", "--advert-interval", advert, "--vrid", vrid, "--run-dir", RUN_DIRECTORY,
                "--config-file", CONFIGURATION, "--http-port", "8080", *options]
        if manifests:
            argv += ["--manifests", manifests]
        self.program = self.start("vipkeeper", argv, environment, before_exec)
        return self.program

    def reload(self, text):
        """A new configuration for keepalived or the engine: written in one piece, then SIGHUP."""
        new = self.path(CONFIGURATION + ".new")
        new.write_text(text)
        new.rename(self.path(CONFIGURATION))
        self.program.reload()

    # Asking

    def vipkeeper(self, *arguments, check=True):
        """Runs a vipkeeper command here."""
        return self.run([vipkeeper_program(), *arguments], check=check)

    def status(self):
        """`vipkeeper status --json`, as a value."""
        return json.loads(self.vipkeeper("status", "--json", "--run-dir", RUN_DIRECTORY).stdout)

    def live_status(self):
        """The same over HTTP: no process to start."""
        code, body = self.http(8080, "/status")
        assert code == 200, body
        return json.loads(body)

    def metrics(self):
        """{name with labels: value} of /metrics."""
        code, body = self.http(8080, "/metrics")
        assert code == 200, body
        lines = [line.rpartition(" ") for line in body.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def wait_ready(self, timeout=20):
        """Until /ready says 200: a desired state has been applied once."""
        wait_until(lambda: self._alive() and self.http(8080, "/ready")[0] == 200, timeout, f"{self.name} ready")

    def _alive(self):
        if not self.program.running:
            raise RuntimeError(f"{self.name}: {self.program.name} ended with {self.program.process.returncode}: "
                               f"{self.program.log()[-2000:]}")
        return True

    def ipvs(self):
        """The kernel's IPVS table here."""
        return read_table(self)


class Pod(Host):
    """Something behind a Service. Answers HTTP on TCP 80 and 8080 and echoes on UDP 80 and 8080, unless told other ports."""

    PORTS = (80, 8080)  # direct routing cannot change the port, so 80 as well

    def settle(self, gateway, direct_routing, under=None, tcp=PORTS, udp=PORTS, sctp=()):
        for one in [gateway] if isinstance(gateway, str) else gateway or ():
            self.route("default", one)
        if direct_routing:
            # It must take packets for the VIP, and never say on the wire that the VIP is here.
            self.sysctl("net.ipv4.conf.all.arp_ignore", 1)
            self.sysctl("net.ipv4.conf.all.arp_announce", 2)
            for vip in direct_routing:
                self.add_address(f"{vip}/128" if ":" in vip else f"{vip}/32", "lo")
        self.serve(under or self.name, tcp, udp, [*self.own_addresses(), *direct_routing], sctp)

    def own_addresses(self):
        """That of IPv4 first."""
        own = (a.split("/")[0] for a in self.addresses()["eth0"] if not a.startswith("fe80:"))
        return sorted(own, key=lambda address: ":" in address)

    def own_address(self):
        return self.own_addresses()[0]
