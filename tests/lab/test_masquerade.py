"""The rules that make replies come back through the holder: made, mended, adopted, taken away, and nobody else's touched.

They hold whichever way the rules are made: by nftables where the kernel has it, else by iptables and ipset.
"""

import pytest

from vklab import Manifests, config_map, endpoint_slice, holds_for, node as node_object, service, wait_until
from vklab.asking import Question, ask_all
from vklab.ipvs import TableReader
from vklab.node import CONFIGURATION
from vklab.routed import RoutedSite
from vklab.rules import flushes, load_like_kube_proxy, read_rules

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
            self.manifests.put(node_object(node.name, node.addresses()["eth0"] and f"192.0.2.{10 + int(node.name[-1])}"))
        self.put_service()
        self.put_endpoints([HERE, THERE])
        self.put_entries(VIP)

    def put_service(self, **options):
        self.manifests.put(service("web", [("http", 80, 8080)], health_check="none", **options))

    def put_endpoints(self, addresses):
        self.manifests.put(endpoint_slice("web", addresses, [("http", 8080)], nodes=NODES))

    def put_entries(self, *vips):
        self.manifests.put(config_map({vip: "default/web" for vip in vips}))

    def start(self):
        self.holder.start_vipkeeper(self.manifests.directory)
        self.holder.wait_ready()
        wait_until(lambda: self.holder.holds(VIP) and self.rules().own, 20, "the VIP held and the rules made")
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


def test_rules_that_a_killed_program_left_are_adopted_and_no_packet_is_lost(site):
    site.put_endpoints([THERE])
    site.start()
    before = site.rules()
    site.holder.program.kill9()
    assert site.rules() == before
    assert site.seen() == {"web-2 on node2": {HOLDER}}
    site.start()
    holds_for(lambda: site.rules() == before, 1, "the same rules")
    assert rule_changes(site.holder) == 0
    # What has changed while it was dead is found too.
    site.holder.program.kill9()
    site.put_entries(VIP, MORE)
    site.start()
    wait_until(lambda: len(site.rules().own) == len(before.own) + 1, 10, "one more element")
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
    text = site.holder.path(CONFIGURATION).read_text()
    assert text.count("masquerade auto") == 1 and text.count("on_this_node") == 1
