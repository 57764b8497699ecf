"""The site that the Service stories and the demo share: nodes between a client network and a pod network.

    client 192.0.2.100 ---- lan 192.0.2.0/24 ---- eth0 node1..3 eth1 ---- pods 10.2.0.0/24 ---- web-1, web-2, web-3

Pods send by way of GATEWAY, a VIP of the pod network: replies of NAT Services go back through whichever node holds it. A
node that forwards a pod's direct reply has its source, the VIP, as its own address: hence accept_local.
"""

from .waiting import holds_for, wait_until

VIP_NAT, VIP_DR, GATEWAY = "192.0.2.50", "192.0.2.51", "10.2.0.1"
VIPS = (VIP_NAT, VIP_DR, GATEWAY)


class AnySite:
    """What every site has: a `lab`, the `vips` that one node holds, a `client`."""

    def holder(self):
        """The one node that holds every VIP, and goes on doing so: routers that start together may both be Active at first."""
        def agreed():
            found = {frozenset(self.lab.holders(vip)) for vip in self.vips}
            return next(iter(found)) if len(found) == 1 and all(len(names) == 1 for names in found) else None

        def settled():
            names = agreed()
            if names:
                holds_for(lambda: agreed() == names, 0.4, f"{names} the only holder")
            return names

        return self.lab.hosts[min(wait_until(settled, 30, "one node with every VIP"))]

    def spread(self, vip, port, requests):
        """How many of so many requests each pod answered."""
        counts = {}
        for _ in range(requests):
            name = self.client.ask(vip, port)
            counts[name] = counts.get(name, 0) + 1
        return counts


class Site(AnySite):
    def __init__(self, lab, nodes=3, pods=3, vips=VIPS):
        self.lab, self.vips = lab, vips
        self.lan = lab.add_network("lan")
        self.pod_network = lab.add_network("pods")
        self.nodes = []
        for i in range(1, nodes + 1):
            node = lab.add_node(f"node{i}", self.lan, f"192.0.2.{10 + i}/24")
            node.plug_in(self.pod_network, f"10.2.0.{10 + i}/24")
            node.sysctl("net.ipv4.conf.eth1.accept_local", 1)
            self.nodes.append(node)
        self.pods = [lab.add_pod(f"web-{i}", self.pod_network, f"10.2.0.{100 + i}/24", GATEWAY, [VIP_DR])
                     for i in range(1, pods + 1)]
        self.client = lab.add_client(self.lan, "192.0.2.100/24")

    @property
    def pod_addresses(self):
        return [pod.own_address() for pod in self.pods]
