"""The lab: a switch, the networks on it, and hosts. `with Lab() as lab:` cleans up whatever happens inside.

    with Lab() as lab:
        lan = lab.add_network("lan")
        nodes = [lab.add_node(f"node{i}", lan, f"192.0.2.{10 + i}/24") for i in (1, 2, 3)]
        client = lab.add_client(lan, "192.0.2.100/24")
        for node in nodes:
            node.start_engine(vrrp_text(...))
        ...
        nodes[2].cables["eth0"].cut()

Names carry a random prefix, and every host has namespaces of its own: labs run side by side without seeing each other.
"""

import contextlib
import ctypes
import os
import pathlib
import random
import shutil
import string
import tempfile

from .hosts import Host, Network
from .capture import Capture
from .holders import HolderWatch
from .node import Node, Pod
from .probe import Probe
from .waiting import wait_until

PR_SET_CHILD_SUBREAPER = 36


class Lab:
    def __init__(self, prefix=None, keeps_files=False):
        # What a program of ours leaves behind becomes our child, so that no zombie confuses the next one.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.prefix = prefix or "".join(random.choices(string.ascii_lowercase, k=5))
        self.keeps_files = keeps_files
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"vklab-{self.prefix}-"))
        self.hosts, self._closers = {}, []
        self.switch = self._add(Host(self, "switch"))

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def add_network(self, name="lan"):
        return Network(self.switch, name)

    def add_node(self, name, network, address):
        """A node with eth0 in `network`; `plug_in` gives it more interfaces."""
        return self._join(Node(self, name), network, address)

    def add_client(self, network, address, name="client"):
        return self._join(Host(self, name), network, address)

    def add_pod(self, name, network, address, gateway=None, direct_routing=(), **served):
        """A pod that answers under its name. `direct_routing`: VIPs it takes packets for without announcing them.
        `served`: the ports it answers on, if other than Pod's; and the name it answers under, as `under`."""
        pod = self._join(Pod(self, name), network, address)
        pod.settle(gateway, direct_routing, **served)
        return pod

    def probe(self, client, address, port, interval=0.002, flows=1):
        """A running Probe whose first answer has come."""
        probe = Probe(client, address, port, interval, flows)
        self._closers.append(probe.close)
        wait_until(lambda: probe.answered, 20, f"an answer from {address}:{port} to {client.name}")
        return probe

    def watch_holders(self, address, hosts):
        watch = HolderWatch(hosts, address)
        self._closers.append(watch.close)
        return watch

    def capture(self, network):
        capture = Capture(network)
        self._closers.append(capture.close)
        return capture

    def holders(self, address):
        """Names of the hosts that hold `address` now."""
        return {host.name for host in self.hosts.values() if isinstance(host, Node) and host.holds(address)}

    def wait_for_holder(self, address, *names, timeout=30):
        """Until exactly the hosts of these names hold it; with no names, until exactly one does. Returns the one's name."""
        def settled():
            found = self.holders(address)
            return found if (found == set(names) if names else len(found) == 1) else None
        who = " and ".join(names) or "one node"
        return min(wait_until(settled, timeout, f"{address} held by {who} alone (now: {self.holders(address)})"))

    def logs(self, lines=25):
        """The ends of all programs' logs, for a failed test's report."""
        parts = []
        for host in self.hosts.values():
            for program in host.programs:
                state = "running" if program.running else f"ended {program.process.returncode}"
                tail = "\n    ".join(program.log().splitlines()[-lines:])
                parts.append(f"--- {host.name} {program.name} ({state})\n    {tail}")
        return "\n".join(parts)

    def close(self):
        """Every process, namespace and file of the lab is gone when it returns; it goes on past what fails."""
        with contextlib.ExitStack() as stack:
            if not self.keeps_files:
                stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            for host in self.hosts.values():
                stack.callback(host.close)
            for close in self._closers:
                stack.callback(close)
        self.hosts = {}

    def _add(self, host):
        self.hosts[host.name] = host
        return host

    def _join(self, host, network, address):
        """`address`: one, or several of them."""
        self._add(host)
        host.plug_in(network)
        for one in [address] if isinstance(address, str) else address:
            host.add_address(one, "eth0")
        return host
