"""The API server is gone for long, and pods are restarted meanwhile: `--outage=600` for ten minutes of it."""

import time

import pytest

from story import virtual
from vklab import endpoint_slice, holds_for, service, wait_until
from vklab.ipvs import TableReader
from vklab.site import GATEWAY, VIP_NAT

pytestmark = pytest.mark.ipvs
MORE = "192.0.2.60"
ECHO = 7
BETWEEN_ROUNDS = 0.5


@pytest.fixture
def readers(site):
    """A TableReader of each node."""
    found = {node.name: TableReader(node) for node in site.nodes}
    yield found
    for reader in found.values():
        reader.close()


def kernel_operations(node):
    """What was done to the kernel so far, by kind."""
    return {name: value for name, value in node.metrics().items() if name.startswith("vipkeeper_kernel_operations_total")}


def remembers_all(node):
    """What the node keeps for a start without the API server has everything."""
    path = node.path("/run/vipkeeper/objects.json")
    text = path.read_text() if path.exists() else ""
    return all(f'"name":"{name}"' in text for name in ("web-1", "more-1", "vip-configmap")) and MORE in text


def every_real_server_answers(site, within=5):
    """Each VIP, by each of its real servers, from the client."""
    wanted = {pod.name for pod in site.pods}

    def answered(vip, port):
        try:
            return site.spread(vip, port, 2 * len(wanted)).keys() == wanted
        except OSError:
            return False

    for vip, port in ((VIP_NAT, 80), (MORE, 81)):
        wait_until(lambda: answered(vip, port), within, f"an answer of {wanted} by {vip}")


def test_vips_answer_all_through_it_and_its_end_touches_no_entry(lab, cluster, site, readers, outage):
    cluster.put(service("more", [("http", 81, 8080)]), endpoint_slice("more", site.pod_addresses, [("http", 8080)]))
    site.put_entries({MORE: "default/more"})
    table = {**site.table(), f"tcp {MORE}:81": virtual(site.pod_addresses)}
    site.settle(table)
    for node in site.nodes:
        wait_until(lambda: remembers_all(node), 20, f"objects.json of {node.name}")
    holder = site.holder()
    backup, crashed = [node for node in site.nodes if node is not holder]
    every_real_server_answers(site)
    for node in site.nodes:
        node.serve(udp=[ECHO], addresses=[VIP_NAT])
    probe = lab.probe(site.client, VIP_NAT, ECHO, interval=0.02)

    cluster.kill()
    cluster.kill("etcd")
    began = time.monotonic()
    # Who restarts serves what it last knew: one whose pod was told to end, and one whose pod crashed.
    backup.program.stop()
    assert backup.ipvs() == {}
    cluster.restart_pod(backup)
    crashed.program.kill9()
    cluster.restart_pod(crashed)
    for node in (backup, crashed):
        wait_until(lambda: node.ipvs() == table, 20, f"the table of {node.name} to be {table}; it is {node.ipvs()}")
        node.wait_ready()
        assert any("serving what was known at" in one["message"] for one in node.live_status()["config"]["problems"])
    rounds = 0
    while time.monotonic() - began < outage or rounds < 2:
        every_real_server_answers(site)
        site.stays(BETWEEN_ROUNDS, table)
        rounds += 1
    lasted = time.monotonic() - began
    for vip in (VIP_NAT, MORE, GATEWAY):
        assert lab.holders(vip) == {holder.name}
    assert all(node.http(8080, "/health")[0] == 200 for node in site.nodes)
    wait_until(lambda: all(readers[holder.name].connections().values()), 20, "connections counted for every entry")

    connections = {name: reader.connections() for name, reader in readers.items()}
    operations = {node.name: kernel_operations(node) for node in site.nodes}
    position = cluster.audit_position()
    cluster.start_etcd()
    cluster.start_api_server()
    for node in site.nodes:
        wait_until(lambda: node.live_status()["config"]["synced"] and not node.live_status()["config"]["problems"], 30,
                   f"{node.name} to have heard everything")
        wait_until(lambda: {"services", "endpointslices", "nodes", "configmaps"} <=
                   {one["uri"].partition("?")[0].rpartition("/")[2] for one in cluster.audit(position)
                    if one["source"] == node.wire_address and one["verb"] in ("list", "watch")}, 30, f"{node.name} to have asked for all")
    holds_for(lambda: all(node.ipvs() == table for node in site.nodes), 2, "the tables after its return")
    for node in site.nodes:
        assert kernel_operations(node) == operations[node.name], node.name
        now = readers[node.name].connections()
        assert now.keys() == connections[node.name].keys() and all(now[key] >= count for key, count in connections[node.name].items())
    assert lab.holders(VIP_NAT) == {holder.name}
    heard = probe.finish()
    print(f"{lasted:.0f} s without an API server, {rounds} rounds of answers of every real server; the client's probe: {heard}; "
          f"connections of the holder's entries before its return {connections[holder.name]}, after {readers[holder.name].connections()}")
    assert heard.longest < 1, str(heard)
    # And changes flow again.
    site.put_endpoints(site.pod_addresses[:1])
    site.settle({**table, f"tcp {VIP_NAT}:80": virtual(site.pod_addresses[:1])})
