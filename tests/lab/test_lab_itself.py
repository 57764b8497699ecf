"""The lab proves itself: what the other tests rely on is true."""

import itertools
import os
import pathlib
import socket
import struct

import pytest

from vklab import Lab, wait_until
from vklab.capture import ones_complement_sum
from vklab.holders import HolderTimeline
from vklab.ipvs import Real, TableReader, Virtual
from vklab.namespaces import NAMES

VIP = "192.0.2.50"


def test_hosts_on_one_network_reach_each_other_and_hosts_of_another_lab_do_not(lab):
    with Lab() as other:
        for one in (lab, other):
            lan = one.add_network("lan")
            server = one.add_client(lan, "192.0.2.1/24", "server")
            server.serve(f"server of {one.prefix}", tcp=[80])
            one.add_client(lan, "192.0.2.2/24", "client")
        for one in (lab, other):
            assert one.hosts["client"].ask("192.0.2.1", 80) == f"server of {one.prefix}"


def test_a_closed_lab_leaves_no_process_no_name_and_no_file():
    with Lab() as one:
        lan = one.add_network()
        host = one.add_node("node1", lan, "192.0.2.1/24")
        # One that has left its parent and its process group, as daemons do.
        program = host.start("daemon", ["sh", "-c", "setsid sleep 1000 & exec sleep 1000"])
        stray = wait_until(lambda: [pid for pid in host.namespaces.processes() if pid != program.pid], 5, "a stray process")
        names = list(NAMES.glob(f"{one.prefix}-*"))
        assert len(names) == 2
    assert not any(name.exists() for name in names)
    assert not pathlib.Path(one.directory).exists()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in stray)


@pytest.mark.parametrize("failure, heard_there, heard_back", [
    ("cut", False, False), ("unplug", False, False), ("link_down", False, False),
    ("lose_sent", True, False), ("lose_received", False, True)])
def test_a_cable_fails_as_its_failure_says_and_mends(lab, failure, heard_there, heard_back):
    lan = lab.add_network()
    left = lab.add_client(lan, "192.0.2.1/24", "left")
    right = lab.add_client(lan, "192.0.2.2/24", "right")
    with left.network():
        a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        a.bind(("192.0.2.1", 9))
    with right.network():
        b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        b.bind(("192.0.2.2", 9))

    questions = itertools.count()

    def arrives(sender, receiver, address):
        question = b"%d" % next(questions)
        receiver.settimeout(0.2)
        try:
            sender.sendto(question, (address, 9))
            while receiver.recv(9) != question:  # one of before, that came late
                pass
            return True
        except OSError:
            return False

    with a, b:
        there = lambda: arrives(a, b, "192.0.2.2")  # noqa: E731
        back = lambda: arrives(b, a, "192.0.2.1")  # noqa: E731
        wait_until(lambda: there() and back(), 5, "traffic to begin with")
        cable = right.cables["eth0"]
        getattr(cable, failure)()
        assert (there(), back()) == (heard_there, heard_back)
        cable.mend()
        wait_until(lambda: there() and back(), 5, "traffic after mending")


def test_a_captured_advertisement_has_its_checksum_judged(lab):
    lan = lab.add_network()
    host = lab.add_client(lan, "192.0.2.1/24", "sender")
    capture = lab.capture(lan)
    message = struct.pack("!BBBBHH4s", 0x31, 50, 100, 1, 100, 0, socket.inet_aton(VIP))
    pseudo = socket.inet_aton("192.0.2.1") + socket.inet_aton("224.0.0.18") + struct.pack("!BBH", 0, 112, len(message))
    with host.network(), socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as raw:
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.0.2.1"))
        for covered in (pseudo + message, message, b"\1"):
            checksum = 0xFFFF - ones_complement_sum(covered)
            raw.sendto(message[:6] + struct.pack("!H", checksum) + message[8:], ("224.0.0.18", 0))
    wait_until(lambda: len(capture.adverts()) == 3, 5, "three advertisements")
    assert [a.checksum for a in capture.adverts()] == ["good", "good without pseudo-header", "bad"]
    assert capture.adverts()[0].addresses == (VIP,) and capture.adverts()[0].ttl == 255


def test_a_timeline_of_holders_adds_up_the_time_with_two_and_with_none():
    timeline = HolderTimeline({"a": True, "b": False}, 0.0, 10.0,
                              [(2.0, "b", True), (2.5, "a", False), (4.0, "b", False), (7.0, "a", True)])
    assert timeline.longest_with_several() == 0.5
    assert timeline.longest_with_none() == 3.0
    assert timeline.longest_with_several(since=2.25) == 0.25


def test_an_address_watch_sees_every_change_of_holder(lab):
    lan = lab.add_network()
    nodes = [lab.add_node(f"node{i}", lan, f"192.0.2.{i}/24") for i in (1, 2)]
    watch = lab.watch_holders(VIP, nodes)
    for _ in range(20):
        for node in nodes:
            node.add_address(f"{VIP}/32", "eth0")
        assert lab.holders(VIP) == {"node1", "node2"}
        for node in nodes:
            node.delete_address(f"{VIP}/32", "eth0")
    timeline = watch.finish()
    assert [sorted(holders) for _, _, holders in timeline.spans] == [*([], ["node1"], ["node1", "node2"], ["node2"]) * 20, []]


@pytest.mark.ipvs
def test_the_kernels_table_is_read_as_ipvsadm_shows_it(lab):
    host = lab.add_node("node1", lab.add_network(), "192.0.2.1/24")
    host.run(["ipvsadm", "-R"], input=f"""-A -t {VIP}:80 -s rr -p 1800
-a -t {VIP}:80 -r 10.2.0.101:8080 -m -w 3 -x 100 -y 50
-a -t {VIP}:80 -r 10.2.0.102:80 -g -w 0
-A -u [2001:db8::32]:53 -s wlc
-a -u [2001:db8::32]:53 -r [2001:db8::65]:53 -i -w 1
-A -f 7 -s wrr
""")
    assert host.ipvs() == {
        f"tcp {VIP}:80": Virtual("rr", 1800, {"10.2.0.101:8080": Real("masquerade", 3, 100, 50), "10.2.0.102:80": Real("direct", 0)}),
        "udp [2001:db8::32]:53": Virtual("wlc", 0, {"[2001:db8::65]:53": Real("tunnel", 1)}),
        "fwmark 7": Virtual("wrr", 0, {}),
    }
    reader = TableReader(host)
    assert reader.reals("tcp", VIP, 80)["10.2.0.102:80"] == Real("direct", 0)
    assert reader.reals("tcp", VIP, 81) == {}
    reader.close()
