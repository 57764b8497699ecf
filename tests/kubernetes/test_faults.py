"""What a real API server does to its clients: nothing that stands may fall with it, and changes flow again on its return."""

import time

import pytest
import yaml

from story import ClusterSite, virtual
from vklab import endpoint_slice, service, wait_until
from vklab.node import REPOSITORY
from vklab.site import VIP_NAT

pytestmark = pytest.mark.ipvs


def change_flows_within(site, seconds):
    """One endpoint goes and comes back: in every kernel within that time."""
    began = time.monotonic()
    for addresses in (site.pod_addresses[:1], site.pod_addresses):
        site.put_endpoints(addresses)
        site.settle(site.table(addresses))
    took = time.monotonic() - began
    assert took < seconds, f"the changes took {took:.2f} s"


def requests_per_node_and_second(site, began, position):
    """The busiest node's rate of requests in the audit log."""
    counts = {}
    for one in site.cluster.audit(position):
        if one["stage"] == "ResponseStarted" or one["verb"] != "watch":
            counts[one["source"]] = counts.get(one["source"], 0) + 1
    return max(counts.values(), default=0) / (time.monotonic() - began)


@pytest.mark.parametrize("failure, who", [("kill", "kube-apiserver"), ("freeze", "kube-apiserver"), ("freeze", "etcd"), ("kill", "etcd")])
def test_gone_or_frozen_it_takes_nothing_along_and_within_five_seconds_of_its_return_changes_flow(lab, cluster, site, failure, who):
    holder = site.holder()
    cluster.call(failure, who)
    site.stays(4)
    assert lab.holders(VIP_NAT) == {holder.name}
    assert all(node.http(8080, "/health")[0] == 200 for node in site.nodes)
    if failure == "freeze":
        cluster.thaw(who)
    elif who == "etcd":
        cluster.start_etcd()
    else:
        cluster.start_api_server()
    wait_until(lambda: cluster.ready(), 30, "the API server ready")
    change_flows_within(site, 5)
    # A server that has just begun may still forbid what it will grant.
    wait_until(lambda: site.problems() == [], 40, "no problem left")


def test_a_pod_ends_within_a_second_while_the_server_is_frozen(cluster, site):
    cluster.freeze()
    for node in site.nodes:
        began = time.monotonic()
        assert node.program.stop() == 0
        assert time.monotonic() - began < 1
        assert node.ipvs() == {}


def test_what_was_deleted_before_a_compaction_is_missed_by_nobody(lab, cluster):
    cluster.start(watch_cache=False)
    site = ClusterSite(lab, cluster)
    site.start()
    cluster.put(service("more", [("http", 81, 8080)]), endpoint_slice("more", site.pod_addresses, [("http", 8080)]))
    site.put_entries({"192.0.2.60": "default/more"})
    site.settle({**site.table(), "tcp 192.0.2.60:81": virtual(site.pod_addresses)})
    position = cluster.audit_position()
    for node in site.nodes:
        node.program.freeze()
    cluster.cut_connections()
    cluster.remove("Service", "more")
    site.put_endpoints(site.pod_addresses[:1])
    cluster.compact()
    for node in site.nodes:
        node.program.thaw()
    site.settle(site.table(site.pod_addresses[:1]))
    # They were told so, each once or twice, and asked for all of it again.
    for node in site.nodes:
        assert sum(value for name, value in node.metrics().items() if "expired" in name and "services" in name) > 0, node.metrics()
        asked = [one for one in cluster.audit(position) if one["source"] == node.wire_address]
        assert any("/services?" in one["uri"] and (one["verb"] == "list" or "sendInitialEvents=true" in one["uri"]) for one in asked), asked
        assert len(asked) < 40, asked


def test_on_an_etcd_that_cannot_tell_its_progress_all_is_as_with_the_newest(lab, cluster):
    cluster.start(etcd="/usr/bin/etcd")
    assert "3.4" in cluster.etcdctl("endpoint", "status"), "Debian's etcd-server: scripts/setup.sh kubernetes installs it"
    position = cluster.audit_position()
    site = ClusterSite(lab, cluster)
    site.start()
    # Initial events in a stream are refused, in the stream; so each kind is listed.
    for node in site.nodes:
        listed = {one["uri"].partition("?")[0].rpartition("/")[2] for one in cluster.audit(position)
                  if one["source"] == node.wire_address and one["verb"] == "list"}
        assert listed == {"services", "endpointslices", "nodes", "configmaps"}, listed
    change_flows_within(site, 2)
    assert site.problems() == []


