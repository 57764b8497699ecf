"""What vipkeeper tells a real API server: Events that kubectl shows, the status of LoadBalancer Services; and what it does
without the rights to."""

import json

import pytest

from story import CONFIG_MAP
from vklab import config_map, holds_for, service, wait_until
from vklab.site import GATEWAY, VIP_NAT

pytestmark = pytest.mark.ipvs
BAD = "192.0.2.61"


def balancer(name="web"):
    value = service(name, [("http", 80, 8080)], cluster_ip=None)
    value["spec"].pop("clusterIP")
    value["spec"].update({"type": "LoadBalancer", "loadBalancerClass": "vipkeeper.io/vip", "allocateLoadBalancerNodePorts": False})
    return value


def events(cluster, namespace, reason):
    found = json.loads(cluster.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", "json")["out"])["items"]
    return [one for one in found if one["reason"] == reason]


def test_kubectl_shows_who_holds_the_addresses_and_what_is_wrong_with_an_entry(cluster, site):
    holder = site.holder()
    wait_until(lambda: events(cluster, "kube-system", "BecameMaster"), 20, "the holder's Event")
    site.put_entries({BAD: "default/none"})
    wait_until(lambda: events(cluster, "kube-system", "VipProblem"), 20, "the Event of the bad entry")
    described = cluster.kubectl("describe", "configmap", "-n", "kube-system", "vip-configmap")["out"]
    assert "BecameMaster" in described and f"{holder.name} holds the addresses of virtual router vips" in described
    assert "VipProblem" in described and f"{BAD}: Service default/none does not exist" in described
    holds_for(lambda: len(events(cluster, "kube-system", "VipProblem")) == 1, 3, "one Event, of one node")
    # Mended and broken again: the same Event, as a series.
    site.put_entries({})
    wait_until(lambda: site.problems() == [], 10, "the problem gone")
    site.put_entries({BAD: "default/none"})
    wait_until(lambda: events(cluster, "kube-system", "VipProblem")[0].get("series", {}).get("count") == 2, 20, "the series")
    assert len(events(cluster, "kube-system", "VipProblem")) == 1
    assert holder.metrics()["vipkeeper_events_rejected_total"] == 0


def test_the_status_of_a_load_balancer_service_is_its_entrys_addresses(cluster, site):
    began, holder = cluster.audit_position(), site.holder()
    cluster.remove("Service", "web")
    cluster.put(balancer())
    site.put_endpoints(site.pod_addresses)

    def ingress():
        return cluster.get("Service", "web")["status"]["loadBalancer"].get("ingress", [])

    wait_until(lambda: ingress() == [{"ip": VIP_NAT, "ipMode": "VIP"}], 20, "the VIP in the status")
    assert VIP_NAT in cluster.kubectl("get", "service", "web")["out"]
    site.settle()
    assert site.problems() == []
    cluster.put(config_map({GATEWAY: ""}, **CONFIG_MAP))
    wait_until(lambda: ingress() == [], 20, "the status cleared")
    patches = [one for one in cluster.audit(began) if one["uri"].endswith("/services/web/status")]
    assert [one["code"] for one in patches] == [200, 200]
    assert {one["source"] for one in patches} == {holder.wire_address}


@pytest.mark.parametrize("kinds,resource,said", [
    (["clusterrole"], "services/status", "patch of services/status is forbidden"),
    (["role", "clusterrole"], "events", "create and patch of events.k8s.io events is forbidden")])  # either would do in kube-system
def test_a_right_that_is_left_out_is_said_once_and_done_without(cluster, site, kinds, resource, said):
    for kind in kinds:
        role = [kind, "vipkeeper", "-n", "kube-system"]
        rules = json.loads(cluster.kubectl("get", *role, "-o", "json")["out"])["rules"]
        kept = [rule for rule in rules if resource not in rule["resources"]]
        assert kept != rules
        cluster.kubectl("patch", *role, "--type=merge", "-p", json.dumps({"rules": kept}))
    cluster.remove("Service", "web")
    cluster.put(balancer())
    site.put_endpoints(site.pod_addresses)
    site.put_entries({BAD: "default/none"})
    holder = site.holder()
    wait_until(lambda: any(said in one["message"] for one in holder.live_status()["config"]["problems"]), 20, said)
    assert holder.program.log().count(said) == 1
    site.settle()
    assert holder.holds(BAD) and holder.http(8080, "/health")[0] == 200
    began = cluster.audit_position()
    holds_for(lambda: not [one for one in cluster.audit(began) if one["code"] == 403], 5, "no further try")
