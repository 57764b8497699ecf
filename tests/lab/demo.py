#!/usr/bin/python3
"""The demo: three nodes share virtual IPs, balance requests over pods, lose a node, get it back and follow a Service.

Run by deploy/examples/demo/run, in a guest kernel. Everything is real: kernels, packets, the program on each node. Every
step is checked; the first that did not happen ends the demo with 1 and says what is missing. With --keep all stays up
afterwards, until the guest is stopped (tests/lab/guest/stop demo).
"""

import os
import pathlib
import shutil
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from vklab import Lab, wait_until  # noqa: E402
from vklab.ipvs import TableReader  # noqa: E402
from vklab.node import REPOSITORY, vipkeeper_program  # noqa: E402
from vklab.site import VIP_DR, VIP_NAT, VIPS, Site  # noqa: E402

OBJECTS = REPOSITORY / "deploy" / "examples" / "demo"
ADVERT = float(os.environ.get("ADVERT", "0.2"))
BOLD, DIM, GREEN, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if os.environ.get("COLOR") else ("",) * 4

PICTURE = """
    client 192.0.2.100
      |
    ==+======+===============+===============+======  192.0.2.0/24, a bridge
             | .11           | .12           | .13
          +--+----+       +--+----+       +--+----+
          | node1 |       | node2 |       | node3 |    vipkeeper run --manifests, one on each
          +--+----+       +--+----+       +--+----+
             | .11           | .12           | .13
    ====+====+=====+=========+===+===========+======  10.2.0.0/24, a bridge
        | .101     | .102        | .103
      web-1      web-2         web-3
"""


class DidNotHappen(Exception):
    """A step of the story that failed; the text is for the one who watches."""


