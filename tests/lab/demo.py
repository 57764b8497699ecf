#!/usr/bin/python3
"""The demo: three nodes share virtual IPs, balance everybody's requests over their pods, lose a node, get it back, follow a Service.

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
from vklab.asking import Question, ask_all  # noqa: E402
from vklab.ipvs import TableReader  # noqa: E402
from vklab.node import REPOSITORY, vipkeeper_program  # noqa: E402
from vklab.routed import RoutedSite  # noqa: E402

VIP, BARE = "192.0.2.50", "192.0.2.51"
OBJECTS = REPOSITORY / "deploy" / "examples" / "demo"
ADVERT = float(os.environ.get("ADVERT", "0.2"))
BOLD, DIM, GREEN, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if os.environ.get("COLOR") else ("",) * 4

PICTURE = """
    client 192.0.2.100         router --- far client 198.51.100.100
      |                          |
    ==+======+===============+===+===========+======  192.0.2.0/24, a bridge
             | .11           | .12           | .13
          +--+----+       +--+----+       +--+----+
          | node1 |       | node2 |       | node3 |    vipkeeper run --manifests, one on each
          +--+----+       +--+----+       +--+----+
             | 10.2.1.0/24   | 10.2.2.0/24   | 10.2.3.0/24: pod networks, each behind its node
           web-1           web-2           web-3
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
        self.site = RoutedSite(self.lab, vips=(BARE, VIP))
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
        self.expect(lambda: all(len(self.lab.holders(vip)) == 1 for vip in self.site.vips), 10 + 5 * ADVERT,
                    "every VIP held by one node")
        self.wait_for_pods(3, self.site.nodes)
        self.readers = {node.name: TableReader(node) for node in self.site.nodes}
        self.tell(f"every node is ready; {self.site.holder().name} holds the VIPs, {time.monotonic() - started:.1f} s after that")

    def wait_for_pods(self, pods, nodes):
        """Until the kernels of these nodes have so many pods behind both ports."""
        self.expect(lambda: all(sum(len(service.reals) for service in node.ipvs().values()) == 2 * pods for node in nodes), 20,
                    f"{pods} pods behind each port in the kernels of {', '.join(node.name for node in nodes)}")

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
        for vip in self.site.vips:
            marks = []
            for name, status in statuses.items():
                present = any(a["address"].split("/")[0] == vip and a["present"]
                              for router in status["virtual_routers"] for a in router["addresses"])
                if present != self.lab.hosts[name].holds(vip):
                    raise DidNotHappen(f"{name} says of {vip} present={present}, its kernel says otherwise")
                marks.append(f"{'holds' if present else '-':10}")
            about = "; ".join(services.get(vip, [])) or "the address alone"
            self.tell(f"{vip:14}" + "".join(marks) + DIM + about + PLAIN)

    def request_thousand(self):
        self.say(f"1,000 requests to http://{VIP}/ from everywhere: which pod answered, and whom it saw asking")
        site = self.site
        asking = [(site.client, 200), (site.far_client, 200), *((host, 100) for host in (*site.nodes, *site.pods))]
        self.tell(f"{'asked by':14}" + "".join(f"{self.where(pod):26}" for pod in site.pods))
        for host, requests in asking:
            answers = self.answers_to(host, requests)
            if len(answers) != 3 or min(count for count, _ in answers.values()) < requests // 10:
                raise DidNotHappen(f"the requests of {host.name} are not spread over three pods: {answers}")
            cells = [f"{count:3}, saw {'/'.join(sorted(sources))}" for count, sources in (answers[self.where(pod)] for pod in site.pods)]
            self.tell(f"{self.name_of(host):14}" + "".join(f"{cell:26}" for cell in cells))
        self.tell(f"{DIM}Every pod's gateway is its own node. To a pod elsewhere the holder of the VIP asks in its own name, so that the{PLAIN}")
        self.tell(f"{DIM}answer comes back through it; to a pod on the holder nobody else could bring it, and the client is seen.{PLAIN}")

    def where(self, pod):
        return f"{pod.name} on node{pod.name[-1]}"

    def name_of(self, host):
        return f"{host.name}{' (holder)' if host is self.site.holder() else ''}"

    def answers_to(self, host, requests):
        """{who answered: (how often, the addresses it saw)}; all have to be answered."""
        questions = [Question(host, VIP, 80, "tcp") for _ in range(requests)]
        ask_all(questions, questions, patience=10, grace=0)
        answers = {}
        for question in questions:
            if not question.answer:
                raise DidNotHappen(f"a request of {host.name} to http://{VIP}/ got no answer within 10 s: {question.error}")
            name, source = question.answer
            count, sources = answers.get(name, (0, set()))
            answers[name] = (count + 1, sources | {source})
        return answers

    def lose_the_active_node(self):
        self.holder = self.site.holder()
        self.lost = self.site.pods[self.site.nodes.index(self.holder)]
        self.say(f"{self.holder.name}, which holds the VIPs, is cut off, and {self.lost.name} with it")
        probe = self.lab.probe(self.site.client, VIP, 7, flows=16)
        time.sleep(0.3)
        cut = self.holder.cut_off()
        others = [node for node in self.site.nodes if node is not self.holder]
        self.expect(lambda: all(any(node.holds(vip) for node in others) for vip in self.site.vips), 4 * ADVERT + 10,
                    "another node to take over")
        successor = self.site.holder()
        self.wait_for_pods(2, others)
        noticed = time.monotonic() - cut
        result = probe.finish()
        priority = successor.live_status()["virtual_routers"][0]["effective_priority"]
        protocol = 3 * ADVERT + (256 - priority) / 256 * ADVERT
        self.tell(f"{successor.name} took over. A client that asks every 2 ms was {BOLD}{result.longest * 1000:.0f} ms{PLAIN} without an "
                  f"answer.")
        self.tell(f"{DIM}(by the protocol's timers {(protocol - ADVERT) * 1000:.0f} to {protocol * 1000:.0f} ms, as the last "
                  f"advertisement was up to {ADVERT:g} s old){PLAIN}")
        if not any(begin > cut - 0.1 for begin, _ in result.outages(0.02)):
            raise DidNotHappen("the client did not notice that the node was cut off: nothing was proved")
        self.tell(f"The checks took {self.lost.name} out of the kernels {noticed:.1f} s after the cut; until then every third new")
        self.tell("connection went to it. Since then:")
        answers = self.answers_to(self.site.client, 300)
        if self.where(self.lost) in answers or len(answers) != 2:
            raise DidNotHappen(f"not the two pods that are left answer: {answers}")
        self.tell("  300 requests: " + ", ".join(f"{name} {count}" for name, (count, _) in sorted(answers.items())))
        self.show_table()

    def bring_it_back(self):
        self.say(f"{self.holder.name} is plugged in again")
        successor = self.site.holder()
        probe = self.lab.probe(self.site.client, VIP, 7, flows=16)
        self.holder.bring_back()

        def is_back():
            router = self.holder.live_status()["virtual_routers"][0]
            return router["state"] == "BACKUP" and router["active_router"] == f"192.0.2.{10 + int(successor.name[-1])}"

        self.expect(is_back, 20, f"{self.holder.name} to be a Backup Router that hears {successor.name}")
        self.wait_for_pods(3, self.site.nodes)
        result = probe.finish()
        self.tell(f"it is a Backup Router now, and {self.site.holder().name} keeps the VIPs (nopreempt).")
        self.tell(f"Longest time without an answer meanwhile: {result.longest * 1000:.0f} ms; {len(result.answers)} of {result.sent} "
                  f"probes answered.")
        answers = self.answers_to(self.site.client, 300)
        if len(answers) != 3:
            raise DidNotHappen(f"{self.lost.name} is back, but not three pods answer: {answers}")
        self.tell("300 requests: " + ", ".join(f"{name} {count}" for name, (count, _) in sorted(answers.items())))

    def scale(self):
        self.say("Service web is scaled: a file of the objects changes, the kernels follow")
        path = self.manifests / "web.yaml"
        three = path.read_text()
        without_third = "- addresses: [10.2.3.2]\n  nodeName: node3\n  conditions: {ready: true}\n"
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
                    if len(reader.reals("tcp", VIP, 80)) == pods:
                        took[name] = time.monotonic() - began
                        del missing[name]
            if missing:
                raise DidNotHappen(f"the kernels of {', '.join(missing)} did not follow to {pods} pods within 20 s")
            self.tell(f"to {pods} pods: the kernels followed in " +
                      ", ".join(f"{BOLD}{seconds * 1000:.1f} ms{PLAIN} ({name})" for name, seconds in sorted(took.items())))
            answers = self.answers_to(self.site.client, 60)
            if len(answers) != pods:
                raise DidNotHappen(f"{pods} pods, but {len(answers)} answer: {answers}")
            self.tell("  60 requests: " + ", ".join(f"{name} {count}" for name, (count, _) in sorted(answers.items())))


def look_around():
    on = "tests/lab/guest/exec demo -- tests/lab/on" if os.environ.get("LAB_INSIDE") else "tests/lab/on"
    program = os.path.relpath(vipkeeper_program(), REPOSITORY)
    print(f"""
{BOLD}It stays up. Look around (from the repository, as root):{PLAIN}
  {on} demo-node1 {program} status
  {on} demo-node2 cat /etc/keepalived/keepalived.conf
  {on} demo-node2 ipvsadm -Ln
  {on} demo-node3 ip -brief address
  {on} demo-client busybox wget -qO- http://{VIP}/
  {on} demo-switch ip link set node2.eth0 down      {DIM}# cut a cable; `up` mends it{PLAIN}
  {on} demo-node1 tcpdump -ni eth0 -c 5 vrrp""")
    if os.environ.get("LAB_INSIDE"):
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
        if code == 0 and not os.environ.get("LAB_INSIDE"):
            print("and end it with Ctrl-C.", flush=True)
        else:
            os.write(writer, str(code).encode())
            os.close(writer)
        while code == 0:
            signal.pause()
    return code


if __name__ == "__main__":
    sys.exit(main())
