"""vipkeeper in a cluster whose API server is a real one: what is applied moves the kernels, and with no more rights than rbac/."""

import json
import re
import time
import urllib.parse

import pytest

from story import ADVERT, CONFIG_MAP, ClusterSite, virtual
from vklab import config_map, endpoint_slice, service, wait_until
from vklab.site import GATEWAY, VIP_NAT

pytestmark = pytest.mark.ipvs
ENTRY = "192.0.2.60"


def test_the_manifests_are_accepted_as_files_and_as_kustomization(cluster):
    cluster.kubectl("delete", "-f", "rbac")  # what the fixture applied
    for dry_run in (["--dry-run=server"], []):
        for what in (["-f", "rbac", "-f", "deploy"], ["-k", "deploy"]):
            answer = cluster.kubectl("apply", "--validate=strict", *dry_run, *what)
            assert "Warning" not in answer["err"], answer["err"]
            assert {"daemonset.apps/vipkeeper", "configmap/vip-configmap", "serviceaccount/vipkeeper",
                    "role.rbac.authorization.k8s.io/vipkeeper", "clusterrole.rbac.authorization.k8s.io/vipkeeper",
                    "rolebinding.rbac.authorization.k8s.io/vipkeeper",
                    "clusterrolebinding.rbac.authorization.k8s.io/vipkeeper"} == {line.split()[0] for line in answer["out"].splitlines()}
    assert cluster.get("DaemonSet", "vipkeeper", "kube-system")["spec"]["template"]["spec"]["hostNetwork"] is True
    cluster.kubectl("delete", "-k", "deploy")


def test_what_kubectl_applies_moves_the_kernel_of_every_node(lab, cluster, site):
    cluster.kubectl("apply", "-f", "-", input=json.dumps(service("more", [("http", 81, 8080)])))
    cluster.kubectl("apply", "-f", "-", input=json.dumps(endpoint_slice("more", site.pod_addresses[:1], [("http", 8080)])))
    entries = {VIP_NAT: "default/web", GATEWAY: "", ENTRY: "default/more"}
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(config_map(entries, **CONFIG_MAP)))
    site.settle({**site.table(), f"tcp {ENTRY}:81": virtual(site.pod_addresses[:1])})
    assert lab.wait_for_holder(ENTRY) == site.holder().name
    assert site.client.ask(ENTRY, 81) == "web-1"
    assert site.spread(VIP_NAT, 80, 8).keys() == {"web-1", "web-2"}
    cluster.kubectl("patch", "endpointslice", "more-1", "--type=json", "-p",
                    '[{"op": "replace", "path": "/endpoints/0/addresses/0", "value": "%s"}]' % site.pod_addresses[1])
    site.settle({**site.table(), f"tcp {ENTRY}:81": virtual(site.pod_addresses[1:])})
    cluster.kubectl("delete", "endpointslice", "more-1")
    site.settle({**site.table(), f"tcp {ENTRY}:81": virtual([])})  # the port stays the Service's, and refuses
    assert lab.wait_for_holder(ENTRY)
    cluster.kubectl("delete", "service", "more")
    wait_until(lambda: all(any("default/more" in problem["message"] for problem in node.live_status()["config"]["problems"])
                           for node in site.nodes), 10, "a problem that names the Service that is gone")
    site.settle()
    assert lab.wait_for_holder(ENTRY)
    cluster.kubectl("patch", "configmap", "-n", "kube-system", "vip-configmap", "-p", '{"data": {"%s": null}}' % ENTRY)
    wait_until(lambda: not lab.holders(ENTRY), 10, f"{ENTRY} gone")
    assert site.problems() == []


def test_a_pod_asks_for_what_it_needs_and_for_nothing_else(cluster, site):
    began = cluster.audit_position()
    node = site.nodes[0]
    node.program.stop()
    site.start_pod(node)
    node.wait_ready()
    site.put_endpoints(site.pod_addresses[:1])
    site.settle(site.table(site.pod_addresses[:1]))
    requests = [one for one in cluster.audit(began) if one["source"] == node.wire_address]
    assert {one["code"] for one in requests} <= {200, 201}, requests
    seen = set()
    for one in requests:
        url = urllib.parse.urlsplit(one["uri"])
        query = dict(urllib.parse.parse_qsl(url.query))
        seen.add((one["verb"], url.path, query.get("fieldSelector") or query.get("labelSelector") or ""))
        if one["verb"] == "watch":
            assert 300 <= int(query["timeoutSeconds"]) <= 600 and query["allowWatchBookmarks"] in ("1", "true")
    watched = {("/api/v1/services", ""), ("/api/v1/nodes", ""),
               ("/apis/discovery.k8s.io/v1/endpointslices", "kubernetes.io/service-name"),
               ("/api/v1/namespaces/kube-system/configmaps", "metadata.name=vip-configmap")}
    assert {(path, selected) for verb, path, selected in seen if verb == "watch"} == watched, seen
    assert {(path, selected) for verb, path, selected in seen if verb == "list"} <= watched, seen
    assert {path for verb, path, _ in seen if verb == "get"} == {f"/api/v1/namespaces/kube-system/pods/vipkeeper-{node.name}"}
    # What it writes, if it does: Events and the status of Services.
    written = {path.rpartition("/namespaces/")[2].partition("/")[2].split("/")[0] for verb, path, _ in seen
               if verb not in ("watch", "list", "get")}
    assert written <= {"events", "services"}, seen
    assert len(requests) < 25, requests


def test_a_node_that_joins_or_leaves_is_a_peer_and_moves_priorities_within_a_second_and_no_address(lab, cluster):
    site = ClusterSite(lab, cluster, options=["--use-unicast=true"])
    site.start()
    holder = site.holder()
    watch = lab.watch_holders(VIP_NAT, site.nodes)

    def peers_and_priority(node):
        text = node.path("/etc/keepalived/keepalived.conf").read_text()
        peers = re.search(r"unicast_peer \{([^}]*)\}", text)
        return set(peers.group(1).split()) if peers else set(), node.live_status()["virtual_routers"][0]["priority"]

    def settled(added):
        addresses = sorted([*(f"192.0.2.{10 + i}" for i in (1, 2, 3)), *added], key=lambda text: tuple(map(int, text.split("."))))
        for number, node in enumerate(site.nodes, 1):
            own = f"192.0.2.{10 + number}"
            if peers_and_priority(node) != ({*addresses} - {own}, 100 + addresses.index(own)):
                return False
        return True

    assert settled([])
    for added, change in ((["192.0.2.9"], lambda: cluster.put(_node("node0", "192.0.2.9"))),
                          ([], lambda: cluster.remove("Node", "node0", ""))):
        change()
        began = time.monotonic()
        wait_until(lambda: settled(added), 10, "peers and priorities of the nodes")
        assert time.monotonic() - began < 1
    time.sleep(4 * ADVERT)  # an election, if there were one, would have happened by now
    timeline = watch.finish()
    assert [span[2] for span in timeline.spans] == [frozenset({holder.name})], str(timeline)


def _node(name, address):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}},
            "status": {"addresses": [{"type": "InternalIP", "address": address}], "conditions": [{"type": "Ready", "status": "True"}]}}
