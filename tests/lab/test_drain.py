"""Endpoints that end: connections that go on, flows that find another, and what is refused while nobody is there."""

import contextlib
import errno
import socket
import time

import pytest

from vklab import Manifests, config_map, endpoint_slice, holds_for, node as node_object, service, wait_until
from vklab.ipvs import Real, TableReader
from vklab.routed import RoutedSite

pytestmark = pytest.mark.ipvs
VIP = "192.0.2.50"
HTTP, LOG = ("http", 80, 8080), ("log", 514, 8080, "UDP")
FIRST, SECOND = "10.2.1.2", "10.2.2.2"
NODES = {FIRST: "node1", SECOND: "node2"}
NAMES = {FIRST: "web-1 on node1", SECOND: "web-2 on node2"}
ENDING = {"ready": False, "serving": True, "terminating": True}
# A datagram that IPVS has to drop in order to end the old entry, the answer of the next, and a guest that is late.
SOON = 1.5


class Site(RoutedSite):
    """Two nodes with a pod each. The first runs vipkeeper: connections to its own pod are not masqueraded, to the other's they are."""

    def __init__(self, lab, **options):
        super().__init__(lab, nodes=2)
        self.holder = self.nodes[0]
        self.manifests = Manifests(lab.directory / "manifests")
        self.manifests.put(node_object("node1", "192.0.2.11"))
        self.options = options
        self.put_service()
        self.put_endpoints(FIRST, SECOND)
        self.manifests.put(config_map({VIP: "default/web"}))
        self.holder.start_vipkeeper(self.manifests.directory)
        self.holder.wait_ready()
        self.reader = TableReader(self.holder)
        self.settle(udp={FIRST: 1, SECOND: 1})
        wait_until(lambda: self.holder.holds(VIP), 20, "the VIP held")
        wait_until(lambda: self.holder.status()["return_path"]["in_place"], 20, "the rules of the return path made")

    def put_service(self):
        self.manifests.put(service("web", [HTTP, LOG], **self.options))

    def put_endpoints(self, *endpoints):
        self.manifests.put(endpoint_slice("web", endpoints, [("http", 8080), ("log", 8080, "UDP")], nodes=NODES))

    def settle(self, **wanted):
        """`tcp`, `udp`: {address: weight} of the port's real servers."""
        for protocol, weights in wanted.items():
            reals = {f"{address}:8080": Real("masquerade", weight) for address, weight in weights.items()}
            port = {"tcp": 80, "udp": 514}[protocol]
            wait_until(lambda: self.reader.reals(protocol, VIP, port) == reals, 20, f"the real servers {reals}")

    def connect(self):
        """A connection to the VIP, and the address of the pod that it is with."""
        with self.client.network():
            connection = socket.create_connection((VIP, 80), 2)
        port = connection.getsockname()[1]
        for address in NODES:
            if self.connections_of(port, address):
                return connection, address
        raise AssertionError("a connection with none of the pods")

    def connections_of(self, port, address):
        listed = self.holder.run(["ipvsadm", "-Lnc"]).stdout.splitlines()
        return [line for line in listed if f":{port} " in line and f"{address}:8080" in line]


def answer_on(connection):
    connection.sendall(b"who?")
    return connection.recv(256).decode().rpartition(" ")[0]


class Flow:
    """A client that sends a datagram from one port every few milliseconds. Only what comes back from the VIP is an answer."""

    def __init__(self, host, address, port, interval=0.02):
        self.interval = interval
        with host.network():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))
        self.socket.setblocking(False)

    def run(self, seconds, until=None):
        """Sends for so long, or until one of that name answers: who answered last, and after how many seconds."""
        began, last, due = time.monotonic(), None, 0.0
        while (now := time.monotonic()) < began + seconds:
            if now >= due:
                due = now + self.interval
                with contextlib.suppress(OSError):  # refused just now
                    self.socket.send(b"what?")
            with contextlib.suppress(OSError):
                last = self.socket.recv(256).removeprefix(b"what?").decode()
                if until in ("anybody", last):
                    return last, time.monotonic() - began
            time.sleep(0.002)
        return last, None

    def close(self):
        self.socket.close()


def the_other(name):
    (other,) = set(NAMES.values()) - {name}
    return other


def address_of(name):
    return next(address for address, other in NAMES.items() if other == name)


@pytest.fixture
def flow(request):
    flows = []
    yield lambda site: flows.append(Flow(site.client, VIP, 514)) or flows[-1]
    for one in flows:
        one.close()


def answered(flow):
    """Who answers this flow, now that somebody does."""
    name, _ = flow.run(20, until="anybody")
    assert name, "no answer to a UDP flow"
    return name


def test_a_connection_goes_on_while_its_endpoint_drains_and_new_ones_go_elsewhere(lab):
    site = Site(lab)
    connection, address = site.connect()
    (other,) = set(NODES) - {address}
    metrics = kernel_commands(site)
    site.put_endpoints((address, ENDING), other)
    site.settle(tcp={address: 0, other: 1}, udp={address: 0, other: 1})
    assert {site.client.ask(VIP, 80) for _ in range(12)} == {NAMES[other]}
    (drained,) = [server for one in site.holder.status()["virtual_services"] if one["protocol"] == "tcp"
                  for server in one["real_servers"] if server["address"] == address]
    assert drained["draining"] and drained["alive"] and drained["weight"] == 0 and drained["active_connections"] >= 1
    assert "draining" in site.holder.vipkeeper("status", "--run-dir", "/run/vipkeeper").stdout
    # It accepts no more, which a check would hold against it within some 10 s, and answers what it accepted.
    lab.hosts["web-1" if address == FIRST else "web-2"].run(["iptables-legacy", "-A", "INPUT", "-p", "tcp", "--syn", "-j", "DROP"])
    kept = site.reader.reals("tcp", VIP, 80)
    holds_for(lambda: site.reader.reals("tcp", VIP, 80) == kept, 14, f"{address} in the kernel")
    assert answer_on(connection) == NAMES[address]
    connection.close()
    site.put_endpoints(other)
    site.settle(tcp={other: 1}, udp={other: 1})
    # Of two ports: a change of the weight each, and a deletion each.
    assert kernel_commands(site) - metrics == 4


