"""What a host and its neighbours can cost the VRRP side: bounded by us. The figures are printed (pytest -s, -rP)."""

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import time

import pytest

from vklab import vrrp_text, wait_until
from vklab.capture import VRRP, ones_complement_sum

ADVERT = 0.1
MANY = 10_000
GROUP = "224.0.0.18"


# One announcement of each address and no second block: what is over can be waited for by its count.
ANNOUNCED_ONCE = "  garp_master_repeat 1\n  garp_master_delay 0"


def excluded(count):
    return "\n".join(["  virtual_ipaddress_excluded {", *(f"    198.18.{i // 200}.{1 + i % 200}/32" for i in range(count)), "  }"])


def held(node):
    """Addresses of 198.18/15 on the node, counted without a line for each."""
    with node.network():
        return pathlib.Path("/proc/net/fib_trie").read_text().count("/32 host LOCAL")


def gaps(adverts):
    times = [a.time for a in adverts]
    return [b - a for a, b in zip(times, times[1:])]


def thread_seconds(pid, name):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise AssertionError(f"no thread {name}")


def advertisement(source, priority, addresses, *, vrid=50, interval=10, version=3):
    body = struct.pack("!BBBBHH", version << 4 | 1, vrid, priority, len(addresses), interval, 0)
    body += b"".join(socket.inet_aton(a) for a in addresses)
    pseudo = socket.inet_aton(source) + socket.inet_aton(GROUP) + struct.pack("!BBH", 0, VRRP, len(body))
    checksum = 0xFFFF ^ ones_complement_sum(pseudo + body)
    body = body[:6] + struct.pack("!H", checksum) + body[8:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(body), 1, 0, 255, VRRP, 0, socket.inet_aton(source),
                         socket.inet_aton(GROUP))
    return header[:10] + struct.pack("!H", 0xFFFF ^ ones_complement_sum(header)) + header[12:] + body


def send_from(host, packets):
    """Sends raw IPv4 packets on the host's eth0, as fast as it goes; those that its queue does not take are left out."""
    with host.network():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    to = ("eth0", 0x0800, 0, 0, bytes.fromhex("01005e000012"))
    sent = 0
    for packet in packets:
        with contextlib.suppress(OSError):
            raw.sendto(packet, to)
            sent += 1
    raw.close()
    return sent


def announced(node):
    return node.metrics().get("vipkeeper_vrrp_announcements_sent_total", 0)


def test_ten_thousand_addresses_removed_by_a_reload_hold_up_no_advertisement_of_another_router(lab):
    lan = lab.add_network()
    node = lab.add_node("node1", lan, "192.0.2.11/24")
    alone = vrrp_text(100, ["192.0.2.50"], name="a", advert=ADVERT, vrid=50)
    node.start_engine(alone + vrrp_text(100, ["192.0.2.51"], name="b", advert=ADVERT, vrid=51, extra=excluded(MANY)))
    wait_until(lambda: held(node) >= MANY, 240, f"{MANY} addresses held")
    capture = lab.capture(lan)
    wait_until(lambda: len(capture.adverts(vrid=50)) >= 10, 20, "ten ADVERTISEMENTs")
    node.reload(alone)
    wait_until(lambda: held(node) < 10, 240, "the addresses gone")
    adverts = capture.adverts(vrid=50)
    worst = max(gaps(adverts))
    print(f"worst gap between ADVERTISEMENTs at {ADVERT} s while {MANY} addresses left: {worst:.3f} s")
    assert len(adverts) > 20
    assert worst < 3 * ADVERT  # a peer takes over after more


