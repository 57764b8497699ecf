"""What the stories with a real API server share: the site, its objects, and what the kernels should hold."""

from vklab import config_map, endpoint_slice, holds_for, service, wait_until
from vklab.ipvs import Real, Virtual
from vklab.site import GATEWAY, VIP_NAT, Site

CONFIG_MAP = {"name": "vip-configmap", "namespace": "kube-system"}
ADVERT = 0.3


class ClusterSite(Site):
    """A Site of three nodes in a cluster: one NAT Service, and a bare VIP that is the pods' gateway."""

    def __init__(self, lab, cluster, pods=2, options=()):
        super().__init__(lab, 3, pods, (VIP_NAT, GATEWAY))
        self.cluster, self.options = cluster, [f"--advert-interval={ADVERT}", *options]
        for number, node in enumerate(self.nodes, 1):
            cluster.join(node, number)

    def start(self, entries=None, settle=True):
        """Objects, pods, and the wait until the kernels hold all of it."""
        self.put_entries(entries or {})
        self.cluster.put(service("web", [("http", 80, 8080)]))
        self.put_endpoints(self.pod_addresses)
        for node in self.nodes:
            self.start_pod(node)
        if settle:
            self.settle()

    def start_pod(self, node, **keywords):
        return self.cluster.start_pod(node, *self.options, **keywords)

    def put_entries(self, more):
        """The ConfigMap: the site's own entries and these."""
        self.cluster.put(config_map({VIP_NAT: "default/web", GATEWAY: "", **more}, **CONFIG_MAP))

    def put_endpoints(self, addresses, name="web"):
        self.cluster.put(endpoint_slice(name, addresses, [("http", 8080)]))

    def table(self, addresses=None):
        return {f"tcp {VIP_NAT}:80": virtual(self.pod_addresses if addresses is None else addresses)}

    def settle(self, table=None, nodes=None, timeout=20):
        """Until the kernels hold it."""
        wanted = self.table() if table is None else table
        for node in nodes or self.nodes:
            wait_until(lambda: node.ipvs() == wanted, timeout, f"the table of {node.name} to be {wanted}; it is {node.ipvs()}")

    def stays(self, seconds, table=None, nodes=None):
        """Fails if a kernel loses or changes anything meanwhile."""
        wanted = self.table() if table is None else table
        holds_for(lambda: all(node.ipvs() == wanted for node in nodes or self.nodes), seconds, f"the tables {wanted}")

    def problems(self):
        return [problem for node in self.nodes for problem in node.live_status()["config"]["problems"]]


def virtual(addresses, port=8080, method="masquerade"):
    return Virtual("wlc", 0, {f"{address}:{port}": Real(method, 1) for address in addresses})
