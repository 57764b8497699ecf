"""Where packets go: every method, client, place of the endpoint, protocol and family, one request each, and whom the endpoint saw.

What is expected is the table in vklab/data_path.py, which docs/data-path.md explains row by row; a test's id begins with its row.
All is asked at once, before the first test, of one lab that all of them share.
"""

import socket
import subprocess

import pytest

from vklab import Lab, virtual_server_text, vrrp_text, wait_until
from vklab.asking import Question, ask_all
from vklab.data_path import CLIENTS, FAMILIES, METHODS, PLACES, PROTOCOLS, WAYS
from vklab.routed import RoutedSite, bare, lan_address, pod_address

pytestmark = [pytest.mark.ipvs, pytest.mark.masquerade]
WIRES = [(protocol, family) for family in FAMILIES for protocol in PROTOCOLS]
PORTS = (80, 8080)  # of the virtual services and, where the port may change, of the endpoints


def vip(method, place, family):
    number = 150 + 10 * list(METHODS).index(method) + PLACES.index(place)
    return bare(lan_address(number))[FAMILIES.index(family)]


def taken_at(place):
    """The VIPs that an endpoint has to hold itself."""
    return [vip(method, place, family) for method in ("dr", "tun") for family in FAMILIES]


class Paths:
    """The lab: every node runs vipkeeper and node1 is the holder; web-1 on it is the endpoint here, web-2 on node2 the one there,
    edge that on the segment."""

    def __init__(self, lab):
        self.lab = lab
        served = dict(tcp=PORTS, udp=PORTS, sctp=PORTS)
        site = RoutedSite(lab, direct_routing=lambda node: taken_at(PLACES[node - 1]) if node <= 2 else (), **served)
        self.holder, _, backup = site.nodes
        edge = site.add_edge(taken_at("segment"), **served)
        self.holder.serve("node1", addresses=[*bare(lan_address(11)), *taken_at("host")], **served)
        self.endpoints = dict(zip(PLACES, (site.pods[0], site.pods[1], edge, self.holder)))
        self.clients = dict(zip(CLIENTS, (site.client, site.far_client, self.holder, backup, *site.idle_pods[:2])))
        for endpoint in self.endpoints.values():
            unpack_tunnels(endpoint)
        for host in lab.hosts.values():
            host.sysctl("net.sctp.rto_initial", 500)
        for number, node in enumerate(site.nodes, 1):
            node.start_engine(self.text(number))
        for node in site.nodes:
            node.wait_ready()
        vips = [[vip(method, place, family) for method in METHODS for place in PLACES] for family in FAMILIES]
        for address in vips[1]:  # vipkeeper does not hold IPv6 addresses yet
            self.holder.add_address(f"{address}/128", "eth0", preferred=False)
        for address in vips[0]:
            lab.wait_for_holder(address, self.holder.name)

    def text(self, node):
        """The configuration of a node, by its number: a VIP for each method and place."""
        parts = [vrrp_text(110 - node, [vip(method, place, "ipv4") for method in METHODS for place in PLACES])]
        on_this_node = {1: ("here", "host"), 2: ("there",)}.get(node, ())
        for method, name in METHODS.items():
            for place, endpoint in self.endpoints.items():
                for protocol, family in WIRES:
                    address = self.address_of(place, family)
                    parts.append(virtual_server_text(
                        vip(method, place, family), PORTS[0], [(address, PORTS[1] if name == "NAT" else PORTS[0])],
                        protocol=protocol.upper(), method=name, check=None, masquerade=method if name == "NAT" else None,
                        here=[address] if place in on_this_node else []))
        return "".join(parts)

    def address_of(self, place, family):
        return bare({"here": pod_address(1, 2), "there": pod_address(2, 2), "segment": lan_address(60),
                     "host": lan_address(11)}[place])[FAMILIES.index(family)]

    def client_of(self, way):
        return self.endpoints[way.place] if way.client == "itself" else self.clients[way.client]

    def bound_to(self, way, protocol, family):
        """SCTP tells its peer of every address that it may use, and no NAT finds them in there: who has several binds to one."""
        several = way.client == "itself" and METHODS[way.method] == "NAT"  # the endpoints have the VIPs of DR and TUN as well
        return self.address_of(way.place, family) if protocol == "sctp" and several else None

    def source_of(self, way, family):
        """The address that the endpoint has to see, if any."""
        whose = way.seen[family]
        if whose == "vip":
            return vip(way.method, way.place, family)
        addresses = {
            "own": {"outside": lan_address(100), "routed": ("198.51.100.100", "2001:db8:ff::100"), "holder": lan_address(11),
                    "node": lan_address(13), "pod_on_holder": pod_address(1, 9), "pod_elsewhere": pod_address(2, 9)}.get(way.client),
            "node": pod_address(1, 1) if way.place == "here" else lan_address(11)}
        return whose and bare(addresses[whose])[FAMILIES.index(family)]

    def expected(self, way, family):
        """(name of the endpoint, address it sees), or None."""
        names = {"here": "web-1 on node1", "there": "web-2 on node2", "segment": "edge", "host": "node1"}
        return (names[way.place], self.source_of(way, family)) if way.seen[family] else None

    def ask(self, ways, patience=30, grace=1.5):
        """{(way, protocol, family): Question}, all asked at once."""
        asked = {(way, protocol, family): Question(self.client_of(way), vip(way.method, way.place, family), PORTS[0], protocol,
                                                   self.bound_to(way, protocol, family)) for way in ways for protocol, family in WIRES}
        ask_all(list(asked.values()), [one for (way, _, family), one in asked.items() if way.seen[family]], patience, grace)
        return asked