def test_other_interfaces_that_come_and_go_cost_the_vrrp_thread_nothing_however_many_addresses_it_has(lab):
    lan = lab.add_network()
    node = lab.add_node("node1", lan, "192.0.2.11/24")
    node.start_engine(vrrp_text(100, ["192.0.2.50"], advert=ADVERT, extra=f"{ANNOUNCED_ONCE}\n{excluded(MANY)}"))
    wait_until(lambda: held(node) >= MANY, 240, f"{MANY} addresses held")
    wait_until(lambda: announced(node) >= MANY + 1, 120, "every address announced")
    pairs, seconds = 0, 5.0
    before, begun = thread_seconds(node.program.pid, "vrrp"), time.monotonic()
    while time.monotonic() - begun < seconds:
        with node.network():
            subprocess.run(["ip", "link", "add", f"v{pairs}", "type", "veth", "peer", "name", f"w{pairs}"], check=True)
            subprocess.run(["ip", "link", "delete", f"v{pairs}"], check=True)
        pairs += 1
        time.sleep(max(0.0, begun + pairs / 27 - time.monotonic()))  # the pace of a busy node, no wait
    took, passed = thread_seconds(node.program.pid, "vrrp") - before, time.monotonic() - begun
    print(f"{pairs / passed:.0f} pairs of interfaces a second beside {MANY} addresses: {100 * took / passed:.1f} % of a core")
    assert took / passed < 0.1


def test_a_thousand_losing_advertisements_cost_at_most_two_announcements_of_each_address(lab):
    lan = lab.add_network()
    node = lab.add_node("node1", lan, "192.0.2.11/24")
    vips = [f"192.0.2.{100 + i}" for i in range(100)]
    node.start_engine(vrrp_text(200, vips, advert=ADVERT))
    lab.wait_for_holder(vips[-1], "node1")
    wait_until(lambda: announced(node) >= 10 * len(vips), 30, "both blocks of five announcements")
    stranger = lab.add_client(lan, "192.0.2.200/24", name="stranger")
    capture = lab.capture(lan)
    sent = send_from(stranger, [advertisement("192.0.2.200", 1 + i % 100, vips[:1]) for i in range(1000)])
    heard = len(capture.adverts(source="192.0.2.11"))
    wait_until(lambda: len(capture.adverts(source="192.0.2.11")) >= heard + 20, 20, "twenty ADVERTISEMENTs after them")
    most = max(len(capture.announcements(vip)) for vip in vips)
    print(f"{sent} lower-priority ADVERTISEMENTs: {most} announcements of an address at most")
    assert sent == 1000
    assert most <= 2
    assert node.holds(vips[0])


KINDS = {
    "lower priority": lambda i: advertisement("192.0.2.200", 1 + i % 90, ["192.0.2.50"]),
    "priority 0": lambda i: advertisement(f"192.0.2.{20 + i % 200}", 0, ["192.0.2.50"]),
    "another installation": lambda i: advertisement(f"192.0.2.{20 + i % 200}", 254, ["192.0.2.99"]),
    "another VRID": lambda i: advertisement(f"192.0.2.{20 + i % 200}", 254, ["192.0.2.50"], vrid=77),
    "a wrong checksum": lambda i: advertisement("192.0.2.200", 254, ["192.0.2.50"])[:-1] + b"\x07",
    "our own address": lambda i: advertisement("192.0.2.11", i % 255, ["192.0.2.50"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_makes_no_advertisement_late_and_few_lines(lab, kind):
    lan = lab.add_network()
    node = lab.add_node("node1", lan, "192.0.2.11/24")
    node.start_engine(vrrp_text(200, advert=1))
    lab.wait_for_holder("192.0.2.50", "node1")
    stranger = lab.add_client(lan, "192.0.2.200/24", name="stranger")
    packets = [KINDS[kind](i) for i in range(2000)]
    capture = lab.capture(lan)
    lines = len(node.program.log().splitlines())
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < 6:
        sent += send_from(stranger, packets)
    passed = time.monotonic() - begun
    heard = len(capture.adverts(source="192.0.2.11", priority=200))
    wait_until(lambda: len(capture.adverts(source="192.0.2.11", priority=200)) > heard, 10, "one more ADVERTISEMENT")
    ours = [a for a in capture.adverts(source="192.0.2.11", vrid=50) if a.priority == 200 and a.checksum == "good"]
    lines = len(node.program.log().splitlines()) - lines
    print(f"{sent / passed:,.0f} packets a second ({kind}): worst gap {max(gaps(ours)):.3f} s at 1 s, {lines} lines")
    assert max(gaps(ours)) < 1.5
    assert lines < 30
    assert node.holds("192.0.2.50")
