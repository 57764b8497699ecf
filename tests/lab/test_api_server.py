"""The objects come from an API server, that is killed, frozen, and comes back: nothing that stands may fall with it."""

import time

import pytest

from vklab import config_map, endpoint_slice, holds_for, service, wait_until
from vklab.api_server import ApiServer
from vklab.ipvs import Virtual
from vklab.site import GATEWAY, VIP_DR, VIP_NAT, Site
from test_services import expected_table, put_endpoints, put_objects, reals, settle

pytestmark = pytest.mark.ipvs


@pytest.fixture
def site(lab):
    """The site with its API server running, and vipkeeper on every node fed by it, settled."""
    one = Site(lab)
    one.api = ApiServer(lab.add_client(one.lan, "192.0.2.9/24", "control"), "192.0.2.9")
    put_objects(one, one.api)
    for node in one.nodes:
        start(one, node)
    settle(one, expected_table(one.pod_addresses, one.pod_addresses))
    return one


def start(site, node):
    site.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"vipkeeper-{node.name}", "namespace": "default"},
                  "spec": {"nodeName": node.name}})
    node.start_vipkeeper(options=["--apiserver-host", site.api.url],
                         environment={"POD_NAME": f"vipkeeper-{node.name}", "POD_NAMESPACE": "default"})


def restart(node):
    node.program.kill9()
    node.start_vipkeeper(options=node.program.argv[node.program.argv.index("--apiserver-host"):][:2],
                         environment={"POD_NAME": f"vipkeeper-{node.name}", "POD_NAMESPACE": "default"})


def test_changes_flow_from_a_watch_to_the_kernel(lab, site):
    assert site.holder().live_status()["config"]["source"] == "apiserver"
    assert not site.holder().live_status()["config"]["problems"]
    for web in (site.pod_addresses[:1], site.pod_addresses):
        put_endpoints(site.api, web)
        settle(site, expected_table(web, site.pod_addresses))
    assert site.spread(VIP_NAT, 80, 9).keys() == {"web-1", "web-2", "web-3"}
    site.api.put(service("more", [("http", 81, 8080)]))
    site.api.put(endpoint_slice("more", site.pod_addresses, [("http", 8080)]))
    site.api.put(config_map({VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: "", "192.0.2.53": "default/more"}))
    more = {"tcp 192.0.2.53:81": Virtual("wlc", 0, reals("masquerade", 8080, site.pod_addresses))}
    settle(site, {**expected_table(site.pod_addresses, site.pod_addresses), **more})
    site.api.remove("EndpointSlice", "more-1")
    wait_until(lambda: not any(node.ipvs().get("tcp 192.0.2.53:81", Virtual("", 0, {})).reals for node in site.nodes), 20,
               "no real server left of a Service whose slice was deleted")


@pytest.mark.parametrize("failure", ["kill9", "freeze"])
def test_without_the_api_server_nothing_changes_and_on_its_return_changes_flow_within_five_seconds(lab, site, failure):
    table = expected_table(site.pod_addresses, site.pod_addresses)
    holder = site.holder()
    probe = lab.probe(site.client, VIP_NAT, 7)
    getattr(site.api.program, failure)()
    holds_for(lambda: all(node.ipvs() == table for node in site.nodes) and lab.holders(VIP_NAT) == {holder.name}, 12,
              "tables and holder without an API server")
    assert all(node.http(8080, "/health")[0] == 200 for node in site.nodes)
    result = probe.finish()
    assert result.longest < 1, str(result)
    # Nodes go on failing over among themselves.
    holder.cut_off()
    assert site.holder() is not holder
    holder.bring_back()
    site.api.start() if failure == "kill9" else site.api.program.thaw()
    put_endpoints(site.api, site.pod_addresses[:1])
    changed, began = expected_table(site.pod_addresses[:1], site.pod_addresses), time.monotonic()
    others = [node for node in site.nodes if node is not holder]
    wait_until(lambda: all(node.ipvs() == changed for node in others), 20, "the change in the kernels")
    assert time.monotonic() - began < 5
    settle(site, changed)


def test_a_node_restarted_without_an_api_server_deletes_nothing_and_adopts_what_is_there(lab, site):
    table = expected_table(site.pod_addresses, site.pod_addresses)
    holder = site.holder()
    site.api.program.kill9()
    restart(holder)
    wait_until(lambda: holder.http(8080, "/health")[0] == 200, 20, "the restarted node healthy")
    holds_for(lambda: holder.ipvs() == table, 3, "the table of the restarted node")
    site.api.start()
    put_endpoints(site.api, site.pod_addresses[1:])
    settle(site, expected_table(site.pod_addresses[1:], site.pod_addresses))
    site.holder()
