"""A Service on its VIP in a real cluster: every client is answered, whatever happens to pods, nodes and the API server.

The tests are in the order of a story: the last one takes vipkeeper away and looks what is left.
"""

import os
import signal
import time

from cluster import VIP, holds_for, process_in, wait_until
from conftest import vipkeeper_runs
from workload import Load, ask_from, ask_from_pod, ping, real_servers, wait_for_endpoints, wait_for_pods

# The timers of VRRP at 1 s are up to 3.6 s; the rest is a guest with one processor for three nodes and all of Kubernetes.
SILENCE = 12


def names(answers):
    return {pod for pod, _ in answers}


def web_names(cluster):
    return {pod["metadata"]["name"] for pod in cluster.pods("app=web")}


# --- every client

def test_a_client_outside_reaches_every_pod(cluster):
    wait_for_endpoints(cluster)
    answers = ask_from(cluster.client)
    assert names(answers) == web_names(cluster) and len(names(answers)) == 3


def test_a_client_behind_a_router_reaches_every_pod(cluster):
    assert names(ask_from(cluster.far_client)) == web_names(cluster)


def test_each_node_reaches_every_pod_holder_or_not(cluster):
    assert {node.name: names(ask_from(node)) for node in cluster.nodes} == dict.fromkeys(
        ("node1", "node2", "node3"), web_names(cluster))


def test_each_pod_reaches_every_pod(cluster):
    for pod in cluster.pods("app=web"):
        assert {ask_from_pod(cluster, pod) for _ in range(3)} == web_names(cluster), pod["spec"]["nodeName"]


def test_a_pod_alone_behind_the_vip_reaches_itself(cluster):
    cluster.kubectl("scale", "deployment/web", "--replicas=1")
    wait_for_pods(cluster, 1)
    wait_for_endpoints(cluster)
    [pod] = cluster.pods("app=web")
    assert ask_from_pod(cluster, pod) == pod["metadata"]["name"]
    cluster.kubectl("scale", "deployment/web", "--replicas=3")
    wait_for_pods(cluster, 3)
    wait_for_endpoints(cluster)


def test_a_client_outside_is_seen_as_itself_by_the_pod_on_the_holder_and_as_the_holder_by_others(cluster):
    [holder] = cluster.holders()
    on_node = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in cluster.pods("app=web")}
    seen = {on_node[pod]: client for pod, client in ask_from(cluster.client)}
    assert seen == {name: cluster.client.address if name == holder else cluster.node(holder).address for name in on_node.values()}


# --- looking inside

def test_an_operator_sees_what_it_does_by_logs_exec_and_ping(cluster):
    [holder] = cluster.holders()
    [pod] = [one["metadata"]["name"] for one in cluster.pods("app.kubernetes.io/name=vipkeeper", "kube-system")
             if one["spec"]["nodeName"] == holder]
    assert "Entering MASTER STATE" in cluster.kubectl("-n", "kube-system", "logs", pod)
    status = cluster.kubectl("-n", "kube-system", "exec", pod, "--", "vipkeeper", "status")
    assert f"tcp {VIP}:80" in status and "MASTER" in status and "masquerading by iptables: 2 virtual services" in status
    assert "error:" not in status
    text = cluster.kubectl("-n", "kube-system", "exec", pod, "--", "cat", "/etc/keepalived/keepalived.conf")
    assert f"virtual_server {VIP} 80" in text and "vrrp_instance vips" in text
    assert ping(cluster.client) and ping(cluster.far_client)


def test_the_command_that_readme_prints_shows_the_status(cluster):
    assert f"{VIP}/32" in cluster.kubectl("-n", "kube-system", "exec", "ds/vipkeeper", "--", "vipkeeper", "status")


# --- pods come and go while clients ask

def settle_with(cluster, replicas):
    cluster.kubectl("scale", "deployment/web", f"--replicas={replicas}")
    wait_for_pods(cluster, replicas, 300)
    wait_for_endpoints(cluster)


def assert_nothing_failed(load, at_least=100):
    answered, failures, longest, seconds = load.stop()
    print(f"{answered} answered in {seconds:.0f} s, {len(failures)} failed, longest silence {longest:.2f} s")
    assert failures == [] and answered >= at_least


def test_no_request_fails_while_the_deployment_is_scaled_six_one_six(cluster):
    settle_with(cluster, 6)
    load = Load(cluster.client)
    settle_with(cluster, 1)
    settle_with(cluster, 6)
    assert_nothing_failed(load)


def test_no_request_fails_while_the_deployment_is_rolled_out(cluster):
    settle_with(cluster, 3)
    load = Load(cluster.client)
    cluster.kubectl("rollout", "restart", "deployment/web")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=300s")
    wait_for_pods(cluster, 3, 300)
    wait_for_endpoints(cluster)
    assert_nothing_failed(load)


