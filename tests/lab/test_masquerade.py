"""The rules that make replies come back through the holder: made, mended, adopted, taken away, and nobody else's touched.

They hold whichever way the rules are made: by nftables where the kernel has it, else by iptables and ipset.
"""

import os
import select
import time

import pytest

from vklab import Manifests, config_map, endpoint_slice, holds_for, node as node_object, service, wait_until
from vklab.asking import Question, ask_all
from vklab.ipvs import TableReader
from vklab.node import CONFIGURATION, RUN_DIRECTORY
from vklab.routed import RoutedSite
from vklab.rules import flushes, kernel_has_nftables, load_like_kube_proxy, read_rules

pytestmark = [pytest.mark.ipvs, pytest.mark.masquerade]
VIP, MORE = "192.0.2.50", "192.0.2.51"
HERE, THERE, IDLE = "10.2.1.2", "10.2.2.2", "10.2.1.9"
NODES = {HERE: "node1", IDLE: "node1", THERE: "node2"}
OUTSIDE, HOLDER, HOLDER_TO_PODS = "192.0.2.100", "192.0.2.11", "10.2.1.1"
SEEN = {"never": {"web-1 on node1": {OUTSIDE}},
        "auto": {"web-1 on node1": {OUTSIDE}, "web-2 on node2": {HOLDER}},
        "always": {"web-1 on node1": {HOLDER_TO_PODS}, "web-2 on node2": {HOLDER}}}


class Site(RoutedSite):
    """Two nodes, of which the first runs vipkeeper, and a Service with a pod on each."""

    def __init__(self, lab):
        super().__init__(lab, nodes=2)
        self.holder = self.nodes[0]
        self.manifests = Manifests(lab.directory / "manifests")
        for node in self.nodes:
            self.manifests.put(node_object(node.name, f"192.0.2.{10 + int(node.name[-1])}"))
        self.put_service()
        self.put_endpoints([HERE, THERE])
        self.put_entries(VIP)

    def put_service(self, **options):
        self.manifests.put(service("web", [("http", 80, 8080)], health_check="none", **options))

    def put_echo(self, **options):
        """The same pods by UDP, on the VIP's port 7."""
        self.manifests.put(service("web", [("http", 80, 8080), ("echo", 7, 8080, "UDP")], health_check="none", **options))

    def put_endpoints(self, addresses):
        self.manifests.put(endpoint_slice("web", addresses, [("http", 8080), ("echo", 8080, "UDP")], nodes=NODES))

    def put_entries(self, *vips):
        self.manifests.put(config_map({vip: "default/web" for vip in vips}))

    def start(self):
        self.holder.start_vipkeeper(self.manifests.directory)
        self.holder.wait_ready()
        wait_until(lambda: self.holder.holds(VIP), 20, "the VIP held")
        self.reader = TableReader(self.holder)

    def rules(self):
        return read_rules(self.holder)

    def seen(self, vip=VIP, questions=12):
        """{who answers the client: the addresses that it sees}, of so many connections."""
        asked = [Question(self.client, vip, 80, "tcp") for _ in range(questions)]
        ask_all(asked, asked, patience=1.5, grace=0)
        found = {}
        for name, source in (question.answer for question in asked if question.answer):
            found.setdefault(name, set()).add(source)
        return found

    def settle(self, endpoints):
        wait_until(lambda: len(self.reader.reals("tcp", VIP, 80)) == len(endpoints), 20, f"{endpoints} in the kernel")

    def kernel_commands(self):
        return sum(value for name, value in self.holder.metrics().items() if name.startswith("vipkeeper_kernel_operations_total"))


@pytest.fixture
def site(lab):
    return Site(lab)


def test_the_rules_are_made_the_way_that_the_kernel_has(site):
    nftables = kernel_has_nftables(site.holder)
    assert {"guest": not nftables, "emulation": nftables}.get(os.environ.get("LAB_INSIDE"), True), "a guest for the other way"
    site.start()
    assert site.rules().way == ("nftables" if nftables else "iptables")


def test_rules_that_somebody_flushes_are_mended_and_every_pod_answers_as_before(site):
    site.start()
    before = site.rules()
    assert site.seen() == SEEN["auto"]
    for what, commands in flushes(before.way).items():
        site.holder.run(["busybox", "sh", "-ec", "\n".join(commands)])
        wait_until(lambda: site.rules().own == before.own, 10, f"the rules mended after {what}: {site.rules().own ^ before.own}")
        assert site.seen() == SEEN["auto"], what
    assert site.holder.program.running


def test_the_rules_of_others_stay_byte_for_byte_while_ours_come_change_and_go(site):
    load_like_kube_proxy(site.holder)
    foreign = site.rules().foreign
    assert foreign.count("\n") > 5000 and not site.rules().own
    site.start()
    assert site.rules().foreign == foreign
    assert site.seen() == SEEN["auto"]
    site.put_entries(VIP, MORE)
    wait_until(lambda: site.seen(MORE) == SEEN["auto"], 10, "the new VIP to answer")
    site.put_endpoints([THERE])
    site.settle([THERE])
    site.put_service(masquerade="always")
    wait_until(lambda: site.seen() == {"web-2 on node2": {HOLDER}}, 10, "the one endpoint to answer")
    assert site.rules().foreign == foreign
    assert site.holder.program.stop(30) == 0
    after = site.rules()
    assert after.foreign == foreign and not after.own