def test_a_new_authority_and_new_tokens_are_taken_without_a_restart(cluster, site):
    for rotate in (cluster.rotate_authority, cluster.rotate_account_key):
        pids = [node.program.pid for node in site.nodes]
        rotate()
        site.stays(1.5)  # refused: an authority it does not know, a token that is void
        for node in site.nodes:
            site.cluster.renew_account_files(node)
        began = time.monotonic()
        site.put_endpoints(site.pod_addresses[:1])
        site.settle(site.table(site.pod_addresses[:1]))
        assert time.monotonic() - began < 10
        site.put_endpoints(site.pod_addresses)
        site.settle()
        assert [node.program.pid for node in site.nodes] == pids and all(node.program.running for node in site.nodes)
    # Each kind of object is asked for again after a pause of its own.
    wait_until(lambda: not any(complaints(node) for node in site.nodes), 40, "no complaint left")


def test_a_storm_of_429_is_answered_with_patience(cluster, site):
    cluster.begin_storm()
    began, position = time.monotonic(), cluster.audit_position()
    cluster.cut_connections()
    wait_until(lambda: any(one["code"] == 429 for one in cluster.audit(position)), 10, "429 to the ServiceAccount")
    site.stays(4)
    assert requests_per_node_and_second(site, began, position) < 12
    cluster.end_storm()
    site.put_endpoints(site.pod_addresses[:1])
    site.settle(site.table(site.pod_addresses[:1]), timeout=35)


# Of rbac/'s roles: (kind, the resource of the rule taken away). docs/operations.md has what is done without.
NEEDED = [("ClusterRole", "services"), ("ClusterRole", "nodes"), ("ClusterRole", "endpointslices"), ("Role", "configmaps")]


def take_right_away(cluster, kind, resource):
    """Every rule for the resource, out of the role that rbac/ has."""
    [role] = [value for file in sorted((REPOSITORY / "rbac").glob("*.yaml")) for value in yaml.safe_load_all(file.read_text())
              if value["kind"] == kind]
    rules = [rule for rule in role["rules"] if resource not in rule["resources"]]
    kept = [{**rule, "resources": [one for one in rule["resources"] if one != resource]} for rule in role["rules"]
            if resource in rule["resources"] and len(rule["resources"]) > 1]
    assert rules + kept != role["rules"], f"rbac/ grants no {resource}"
    cluster.put({**role, "rules": rules + kept})


def complaints(node):
    return [problem["message"] for problem in node.live_status()["config"]["problems"]]


def test_without_a_right_that_it_needs_all_stays_as_it_is_and_the_right_is_named(cluster, site):
    for kind, resource in NEEDED:
        restarted = site.nodes[0]
        take_right_away(cluster, kind, resource)
        known, remembers = restarted.path("/run/vipkeeper/objects.json"), resource == "services"
        wait_until(known.exists, 20, "what it last knew, on disk")
        restarted.program.kill9()
        if not remembers:
            known.unlink()
        site.start_pod(restarted)
        cluster.cut_connections()
        for node in site.nodes:
            wait_until(lambda: any(resource in text and "403" in text and "rbac/" in text for text in complaints(node)), 20,
                       f"{node.name} to name the right to {resource}")
        # The others go on with what they know, and take in what they may; the one that was restarted serves what it last knew, or,
        # if it knows nothing, plans nothing on half a view.
        if resource != "endpointslices":
            for addresses in (site.pod_addresses[:1], site.pod_addresses):
                site.put_endpoints(addresses)
                site.settle(site.table(addresses), site.nodes[1:])
        assert restarted.http(8080, "/health")[0] == 200
        assert restarted.http(8080, "/ready")[0] == (200 if remembers else 503)
        assert restarted.ipvs() == site.table()
        cluster.apply_rbac()
        wait_until(lambda: not any(complaints(node) for node in site.nodes), 40, f"no complaint left, with the right to {resource}")
        restarted.wait_ready(40)
        change_flows_within(site, 5)


def test_without_the_right_to_its_own_pod_the_name_of_the_host_says_which_node_it_is(cluster, site):
    take_right_away(cluster, "Role", "pods")
    node = site.nodes[0]
    node.program.kill9()
    site.start_pod(node)
    node.wait_ready()
    assert all("vipkeeper-node1" in text for text in complaints(node)) and any("403" in text for text in complaints(node))
    assert node.live_status()["virtual_routers"][0]["priority"] == 100
    change_flows_within(site, 5)