def test_no_request_fails_while_the_nodes_are_drained_one_by_one(cluster):
    load = Load(cluster.client)
    for node in cluster.nodes:
        cluster.kubectl("drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
        wait_for_pods(cluster, 3, 300)
        cluster.kubectl("uncordon", node.name)
    wait_for_endpoints(cluster)
    assert_nothing_failed(load)


def test_no_request_fails_and_nothing_moves_while_the_api_server_is_frozen_and_then_killed(cluster, freeze):
    holder = cluster.holders()
    before = [real_servers(node) for node in cluster.nodes]
    load = Load(cluster.client)
    cluster.signal("kube-apiserver", signal.SIGSTOP)
    holds_for(lambda: cluster.holders() == holder, freeze, "the holder while the API server is frozen")
    cluster.signal("kube-apiserver", signal.SIGKILL)
    cluster.processes["kube-apiserver"].wait()
    holds_for(lambda: cluster.holders() == holder, min(freeze, 5), "the holder without an API server")
    assert [real_servers(node) for node in cluster.nodes] == before
    cluster.start_api_server()
    wait_until(lambda: cluster.api.text("/readyz") == "ok", 120, "the API server back")
    wait_until(lambda: len(cluster.ready_nodes()) == 3, 180, "the nodes Ready again")
    assert cluster.holders() == holder
    assert_nothing_failed(load)


# --- the holder is lost

def lose(cluster, how, patience=60):
    """Loses the holder while a client asks: (holder before, holder after, longest silence)."""
    [before] = cluster.holders()
    load = Load(cluster.client, rate=20)
    how(cluster.node(before))
    connected = [node for node in cluster.nodes if node.name != before]
    held = wait_until(lambda: [node.name for node in connected if f"{VIP}/32" in node.addresses()] or before in cluster.holders(), 20,
                      "somebody holds the VIP")
    time.sleep(3)  # what may still come: a second holder, a move back
    answered, _, longest, _ = load.stop()
    print(f"held by {before}, then {held}; {answered} answered, longest silence {longest:.2f} s")
    assert longest < SILENCE
    return before


def vipkeeper_pod(cluster, node):
    return next(one["metadata"]["name"] for one in cluster.pods("app.kubernetes.io/name=vipkeeper", "kube-system")
                if one["spec"]["nodeName"] == node)


def test_a_holder_whose_pod_is_deleted_is_followed_by_one(cluster):
    lose(cluster, lambda node: cluster.kubectl("-n", "kube-system", "delete", "pod", vipkeeper_pod(cluster, node.name), "--wait=false"))
    vipkeeper_runs(cluster)
    assert names(ask_from(cluster.client)) == web_names(cluster)


def test_a_holder_whose_program_is_killed_is_followed_by_one(cluster):
    lose(cluster, lambda node: [os.kill(pid, signal.SIGKILL) for pid in process_in(node, "vipkeeper")])
    vipkeeper_runs(cluster)
    assert names(ask_from(cluster.client)) == web_names(cluster)


def test_a_holder_whose_cable_is_cut_is_followed_by_one_and_gives_way_when_it_is_back(cluster):
    before = lose(cluster, lambda node: node.cut())
    cluster.node(before).mend()
    wait_until(lambda: len(cluster.holders()) == 1, 30, "one holder after the cable is mended")
    wait_until(lambda: len(cluster.ready_nodes()) == 3, 180, "the node Ready again")
    vipkeeper_runs(cluster)


def test_a_rollout_of_vipkeeper_leaves_one_holder(cluster):
    load = Load(cluster.client, rate=20)
    cluster.kubectl("-n", "kube-system", "rollout", "restart", "daemonset/vipkeeper")
    cluster.kubectl("-n", "kube-system", "rollout", "status", "daemonset/vipkeeper", "--timeout=400s")
    vipkeeper_runs(cluster)
    answered, _, longest, _ = load.stop()
    assert answered > 20 and longest < SILENCE
    assert names(ask_from(cluster.client)) == web_names(cluster)


# --- the end

def left_on(node):
    """Whatever of vipkeeper's a host still has."""
    rules = node.run("iptables-legacy-save", check=False) + node.run("ip6tables-legacy-save", check=False)
    return {"addresses": [one for one in node.addresses() if one.startswith(f"{VIP}/")],
            "virtual services": [line for line in node.run("ipvsadm", "-Ln").splitlines() if line.startswith(("TCP", "UDP", "SCTP", "FWM"))],
            "rules": [line for line in rules.splitlines() if "vipkeeper" in line.lower()],
            "sets": [line for line in node.run("ipset", "list", "-n", check=False).splitlines() if line.startswith("vipkeeper")]}


def test_nothing_is_left_on_any_host_when_it_is_deleted(cluster):
    cluster.kubectl("delete", "-k", cluster.overlay, "--wait=true", "--timeout=180s")
    nothing = {"addresses": [], "virtual services": [], "rules": [], "sets": []}
    for node in cluster.nodes:
        wait_until(lambda: not process_in(node, "vipkeeper"), 90, f"no vipkeeper on {node.name}")
        assert left_on(node) == nothing, node.name
