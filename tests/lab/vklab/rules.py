"""A node's packet filter, read by the filter's own programs: what of it is vipkeeper's, and what is everybody else's.

Whichever way it is made: tables `vipkeeper` of nftables, or chains VIPKEEPER-* of iptables with sets vipkeeper-* of ipset.
"""

import dataclasses
import json
import re

FAMILIES = {"ipv4": ("ip", "iptables"), "ipv6": ("ip6", "ip6tables")}


@dataclasses.dataclass(frozen=True)
class Rules:
    """`own`: each chain, rule, set and element of a set is one text. `foreign`: all else, as it is printed, without counters."""

    own: frozenset
    foreign: str

    @property
    def way(self):
        """nftables, iptables, or None where there are no rules."""
        return None if not self.own else "nftables" if any(text.startswith("{") for text in self.own) else "iptables"


def kernel_has_nftables(node):
    """The family ip, that is: it may be a module without it."""
    return node.run(["nft", "--check", "add table ip vklab"], check=False).returncode == 0


def read_rules(node):
    own, foreign = [], []
    if kernel_has_nftables(node):
        for each in json.loads(node.run(["nft", "-s", "-j", "list", "ruleset"]).stdout)["nftables"]:
            (kind, value), = each.items()
            if kind != "metainfo" and value["name" if kind == "table" else "table"].startswith("vipkeeper"):
                own += nft_texts(kind, value)
        text = node.run(["nft", "-s", "-a", "list", "ruleset"]).stdout
        foreign += re.findall(r"(?ms)^table \w+ (?!vipkeeper)\S+ \{.*?^\}", text)
    for _, program in FAMILIES.values():
        saved = node.run([f"{program}-legacy-save"]).stdout
        for line in re.sub(r"(?m)^#.*\n| \[\d+:\d+\]$", "", saved).splitlines():
            (own if "VIPKEEPER" in line or "vipkeeper" in line else foreign).append(line)
    sets = node.run(["ipset", "save"], check=False).stdout.splitlines()
    own += [line for line in sets if " vipkeeper-" in line]
    foreign += sorted(line for line in sets if " vipkeeper-" not in line)
    return Rules(frozenset(own), "\n".join(foreign))


def nft_texts(kind, value):
    """The object and each element, as JSON without the numbers that the kernel gives."""
    elements = value.pop("elem", []) if kind == "set" else []
    value.pop("handle", None)
    yield json.dumps({kind: value}, sort_keys=True)
    for element in elements:
        yield json.dumps({"element": [value["family"], value["name"], element]}, sort_keys=True)


def flushes(way):
    """{what somebody does by hand: its commands}, each of which takes away what is vipkeeper's or a part of it."""
    if way == "nftables":
        return {"flush ruleset": ["nft flush ruleset"], "delete table": ["nft delete table ip vipkeeper"],
                "flush chain": ["nft flush chain ip vipkeeper postrouting"], "flush set": ["nft flush set ip vipkeeper auto"],
                "an element": ["nft delete element ip vipkeeper auto { 192.0.2.50 . tcp . 80 }"]}
    nat = "iptables-legacy -t nat"
    return {"-F": [f"{nat} -F"], "-F and -X": [f"{nat} -F", f"{nat} -X"], "ipset flush": ["ipset flush"],
            "everything": [f"{nat} -F", f"{nat} -X", "ipset destroy"], "a jump": [f"{nat} -F POSTROUTING"],
            "an element": ["ipset del vipkeeper-auto-4 192.0.2.50,tcp:80"]}


def load_like_kube_proxy(node, services=1000):
    """Five rules for each Service, as kube-proxy writes them (in its nftables or its iptables mode)."""
    numbers = range(services)
    if kernel_has_nftables(node):
        rules = [f"add chain ip kube-proxy service-{n}\nadd chain ip kube-proxy endpoint-{n}\n"
                 f"add rule ip kube-proxy services ip daddr 10.96.{n // 250}.{1 + n % 250} tcp dport 80 goto service-{n}\n"
                 f"add rule ip kube-proxy service-{n} ip saddr != 10.2.0.0/16 meta mark set meta mark or 0x4000\n"
                 f"add rule ip kube-proxy service-{n} goto endpoint-{n}\n"
                 f"add rule ip kube-proxy endpoint-{n} ip saddr 10.2.9.9 meta mark set meta mark or 0x4000\n"
                 f"add rule ip kube-proxy endpoint-{n} meta l4proto tcp dnat to 10.2.9.9:8080" for n in numbers]
        head = """add table ip kube-proxy
            add chain ip kube-proxy prerouting { type nat hook prerouting priority -100; }
            add chain ip kube-proxy output { type nat hook output priority -100; }
            add chain ip kube-proxy postrouting { type nat hook postrouting priority 100; }
            add chain ip kube-proxy services
            add rule ip kube-proxy prerouting jump services
            add rule ip kube-proxy output jump services
            add rule ip kube-proxy postrouting meta mark and 0x4000 != 0 masquerade"""
        node.run(["nft", "-f", "-"], input="\n".join([head, *rules]) + "\n", timeout=300)
        return
    chains = [f":KUBE-{kind}-{n:04} - [0:0]" for kind in ("SVC", "SEP") for n in numbers]
    rules = [f"-A KUBE-SERVICES -d 10.96.{n // 250}.{1 + n % 250}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-{n:04}\n"
             f"-A KUBE-SVC-{n:04} ! -s 10.2.0.0/16 -j KUBE-MARK-MASQ\n-A KUBE-SVC-{n:04} -j KUBE-SEP-{n:04}\n"
             f"-A KUBE-SEP-{n:04} -s 10.2.9.9/32 -j KUBE-MARK-MASQ\n"
             f"-A KUBE-SEP-{n:04} -p tcp -m tcp -j DNAT --to-destination 10.2.9.9:8080" for n in numbers]
    head = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-POSTROUTING - [0:0]", ":KUBE-MARK-MASQ - [0:0]", *chains]
    jumps = [f'-A {chain} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES' for chain in ("PREROUTING", "OUTPUT")]
    masquerade = ['-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
                  "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000", "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
                  "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0", "-A KUBE-POSTROUTING -j MASQUERADE --random-fully"]
    node.run(["iptables-legacy-restore"], input="\n".join([*head, *jumps, *masquerade, *rules, "COMMIT\n"]), timeout=300)
