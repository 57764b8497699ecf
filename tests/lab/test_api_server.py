"""The objects come from an API server, that is killed, frozen, and comes back: nothing that stands may fall with it."""

import time

import pytest

from vklab import config_map, endpoint_slice, holds_for, service, wait_until
from vklab.api_server import ApiServer
from vklab.ipvs import Virtual
from vklab.site import GATEWAY, VIP_DR, VIP_NAT, Site
from test_services import WEB_PORTS, expected_table, put_endpoints, put_objects, reals, settle

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


def restart(node, end="kill9"):
    """`end`: kill9, stop (SIGTERM, awaited), or None for one that is gone already."""
    if end:
        getattr(node.program, end)()
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


def synced(node):
    return node.live_status()["config"]["synced"]


def kept(node):
    """What the node keeps for a start without the API server has everything."""
    path = node.path("/run/vipkeeper/objects.json")
    return path.exists() and '"name":"web-1"' in path.read_text() and '"kind":"ConfigMap"' in path.read_text()


def operations(node):
    """The kernel operations so far, by kind; and the connections of each virtual service, which begin at 0 with it."""
    metrics = {name: value for name, value in node.metrics().items() if name.startswith("vipkeeper_kernel_operations_total")}
    connections = {f"{one['protocol']} {one['address']}:{one['port']}": one["connections"] for one in node.live_status()["virtual_services"]}
    return metrics, connections


@pytest.mark.parametrize("end", ["kill9", "stop"])
def test_nodes_restarted_without_an_api_server_serve_what_they_last_knew(lab, site, end):
    table = expected_table(site.pod_addresses, site.pod_addresses)
    for node in site.nodes:
        wait_until(lambda: kept(node), 20, f"objects.json of {node.name}")
    site.api.program.kill9()
    for node in site.nodes:  # the last one takes the memory of all that ran before with it
        restart(node, end)
        node.wait_ready()
        wait_until(lambda: node.ipvs() == table, 20, f"the table of {node.name} to be {table}; it is {node.ipvs()}")
    for node in site.nodes:
        config = node.live_status()["config"]
        assert config["source"] == "apiserver" and not config["synced"] and config["generation"] > 0
        assert [one for one in config["problems"] if "serving what was known at" in one["message"]], config
        assert node.program.log().count("serving what was known at") == 1
        assert node.http(8080, "/health")[0] == 200
    holder = site.holder()
    wait_until(lambda: site.spread(VIP_NAT, 80, 9).keys() == {"web-1", "web-2", "web-3"}, 20, "an answer of every pod by NAT")
    assert site.spread(VIP_DR, 80, 9).keys() == {"web-1", "web-2", "web-3"}

    # The kernel adds up what it counted every two seconds.
    wait_until(lambda: operations(holder)[1][f"tcp {VIP_NAT}:80"] >= 9, 20, "the connections counted")
    before = {node.name: operations(node) for node in site.nodes}
    site.api.start()
    for node in site.nodes:
        wait_until(lambda: synced(node), 20, f"{node.name} to have heard everything")
    holds_for(lambda: all(node.ipvs() == table for node in site.nodes), 2, "the tables after the API server's return")
    for node in site.nodes:
        metrics, connections = operations(node)
        assert metrics == before[node.name][0], node.name
        assert all(connections[name] >= count for name, count in before[node.name][1].items()), node.name
        assert not node.live_status()["config"]["problems"]
    assert site.holder() is holder
    put_endpoints(site.api, site.pod_addresses[1:])
    settle(site, expected_table(site.pod_addresses[1:], site.pod_addresses))


def test_what_changed_while_the_api_server_and_a_node_were_away_is_put_right(lab, site):
    node = site.nodes[0]
    wait_until(lambda: kept(node), 20, "objects.json")
    site.api.program.kill9()
    node.program.stop()
    put_endpoints(site.api, site.pod_addresses[:1])
    site.api.put(config_map({VIP_NAT: "default/web", GATEWAY: ""}))
    restart(node, None)
    wait_until(lambda: node.ipvs() == expected_table(site.pod_addresses, site.pod_addresses), 20, "what was known, served")
    site.api.start()
    expected = expected_table(site.pod_addresses[:1], [])
    del expected[f"tcp {VIP_DR}:80"]
    settle(site, expected)