class Story:
    def __init__(self, lab):
        self.lab = lab
        self.chapter = 0
        self.began = time.monotonic()

    def say(self, title):
        self.chapter += 1
        print(f"\n{BOLD}{self.chapter}. {title}{PLAIN}  {DIM}[{time.monotonic() - self.began:.1f} s]{PLAIN}", flush=True)

    def tell(self, line=""):
        print(f"   {line}", flush=True)

    def expect(self, condition, timeout, what):
        try:
            return wait_until(condition, timeout, what)
        except AssertionError as error:
            raise DidNotHappen(str(error)) from None

    def run(self):
        self.build()
        self.show_table()
        self.request_thousand()
        self.lose_the_active_node()
        self.bring_it_back()
        self.scale()

    def build(self):
        self.say("Three nodes, three pods, a client")
        print(PICTURE)
        self.site = Site(self.lab)
        self.manifests = self.lab.directory / "manifests"
        self.manifests.mkdir()
        for file in OBJECTS.glob("*.yaml"):
            shutil.copy(file, self.manifests)
        self.tell(f"objects: {', '.join(sorted(f.name for f in self.manifests.iterdir()))} of {OBJECTS.relative_to(REPOSITORY)}")
        for node in self.site.nodes:
            node.start_vipkeeper(self.manifests, advert=ADVERT)
        for node in self.site.nodes:
            try:
                node.wait_ready()
            except (AssertionError, RuntimeError) as error:
                raise DidNotHappen(str(error)) from None
        started = time.monotonic()
        self.expect(lambda: all(len(self.lab.holders(vip)) == 1 for vip in VIPS), 10 + 5 * ADVERT, "every VIP held by one node")
        self.expect(lambda: all(self.real_servers(node) == 9 for node in self.site.nodes), 20,
                    "nine real servers in every node's kernel")
        self.readers = {node.name: TableReader(node) for node in self.site.nodes}
        self.tell(f"every node is ready; {self.site.holder().name} holds the VIPs, {time.monotonic() - started:.1f} s after that")

    @staticmethod
    def real_servers(node):
        return sum(len(service.reals) for service in node.ipvs().values())

    def show_table(self):
        self.say("Who holds what (vipkeeper status --json, on each node)")
        statuses = {node.name: node.status() for node in self.site.nodes if node.program.running}
        services = {}
        for service in next(iter(statuses.values()))["virtual_services"]:
            methods = {real["method"] for real in service["real_servers"]}
            services.setdefault(service["address"], []).append(
                f"{service['protocol']} {service['port']} -> {len(service['real_servers'])} pods of {service['service']}, "
                f"{'/'.join(sorted(methods))}")
        self.tell(f"{'':14}" + "".join(f"{name:10}" for name in statuses))
        self.tell(f"{'state':14}" + "".join(f"{status['virtual_routers'][0]['state']:10}" for status in statuses.values()))
        self.tell(f"{'priority':14}" + "".join(
            f"{status['virtual_routers'][0]['effective_priority']:<10}" for status in statuses.values()))
        for vip in VIPS:
            marks = []
            for name, status in statuses.items():
                present = any(a["address"].split("/")[0] == vip and a["present"]
                              for router in status["virtual_routers"] for a in router["addresses"])
                if present != self.lab.hosts[name].holds(vip):
                    raise DidNotHappen(f"{name} says of {vip} present={present}, its kernel says otherwise")
                marks.append(f"{'holds' if present else '-':10}")
            about = "; ".join(services.get(vip, [])) or "a bare VIP: the pods' gateway"
            self.tell(f"{vip:14}" + "".join(marks) + DIM + about + PLAIN)

    def request_thousand(self):
        self.say("1,000 requests from the client")
        for vip, method in ((VIP_NAT, "NAT"), (VIP_DR, "DR")):
            began = time.monotonic()
            try:
                counts = self.site.spread(vip, 80, 500)
            except OSError as error:
                raise DidNotHappen(f"a request to http://{vip}/ got no answer: {error}") from None
            self.tell(f"500 to http://{vip}/ ({method}) in {time.monotonic() - began:.1f} s, all answered:")
            for pod, count in sorted(counts.items()):
                self.tell(f"  {pod}  {count:4}  {'#' * (count // 5)}")
            if len(counts) != 3 or min(counts.values()) < 100:
                raise DidNotHappen(f"the requests to {vip} are not spread over three pods: {counts}")

    def lose_the_active_node(self):
        self.holder = self.site.holder()
        self.say(f"{self.holder.name}, which holds the VIPs, is cut off: both its cables")
        probe = self.lab.probe(self.site.client, VIP_NAT, 7)
        time.sleep(0.3)
        cut = self.holder.cut_off()
        others = [node for node in self.site.nodes if node is not self.holder]
        self.expect(lambda: all(any(node.holds(vip) for node in others) for vip in VIPS), 4 * ADVERT + 10, "another node to take over")
        successor = self.site.holder()
        self.expect(lambda: self.site.client.ask(VIP_NAT, 80), 10, "an answer from the successor")
        time.sleep(0.3)
        result = probe.finish()
        priority = successor.live_status()["virtual_routers"][0]["effective_priority"]
        protocol = 3 * ADVERT + (256 - priority) / 256 * ADVERT
        self.tell(f"{successor.name} took over. A client that asks every 2 ms was {BOLD}{result.longest * 1000:.0f} ms{PLAIN} without an "
                  f"answer.")
        self.tell(f"{DIM}(by the protocol's timers {(protocol - ADVERT) * 1000:.0f} to {protocol * 1000:.0f} ms, as the last "
                  f"advertisement was up to {ADVERT:g} s old){PLAIN}")
        if not any(begin > cut - 0.1 for begin, _ in result.outages(0.02)):
            raise DidNotHappen("the client did not notice that the node was cut off: nothing was proved")
        self.show_table()

    def bring_it_back(self):
        self.say(f"{self.holder.name} is plugged in again")
        successor = self.site.holder()
        probe = self.lab.probe(self.site.client, VIP_NAT, 7)
        self.holder.bring_back()

        def is_back():
            router = self.holder.live_status()["virtual_routers"][0]
            return router["state"] == "BACKUP" and router["active_router"] == f"192.0.2.{10 + int(successor.name[-1])}"

        self.expect(is_back, 20, f"{self.holder.name} to be a Backup Router that hears {successor.name}")
        time.sleep(0.5)
        result = probe.finish()
        self.tell(f"it is a Backup Router now, and {self.site.holder().name} keeps the VIPs (nopreempt).")
        self.tell(f"Longest time without an answer meanwhile: {result.longest * 1000:.0f} ms; {len(result.answers)} of {result.sent} "
                  f"probes answered.")

    def scale(self):
        self.say("Service web is scaled: a file of the objects changes, the kernels follow")
        path = self.manifests / "web.yaml"
        three = path.read_text()
        without_third = "- addresses: [10.2.0.103]\n  conditions: {ready: true}\n"
        if without_third not in three:
            raise DidNotHappen(f"{path.name} has no third endpoint to take away")
        for text, pods in ((three.replace(without_third, ""), 2), (three, 3)):
            new = path.with_suffix(".new")
            new.write_text(text)
            began = time.monotonic()
            new.rename(path)
            missing, took = dict(self.readers), {}
            while missing and time.monotonic() < began + 20:
                for name, reader in list(missing.items()):
                    if len(reader.reals("tcp", VIP_NAT, 80)) == pods:
                        took[name] = time.monotonic() - began
                        del missing[name]
            if missing:
                raise DidNotHappen(f"the kernels of {', '.join(missing)} did not follow to {pods} pods within 20 s")
            self.tell(f"to {pods} pods: the kernels followed in " +
                      ", ".join(f"{BOLD}{seconds * 1000:.1f} ms{PLAIN} ({name})" for name, seconds in sorted(took.items())))
            counts = self.site.spread(VIP_NAT, 80, 60)
            if len(counts) != pods:
                raise DidNotHappen(f"{pods} pods, but {len(counts)} answer: {counts}")
            self.tell("  60 requests: " + ", ".join(f"{pod} {count}" for pod, count in sorted(counts.items())))


