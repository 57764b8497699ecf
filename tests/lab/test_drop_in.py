"""A DaemonSet of kube-keepalived-vip 0.35 whose image is changed: pod by pod, while clients go on asking.

The old pods are Debian's keepalived with the configuration that 0.35 renders. They end as there: the addresses are deleted, and
then the container's processes are gone at one instant, the virtual services left in the kernel.
"""

import contextlib

import pytest

from vklab import Manifests, config_map, endpoint_slice, node as node_object, service, virtual_server_text, vrrp_text, wait_until
from vklab.ipvs import Real, Virtual
from vklab.site import GATEWAY, VIP_NAT, Site

pytestmark = pytest.mark.ipvs
BARE = "192.0.2.52"
PROTOCOL_PORT = 7
# What three lost advertisements and the skew of priority 100 take, and the machine's own time.
LONGEST_TAKE_OVER = 3.61 + 1


def old_text(site, rank, unicast):
    """keepalived.conf as 0.35 has it on the node of that rank; the gateway is the lab's need."""
    addresses = [f"192.0.2.{11 + i}" for i in range(len(site.nodes))]
    own = addresses.pop(rank)
    return vrrp_text(100 + rank, [BARE, VIP_NAT, f"{GATEWAY} dev eth1"], advert=1, preempt=False, source=own,
                     peers=addresses if unicast else ()) + virtual_server_text(
        VIP_NAT, 80, [(address, 8080) for address in site.pod_addresses], scheduler="wlc", persistence=1800, delay_loop=5)


def end_old_pod(node):
    for interface, addresses in node.addresses().items():
        for address in addresses & {f"{vip}/32" for vip in (BARE, VIP_NAT, GATEWAY)}:
            with contextlib.suppress(OSError):  # keepalived misses the first one and takes the others away itself
                node.delete_address(address, interface)
    node.program.kill9()


@pytest.mark.parametrize("unicast", [False, True], ids=["multicast", "unicast"])
def test_pods_are_replaced_one_by_one_and_only_the_holder_is_ever_missed(lab, unicast):
    site = Site(lab, nodes=3, pods=2, vips=(VIP_NAT, BARE, GATEWAY))
    for node in site.nodes:
        node.serve(udp=[PROTOCOL_PORT], addresses=[BARE])
    manifests = Manifests(lab.directory / "manifests")
    for rank, node in enumerate(site.nodes):
        manifests.put(node_object(node.name, f"192.0.2.{11 + rank}"))
    manifests.put(service("web", [("http", 80, 8080)]))
    manifests.put(endpoint_slice("web", site.pod_addresses, [("http", 8080)]))
    manifests.put(config_map({BARE: "", VIP_NAT: "default/web", GATEWAY: ""}))
    capture = lab.capture(site.lan)
    for rank, node in enumerate(site.nodes):
        node.start_keepalived(old_text(site, rank, unicast))
    old_table = {f"tcp {VIP_NAT}:80": Virtual("wlc", 1800, {f"{a}:8080": Real("masquerade", 1) for a in site.pod_addresses})}
    new_table = {name: Virtual("wlc", 0, virtual.reals) for name, virtual in old_table.items()}
    for node in site.nodes:
        wait_until(lambda: node.ipvs() == old_table, 20, f"the table of {node.name}")
    first = site.holder()
    probe, watch = lab.probe(site.client, BARE, PROTOCOL_PORT), lab.watch_holders(BARE, site.nodes)

    replaced, replacements_of_a_holder = [], 0
    for node in [first, *(node for node in site.nodes if node is not first)]:
        holder = site.holder()
        end_old_pod(node)
        node.start_vipkeeper(manifests.directory, advert=1, options=["--use-unicast"] if unicast else [])
        node.wait_ready()
        replaced.append(node)
        wait_until(lambda: node.ipvs() == new_table, 20, f"the table of {node.name} to be {new_table}; it is {node.ipvs()}")
        now = site.holder()
        replacements_of_a_holder += holder is node
        assert now is holder or holder is node, f"{node.name} was replaced, and {holder.name} lost the addresses to {now.name}"
        # Old pods let a client stay with its endpoint for half an hour.
        wanted = {pod.name for pod in site.pods}
        wait_until(lambda: (site.spread(VIP_NAT, 80, 4).keys() == wanted) if now in replaced else site.client.ask(VIP_NAT, 80) in wanted,
                   10, f"answers of {wanted} by {now.name}")

    timeline, result = watch.finish(), probe.finish()
    assert timeline.longest_with_several() < 0.5, str(timeline)
    assert len(result.outages(0.5)) <= replacements_of_a_holder and result.longest < LONGEST_TAKE_OVER, f"{result}; {timeline}"
    # On the wire nobody can tell which of the two a node runs.
    said = {}
    for advert in capture.adverts():
        if advert.priority:
            said.setdefault(advert.source, set()).add((advert.version, advert.vrid, advert.priority, advert.interval, advert.ttl,
                                                       frozenset(advert.addresses), advert.checksum))
    everywhere = frozenset({BARE, VIP_NAT, GATEWAY})
    for rank in range(len(site.nodes)):
        assert said.get(f"192.0.2.{11 + rank}", set()) <= {(3, 50, 100 + rank, 1.0, 255, everywhere, "good")}, said
    assert len(said) >= 2, said