def test_a_file_of_another_configuration_or_a_damaged_one_is_not_served(lab, site):
    node = site.nodes[0]
    wait_until(lambda: kept(node), 20, "objects.json")
    site.api.program.kill9()
    table = node.ipvs()
    node.program.kill9()
    path = node.path("/run/vipkeeper/objects.json")
    whole = path.read_text()
    for text, reason in ((whole[:-10], "it is damaged: cut short or changed"),
                         (whole.replace("default/vip-configmap", "default/another", 1), "it is damaged: cut short or changed"),
                         ("hello\n", "it is not vipkeeper's")):
        path.write_text(text)
        restart(node, None)
        wait_until(lambda: reason in node.program.log(), 20, reason)
        wait_until(lambda: node.http(8080, "/health")[0] == 200, 20, "the node healthy")
        assert node.http(8080, "/ready")[0] == 503
        # What a crash left in the kernel is not touched by that.
        assert node.ipvs() == table
        assert node.program.log().count(reason) == 1
        node.program.kill9()


def test_the_holder_tells_of_itself_and_of_a_bad_entry_in_events(lab, site):
    holder = site.holder()

    def events(reason):
        return [one for one in site.api.events() if one["reason"] == reason]

    wait_until(lambda: events("BecameMaster"), 20, "the holder's Event")
    assert {one["reportingInstance"] for one in events("BecameMaster")} >= {holder.name}
    site.api.put(config_map({VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: "", "192.0.2.53": "default/none"}))
    wait_until(lambda: events("VipProblem"), 20, "the Event of a bad entry")
    holds_for(lambda: len(events("VipProblem")) == 1, 3, "one Event of one node")
    (problem,) = events("VipProblem")
    assert problem["reportingInstance"] == holder.name and problem["type"] == "Warning"
    assert problem["regarding"]["kind"] == "ConfigMap" and problem["regarding"]["fieldPath"] == "data[192.0.2.53]"
    assert problem["regarding"]["uid"] and "default/none does not exist" in problem["note"]
    # Another speaks for the cluster when that one is gone.
    holder.program.kill9()
    wait_until(lambda: {one["reportingInstance"] for one in events("VipProblem")} == {holder.name, site.holder().name}, 30,
               "the next holder's Event")


def test_the_status_of_a_load_balancer_service_follows_its_entry_and_the_holder_alone_writes_it(lab, site):
    balancer = {**service("web", WEB_PORTS)}
    balancer["spec"] = {**balancer["spec"], "type": "LoadBalancer", "loadBalancerClass": "vipkeeper.io/vip"}
    site.api.put(balancer)
    wait_until(lambda: site.api.ingress("web") == [{"ip": VIP_NAT, "ipMode": "VIP"}], 20, "the VIP in the status")
    table = expected_table(site.pod_addresses, site.pod_addresses)
    settle(site, table)
    patches = [line for line in site.api.writes() if line.endswith("/services/web/status")]
    assert len(patches) == 1, patches
    # Its own address, which every node reads there, is no reason against the entry.
    assert not site.holder().live_status()["config"]["problems"]
    site.holder().program.kill9()
    site.holder()
    holds_for(lambda: [line for line in site.api.writes() if line.endswith("/status")] == patches, 3, "no PATCH without a difference")
    site.api.put(config_map({VIP_NAT: "", VIP_DR: "default/direct:DR", GATEWAY: ""}))
    wait_until(lambda: site.api.ingress("web") == [], 20, "the status cleared")


def test_what_is_forbidden_is_said_once_and_done_without(lab, site):
    site.api.forbid("POST", "/events")
    site.api.forbid("PATCH", "/status")
    holder = site.holder()
    balancer = {**service("web", WEB_PORTS)}
    balancer["spec"] = {**balancer["spec"], "type": "LoadBalancer", "loadBalancerClass": "vipkeeper.io/vip"}
    site.api.put(balancer)
    site.api.put(config_map({VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: "", "192.0.2.53": "default/none"}))

    def said():
        return [one["message"] for one in holder.live_status()["config"]["problems"] if "is forbidden" in one["message"]]

    wait_until(lambda: len(said()) == 2, 20, "both said")
    assert any("services/status" in one and "rbac/" in one for one in said())
    writes = len(site.api.writes())
    holds_for(lambda: len(site.api.writes()) == writes, 5, "no further try")
    assert holder.program.log().count("done without") == 2
    assert holder.holds("192.0.2.53")
    assert holder.http(8080, "/health")[0] == 200
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