def unpack_tunnels(host, whether=True):
    """Whether the host takes packets out of IPIP and out of IPv6 in IPv6, from whomever they come."""
    with host.network():
        for interface in ("tunl0", "ip6tnl0"):
            host.netlink.set_up(socket.if_nametoindex(interface), whether)


@pytest.fixture(scope="module")
def paths():
    subprocess.run(["modprobe", "-qa", "sctp", "ipip", "ip6_tunnel"], check=True)
    with Lab() as lab:
        yield Paths(lab)


@pytest.fixture(scope="module")
def answers(paths):
    return paths.ask(WAYS)


@pytest.mark.parametrize("protocol, family", WIRES, ids=["-".join(wire) for wire in WIRES])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_who_answers_and_whom_it_saw_is_as_the_document_says(paths, answers, way, protocol, family):
    question = answers[way, protocol, family]
    assert question.answer == paths.expected(way, family), f"error: {question.error}"


def test_a_pod_that_does_not_unpack_ipip_gives_no_answer(paths):
    ways = [way for way in WAYS if way.method == "tun" and way.client == "outside" and way.place == "there"]
    endpoint = paths.endpoints["there"]
    assert all(question.answer for question in paths.ask(ways).values())
    unpack_tunnels(endpoint, False)
    try:
        unanswered = paths.ask(ways, patience=2)
        assert not any(question.answer for question in unanswered.values())
    finally:
        unpack_tunnels(endpoint)


@pytest.mark.parametrize("way, host, interface, setting, wrong, right", [
    ("dr-outside-here", "node1", "cni0", "accept_local", 0, 1), ("dr-outside-here", "node1", "cni0", "rp_filter", 1, 0),
    ("tun-outside-there", "node2", "cni0", "rp_filter", 1, 0), ("tun-outside-there", "web-2", "tunl0", "rp_filter", 1, 0)],
    ids=["dr-accept_local", "dr-rp_filter", "tun-rp_filter_of_the_node", "tun-rp_filter_of_the_pod"])
def test_without_what_direct_routing_and_tunnels_ask_there_is_no_answer(paths, way, host, interface, setting, wrong, right):
    name, host = f"net.ipv4.conf.{interface}.{setting}", paths.lab.hosts[host]
    [way] = [one for one in WAYS if str(one) == way]

    def answered():
        return [question.answer is not None for (_, _, family), question in paths.ask([way], 1.5).items() if family == "ipv4"]

    host.sysctl(name, wrong)
    try:
        assert answered() == [False] * 3
    finally:
        host.sysctl(name, right)
    assert answered() == [True] * 3
