"""A Service on its VIP in a real cluster: every client is answered, whatever happens to pods, nodes and the API server.

The tests are in the order of a story: the last one takes vipkeeper away and looks what is left.
"""

import os
import signal

import pytest

from cluster import VIP, holds_for, process_in, wait_until
from conftest import vipkeeper_runs
from workload import Load, ask_by_datagram, ask_from, ask_from_pod, ping, real_servers, wait_for_pods

VIPKEEPER = "app.kubernetes.io/name=vipkeeper"
# VRRP's timers at 1 s are up to 3.6 s; the rest is a guest with one processor for three nodes.
SILENCE = 8


def names(answers):
    return {pod for pod, _ in answers}


def web_names(cluster):
    """The three, one a node."""
    pods = cluster.pods("app=web")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == len(pods) == 3
    return {pod["metadata"]["name"] for pod in pods}


def settle_with(cluster, replicas):
    cluster.kubectl("scale", "deployment/web", f"--replicas={replicas}")
    wait_for_pods(cluster, replicas)


def assert_nothing_failed(load, at_least=400):
    outcome = load.stop()
    print(*outcome.failures[:20], sep="\n")
    assert outcome.failures == [] and outcome.answered >= at_least


# --- every client

def test_a_client_outside_reaches_every_pod(cluster):
    assert names(ask_from(cluster.client)) == web_names(cluster)


def test_a_client_outside_reaches_every_pod_by_datagrams(cluster):
    assert names(ask_from(cluster.client, question=ask_by_datagram)) == web_names(cluster)


def test_a_client_behind_a_router_reaches_every_pod(cluster):
    assert names(ask_from(cluster.far_client)) == web_names(cluster)


def test_each_node_reaches_every_pod_holder_or_not(cluster):
    assert {node.name: names(ask_from(node)) for node in cluster.nodes} == dict.fromkeys(
        ("node1", "node2", "node3"), web_names(cluster))


def test_each_pod_reaches_every_pod_itself_too(cluster):
    pods = cluster.pods("app=web")
    assert {pod["spec"]["nodeName"]: names(ask_from_pod(cluster, pod)) for pod in pods} == dict.fromkeys(
        ("node1", "node2", "node3"), web_names(cluster))


def test_a_client_outside_is_seen_as_itself_by_the_pod_on_the_holder_and_as_the_holder_by_others(cluster):
    [holder] = cluster.holders()
    on_node = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in cluster.pods("app=web")}
    seen = {on_node[pod]: client for pod, client in ask_from(cluster.client)}
    assert seen == {name: cluster.client.address if name == holder else cluster.node(holder).address for name in on_node.values()}


# --- looking inside

def test_an_operator_sees_what_it_does_by_logs_exec_and_ping(cluster):
    [holder] = cluster.holders()
    pod = vipkeeper_pod(cluster, holder)
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

@pytest.mark.load
def test_no_request_fails_while_the_deployment_is_scaled_six_one_six_and_a_pod_alone_reaches_itself(cluster):
    settle_with(cluster, 6)
    load = Load(cluster)
    settle_with(cluster, 1)
    [pod] = cluster.pods("app=web")
    assert names(ask_from_pod(cluster, pod)) == {pod["metadata"]["name"]}
    settle_with(cluster, 6)
    assert_nothing_failed(load)


@pytest.mark.load
def test_no_request_fails_while_the_deployment_is_rolled_out(cluster):
    settle_with(cluster, 3)
    load = Load(cluster)
    cluster.kubectl("rollout", "restart", "deployment/web")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=180s", timeout=200)
    wait_for_pods(cluster, 3)
    assert_nothing_failed(load)


@pytest.mark.load
def test_no_request_fails_while_the_nodes_are_drained_one_by_one(cluster):
    load = Load(cluster)
    for node in cluster.nodes:
        cluster.kubectl("drain", node.name, "--ignore-daemonsets", "--timeout=120s", timeout=140)
        wait_for_pods(cluster, 3)
        cluster.kubectl("uncordon", node.name)
    assert_nothing_failed(load)