def kernel_commands(site):
    return sum(value for name, value in site.holder.metrics().items() if name.startswith("vipkeeper_kernel_operations_total"))


def test_a_persistent_client_leaves_an_endpoint_that_drains(lab):
    site = Site(lab, persistence="30m")
    bound = {site.client.ask(VIP, 80) for _ in range(5)}
    assert len(bound) == 1
    address = address_of(min(bound))
    (other,) = set(NODES) - {address}
    site.put_endpoints((address, ENDING), other)
    site.settle(tcp={address: 0, other: 1})
    assert {site.client.ask(VIP, 80) for _ in range(5)} == {NAMES[other]}


@pytest.mark.parametrize("persistence", ["0", "30m"])
def test_a_udp_flow_whose_endpoint_is_gone_is_answered_by_another(lab, flow, persistence):
    site = Site(lab, persistence=persistence)
    one = flow(site)
    name = answered(one)
    other = the_other(name)
    site.put_endpoints(address_of(other))
    lab.hosts["web-1" if name == NAMES[FIRST] else "web-2"].cut_off()
    site.settle(udp={address_of(other): 1})
    _, seconds = one.run(10, until=other)
    assert seconds is not None and seconds < SOON, f"{other} answered after {seconds} s"
    # And so it goes on.
    assert one.run(0.5)[0] == other


@pytest.mark.parametrize("persistence", ["0", "30m"])
def test_a_udp_flow_whose_endpoint_fails_its_check_is_answered_by_another(lab, flow, persistence):
    site = Site(lab, persistence=persistence, health_check="{type: tcp, port: 8080, interval: 1s, timeout: 1s, retries: 0}")
    one = flow(site)
    name = answered(one)
    other = the_other(name)
    lab.hosts["web-1" if name == NAMES[FIRST] else "web-2"].cut_off()
    # As long as it takes to find out.
    _, seconds = one.run(20, until=other)
    assert seconds is not None and seconds < 4 + SOON, f"{other} answered after {seconds} s"
    assert one.run(0.5)[0] == other
    site.settle(udp={address_of(other): 1})


def test_a_udp_flow_that_drains_stays_with_its_endpoint_until_that_is_gone(lab, flow):
    site = Site(lab)
    one = flow(site)
    name = answered(one)
    other = the_other(name)
    site.put_endpoints((address_of(name), ENDING), address_of(other))
    site.settle(udp={address_of(name): 0, address_of(other): 1})
    assert one.run(1)[0] == name
    site.put_endpoints(address_of(other))
    site.settle(udp={address_of(other): 1})
    _, seconds = one.run(10, until=other)
    assert seconds is not None and seconds < SOON


def test_a_port_without_endpoints_refuses_at_once_whatever_listens_on_the_node(lab):
    site = Site(lab)
    site.holder.serve("not-this", tcp=(80,), udp=(514,))
    site.put_endpoints()
    site.settle(tcp={}, udp={})
    assert {"tcp 192.0.2.50:80", "udp 192.0.2.50:514"} <= set(site.holder.ipvs())
    with site.client.network():
        connection, datagrams = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with connection, datagrams:
        connection.settimeout(2)
        began = time.monotonic()
        with pytest.raises(OSError) as refusal:
            connection.connect((VIP, 80))
        assert refusal.value.errno == errno.ECONNREFUSED and time.monotonic() - began < 1
        datagrams.settimeout(2)
        datagrams.connect((VIP, 514))
        datagrams.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            datagrams.recv(100)


def test_a_udp_flow_goes_on_through_a_time_without_endpoints(lab, flow):
    site = Site(lab)
    one = flow(site)
    answered(one)
    site.put_endpoints()
    site.settle(udp={})
    one.run(1)
    assert one.run(1)[0] is None
    for address in (SECOND, FIRST):  # one to be masqueraded, one on this node
        site.put_endpoints(address)
        site.settle(udp={address: 1})
        _, seconds = one.run(10, until=NAMES[address])
        assert seconds is not None and seconds < SOON, f"{NAMES[address]} answered after {seconds} s"


def test_a_udp_flow_goes_on_when_its_service_goes_and_comes_back(lab, flow):
    """Meanwhile the node's own kernel answers it, and remembers that it is not to be masqueraded."""
    site = Site(lab)
    one = flow(site)
    answered(one)
    site.manifests.remove("Service", "web")
    wait_until(lambda: not site.holder.ipvs(), 20, "no virtual service left")
    one.run(2)
    site.put_endpoints(SECOND)
    site.put_service()
    site.settle(udp={SECOND: 1})
    _, seconds = one.run(20, until=NAMES[SECOND])
    assert seconds is not None and seconds < 2 * SOON, f"{NAMES[SECOND]} answered after {seconds} s"