def look_around():
    on = "tests/lab/guest/exec demo -- tests/lab/on" if os.environ.get("LAB_INSIDE") == "guest" else "tests/lab/on"
    program = os.path.relpath(vipkeeper_program(), REPOSITORY)
    print(f"""
{BOLD}It stays up. Look around (from the repository, as root):{PLAIN}
  {on} demo-node1 {program} status
  {on} demo-node2 cat /etc/keepalived/keepalived.conf
  {on} demo-node2 ipvsadm -Ln
  {on} demo-node3 ip -brief address
  {on} demo-client busybox wget -qO- http://{VIP_NAT}/
  {on} demo-switch ip link set node2.eth0 down      {DIM}# cut a cable; `up` mends it{PLAIN}
  {on} demo-node1 tcpdump -ni eth0 -c 5 vrrp""")
    if os.environ.get("LAB_INSIDE") == "guest":
        print(f"{BOLD}and end it:{PLAIN}\n  tests/lab/guest/stop demo", flush=True)


def tell(lab, keep):
    """The whole story; 0 if all of it happened."""
    story = Story(lab)
    try:
        story.run()
    except DidNotHappen as failure:
        print(f"\nThis did not happen: {failure}\n\n{lab.logs(15)}", flush=True)
        return 1
    except Exception:
        print(f"\n{traceback.format_exc()}\n{lab.logs(15)}", flush=True)
        return 1
    print(f"\n{GREEN}All of it happened, in {time.monotonic() - story.began:.0f} s.{PLAIN}", flush=True)
    if keep:
        look_around()
    return 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    keep = "--keep" in sys.argv[1:]
    try:
        vipkeeper_program()
    except AssertionError as error:
        sys.exit(f"demo: {error}")
    if not keep:
        with Lab("demo") as lab:
            return tell(lab, keep)
    # The lab lives in a child that stays; we end when the story does.
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return int(os.read(reader, 8) or b"1")
    os.close(reader)
    with Lab("demo", keeps_files=False) as lab:
        code = tell(lab, keep)
        if code == 0 and os.environ.get("LAB_INSIDE") != "guest":
            print("and end it with Ctrl-C.", flush=True)
        else:
            os.write(writer, str(code).encode())
            os.close(writer)
        while code == 0:
            signal.pause()
    return code


if __name__ == "__main__":
    sys.exit(main())