def test_sigterm_takes_the_rules_along(site):
    site.start()
    assert site.holder.program.stop(20) == 0
    assert not site.rules().own
    site.start()
    assert site.seen() == SEEN["auto"]


def test_rules_that_a_killed_program_left_are_adopted_and_no_connection_is_lost(site):
    site.put_echo()
    site.put_endpoints([THERE])
    site.start()
    before = site.rules()
    # A new connection every 5 ms: one that begins while there is no rule for it never gets an answer. All begin in vain while a
    # restarted router listens, and holds no VIP.
    probe = site.lab.probe(site.client, VIP, 7, interval=0.005, flows=500)
    site.holder.program.kill9()
    assert site.rules() == before
    assert site.seen() == {"web-2 on node2": {HOLDER}}
    site.start()
    holds_for(lambda: site.rules() == before, 1, "the same rules")
    result = probe.finish()
    assert result.sent > 500 and result.sent - len(result.answers) < result.longest / 0.005 + 10, str(result)
    # What has changed while it was dead is found too.
    site.holder.program.kill9()
    site.put_entries(VIP, MORE)
    site.start()
    wait_until(lambda: len(site.rules().own) == len(before.own) + 2, 10, "two more elements: ports 80 and 7 of the VIP")
    site.holder.program.stop(20)
    assert not site.rules().own


def test_a_changed_endpoint_is_one_command_and_changes_no_rule_and_no_set(site):
    site.start()
    before = site.rules()
    for endpoints in ([HERE], [HERE, THERE], [HERE, THERE, IDLE], [HERE, THERE]):
        commands = site.kernel_commands()
        site.put_endpoints(endpoints)
        site.settle(endpoints)
        wait_until(lambda: site.kernel_commands() != commands, 5, "the counter to move")
        holds_for(lambda: site.kernel_commands() == commands + 1, 0.3, "one command")
        assert site.rules() == before


def test_one_more_vip_is_one_more_element(site):
    site.start()
    before = site.rules()
    site.put_entries(VIP, MORE)
    wait_until(lambda: site.seen(MORE) == SEEN["auto"], 10, "the new VIP to answer")
    after = site.rules()
    assert before.own < after.own and len(after.own) == len(before.own) + 1
    site.put_entries(VIP)
    wait_until(lambda: site.rules() == before, 10, "the element gone")


def test_the_last_endpoint_on_this_node_takes_its_network_along_and_the_first_brings_it(site):
    site.start()
    before = site.rules()
    site.put_endpoints([THERE])
    wait_until(lambda: site.rules().own < before.own, 10, "the network of this node's pods out of its set")
    assert len(site.rules().own) == len(before.own) - 1
    site.put_endpoints([HERE, THERE])
    wait_until(lambda: site.rules() == before, 10, "the network back")
    assert site.seen() == SEEN["auto"]


def test_the_annotation_says_whether_connections_are_masqueraded(site):
    site.start()
    for masquerade in ("auto", "never", "always", "auto"):
        site.put_service(masquerade=masquerade)
        wait_until(lambda: site.seen() == SEEN[masquerade], 10, f"masquerade {masquerade}")
    shown = site.holder.path(CONFIGURATION)
    wait_until(lambda: "  masquerade auto\n" in shown.read_text(), 10, "the text to say so")
    assert shown.read_text().count("on_this_node") == 1


def test_a_client_whose_datagrams_went_astray_before_they_were_masqueraded_is_answered_as_soon_as_they_are(site):
    site.put_echo(masquerade="never")
    site.put_endpoints([THERE])
    site.start()
    flow = Question(site.client, VIP, 7, "udp")  # one port all the time: a connection in the kernel's eyes
    ask_all([flow], [flow], patience=1, grace=0, close=False)
    assert not flow.answer
    site.put_echo()
    wait_until(lambda: again(flow), 10, "the same flow answered")
    flow.close()


def again(flow):
    flow.repeat()
    time.sleep(0.1)
    flow.handle(select.EPOLLIN)
    return flow.answer == ("web-2 on node2", HOLDER)


def test_plan_shows_what_would_be_done_to_the_rules_and_status_what_they_are(site):
    flags = ["--services-configmap=default/vip-configmap", "--node-name", "node1", "--iface", "eth0", "--run-dir", RUN_DIRECTORY,
             "--manifests", site.manifests.directory]

    def plan():
        return [line.strip() for line in site.holder.vipkeeper("plan", *flags).stdout.splitlines() if "masquerad" in line and "real server" not in line]

    assert plan() == ["make the ipv4 masquerading rules", "masquerade auto for tcp 192.0.2.50:80", "do not masquerade towards 10.2.1.0/24"]
    assert not site.rules().own
    site.start()
    assert plan() == []
    site.put_entries(VIP, MORE)
    wait_until(lambda: site.holder.status()["return_path"]["services"] == 2, 10, "both VIPs masqueraded")
    assert site.holder.status()["return_path"] == {
        "way": site.rules().way, "services": 2, "networks": ["10.2.1.0/24"], "in_place": True}
    assert {service["masquerade"] for service in site.holder.status()["virtual_services"]} == {"auto"}
    table = site.holder.vipkeeper("status", "--run-dir", RUN_DIRECTORY).stdout
    assert f"masquerading by {site.rules().way}: 2 virtual services; auto leaves out 10.2.1.0/24" in table
