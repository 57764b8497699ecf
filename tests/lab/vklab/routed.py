"""Nodes and pods as a cluster has them: each node has a pod network of its own, and is its pods' gateway.

    far client 198.51.100.100 --- router --- lan 192.0.2.0/24 --- client 192.0.2.100
                                              |    |    |    |
                                           node1 node2 node3 edge        the nodes are .11, .12, .13; .60 is a host that is none
                                             |     |     |
                                        10.2.1.0 10.2.2.0 10.2.3.0/24    bridges inside the nodes (cni0), the node being .1
                                             |     |     |
                                           pods   pods  pods             web-N is .2, pod-N, that serves nothing, is .9

Between the nodes are plain routes, as flannel's host-gw and kindnet make them; what they know, the segment's other hosts do not.
No pod holds a VIP as its gateway. IPv6 is beside IPv4: 2001:db8::/64, 2001:db8:2:N::/64 and 2001:db8:ff::/64, with the same last
numbers. A node takes a packet of its pods whose source is an address of its own, a VIP (accept_local): direct routing asks that.
"""

from .hosts import Network
from .site import AnySite

ROUTER, FAR_NET = ("192.0.2.1/24", "2001:db8::1/64"), ("198.51.100.0/24", "2001:db8:ff::/64")


def lan_address(last):
    return f"192.0.2.{last}/24", f"2001:db8::{last}/64"


def far_address(last):
    return f"198.51.100.{last}/24", f"2001:db8:ff::{last}/64"


def pod_address(node, last):
    return f"10.2.{node}.{last}/24", f"2001:db8:2:{node}::{last}/64"


def bare(addresses):
    return [address.split("/")[0] for address in addresses]


class RoutedSite(AnySite):
    """`direct_routing`: the VIPs that the pod of a node, by its number, takes packets for. `served`: the ports of all pods."""

    def __init__(self, lab, nodes=3, vips=(), direct_routing=lambda number: (), **served):
        self.lab, self.vips = lab, vips
        self.lan, self.far = lab.add_network("lan"), lab.add_network("far")
        self.router = self._forward(lab.add_client(self.lan, lan_address(1), "router"))
        self._plug_in(self.router, self.far, far_address(1))
        self.nodes = [self._forward(lab.add_node(f"node{i}", self.lan, lan_address(10 + i))) for i in range(1, nodes + 1)]
        self.pod_networks, self.pods, self.idle_pods = [], [], []
        for number, node in enumerate(self.nodes, 1):
            self.route_to_pods(node, number)
            self.pod_networks.append(network := Network(node, "cni0"))
            for address in pod_address(number, 1):
                node.add_address(address, "cni0")
            node.sysctl("net.ipv4.conf.cni0.accept_local", 1)
            gateway = bare(pod_address(number, 1))
            self.pods.append(lab.add_pod(f"web-{number}", network, pod_address(number, 2), gateway, direct_routing(number),
                                         under=f"web-{number} on {node.name}", **served))
            idle = lab.add_client(network, pod_address(number, 9), f"pod-{number}")
            self._default(idle, gateway)
            self.idle_pods.append(idle)
        self.client = lab.add_client(self.lan, lan_address(100))
        self._default(self.client, bare(ROUTER))
        self.far_client = lab.add_client(self.far, far_address(100), "far-client")
        self._default(self.far_client, bare(far_address(1)))

    def add_edge(self, direct_routing=(), **served):
        """A host on the nodes' segment that answers: a machine outside the cluster, or as a pod with hostNetwork does. It knows the
        way to the pods, as a node does."""
        edge = self.lab.add_pod("edge", self.lan, lan_address(60), bare(ROUTER), direct_routing, under="edge", **served)
        self.route_to_pods(edge)
        return edge

    def route_to_pods(self, host, but=None):
        for number in range(1, len(self.nodes) + 1):
            if number != but:
                for network, gateway in zip(pod_address(number, 0), bare(lan_address(10 + number))):
                    host.route(network, gateway)
        if but:
            self._default(host, bare(ROUTER))

    @property
    def pod_addresses(self):
        return [pod.own_address() for pod in self.pods]

    @staticmethod
    def _forward(host):
        host.sysctl("net.ipv4.ip_forward", 1)
        host.sysctl("net.ipv6.conf.all.forwarding", 1)
        return host

    @staticmethod
    def _plug_in(host, network, addresses):
        cable = host.plug_in(network)
        for address in addresses:
            host.add_address(address, cable.interface)

    @staticmethod
    def _default(host, gateways):
        for gateway in gateways:
            host.route("default", gateway)