@pytest.mark.load
def test_no_request_fails_and_nothing_moves_while_the_api_server_is_frozen_and_then_killed(cluster, freeze):
    holder, before = cluster.holders(), [real_servers(node) for node in cluster.nodes]
    load = Load(cluster)
    cluster.freeze()
    holds_for(lambda: cluster.holders() == holder, freeze, "the holder while the API server is frozen")
    cluster.kill()
    holds_for(lambda: cluster.holders() == holder, min(freeze, 5), "the holder without an API server")
    assert [real_servers(node) for node in cluster.nodes] == before
    cluster.start_api_server()
    wait_until(lambda: len(cluster.ready_nodes()) == 3, 120, "the nodes Ready again")
    assert cluster.holders() == holder
    assert_nothing_failed(load)


# --- the holder is lost

def vipkeeper_pod(cluster, node):
    return next(one["metadata"]["name"] for one in cluster.pods(VIPKEEPER, "kube-system") if one["spec"]["nodeName"] == node)


def restarts(node, before):
    """Until another program runs there than before."""
    wait_until(lambda: set(process_in(node, "vipkeeper")) - before, 90, f"another vipkeeper on {node.name}")


def delete_pod(cluster, node):
    before = set(process_in(node, "vipkeeper"))
    cluster.kubectl("-n", "kube-system", "delete", "pod", vipkeeper_pod(cluster, node.name), "--wait=false")
    restarts(node, before)


def kill_program(_, node):
    [pid] = process_in(node, "vipkeeper")
    os.kill(pid, signal.SIGKILL)
    restarts(node, {pid})


def cut_cable(cluster, node):
    node.cut()
    others = [other for other in cluster.nodes if other is not node]
    wait_until(lambda: any(other.holds(VIP) for other in others), 30, "another holder")
    wait_until(lambda: ask_from(cluster.client), 30, "answers of another holder")
    node.mend()
    wait_until(lambda: len(cluster.ready_nodes()) == 3, 120, "the nodes Ready again")


@pytest.mark.parametrize("lose", [delete_pod, kill_program, cut_cable], ids=lambda how: how.__name__)
def test_a_holder_that_is_lost_is_followed_by_one_within_the_timers_of_vrrp(cluster, lose):
    [before] = cluster.holders()
    load = Load(cluster, rate=50)
    lose(cluster, cluster.node(before))
    vipkeeper_runs(cluster)
    after = cluster.holders()
    holds_for(lambda: cluster.holders() == after, 3, f"{after} the only holder")
    print(f"held by {before}, then by {after}")
    assert load.stop().longest < SILENCE
    wait_until(lambda: len(names(ask_from(cluster.client))) == 3, 60, "answers of every pod, also one whose check has to find it again")


def test_a_rollout_of_vipkeeper_is_silent_no_longer_than_its_handovers(cluster):
    load = Load(cluster, rate=50)
    cluster.kubectl("-n", "kube-system", "rollout", "restart", "daemonset/vipkeeper")
    cluster.kubectl("-n", "kube-system", "rollout", "status", "daemonset/vipkeeper", "--timeout=300s", timeout=320)
    vipkeeper_runs(cluster)
    assert load.stop().longest < SILENCE
    wait_until(lambda: len(names(ask_from(cluster.client))) == 3, 60, "answers of every pod, also one whose check has to find it again")


# --- the end

def left_on(node):
    """Whatever of vipkeeper's a host still has."""
    def lines(*command):
        return [line for line in node.run(*command, check=False).splitlines() if "vipkeeper" in line.lower()]

    return {"address": node.holds(VIP), "virtual services": set(node.ipvs()), "sets": lines("ipset", "list", "-n"),
            "rules": lines("iptables-legacy-save") + lines("ip6tables-legacy-save"), "tables": lines("nft", "list", "tables")}


def test_nothing_is_left_on_any_host_when_it_is_deleted(cluster):
    # What is looked for is there before.
    there = {name: bool(value) for name, value in left_on(cluster.node(*cluster.holders())).items()}
    assert there == {"address": True, "virtual services": True, "sets": True, "rules": True, "tables": False}
    cluster.kubectl("delete", "-k", cluster.deploy, "--wait=true", "--timeout=180s", timeout=200)
    for node in cluster.nodes:
        wait_until(lambda: not process_in(node, "vipkeeper"), 60, f"no vipkeeper on {node.name}")
        assert left_on(node) == {"address": False, "virtual services": set(), "sets": [], "rules": [], "tables": []}, node.name
