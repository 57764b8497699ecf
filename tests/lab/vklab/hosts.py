"""Hosts, the networks that join them, and the cables between: what a lab is made of."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

from . import programs, servers
from .namespaces import Namespaces
from .netlink import Netlink


class Host:
    """A machine of the lab: namespaces of its own, a directory, cables to networks.

    `directory` is where its log files and its /run, /etc/keepalived and /etc/haproxy are, seen from outside: a test
    writes a configuration with `host.path("/etc/keepalived/keepalived.conf").write_text(...)`.
    """

    OWN = ("/run", "/etc/keepalived", "/etc/haproxy")

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.directory = lab.directory / name
        self.programs, self.cables, self._servers = [], {}, []
        binds = {}
        for inside in self.OWN:
            self.path(inside).mkdir(parents=True)
            if os.path.isdir(inside):
                binds[inside] = self.path(inside)
        self.namespaces = Namespaces(f"{lab.prefix}-{name}", binds)
        with self.network():
            self.netlink = Netlink()
            self.netlink.set_up(1)  # lo: without it every destination is EINVAL
            # Kernels differ in these; the lab does not.
            self.sysctl("net.ipv4.conf.all.rp_filter", 0)
            self.sysctl("net.ipv4.conf.default.rp_filter", 0)
            self.sysctl("net.ipv6.conf.default.accept_dad", 0)  # an address may be used at once

    def path(self, inside):
        """Where a path of the host's own (below /run, /etc/keepalived, /etc/haproxy) is for us."""
        return self.directory / "root" / inside.lstrip("/")

    def network(self):
        """`with host.network():` puts this thread into the host's network."""
        return self.namespaces.network()

    def sysctl(self, name, value):
        with self.network(), open("/proc/sys/" + name.replace(".", "/"), "w") as file:
            file.write(str(value))

    def plug_in(self, network, address=None, interface=None):
        """A cable from a new interface (eth0, eth1, ... unless named) to `network`."""
        interface = interface or f"eth{len(self.cables)}"
        cable = Cable(self, interface, network)
        self.cables[interface] = cable
        if address:
            self.add_address(address, interface)
        return cable

    def add_address(self, address, interface, preferred=True):
        """Not preferred: never chosen as the source of what is sent from here, as a virtual address should be (IPv6)."""
        with self.network():
            self.netlink.add_address(socket.if_nametoindex(interface), address, preferred)

    def delete_address(self, address, interface):
        with self.network():
            self.netlink.delete_address(socket.if_nametoindex(interface), address)

    def route(self, destination, gateway=None, interface=None, local=False):
        with self.network():
            index = socket.if_nametoindex(interface) if interface else None
            self.netlink.add_route(destination, gateway, index, local)

    def addresses(self):
        """{interface: {address/prefix}}, as the kernel has it now."""
        with self.network():
            names = dict(socket.if_nameindex())
        found = {name: set() for name in names.values()}
        for index, address in self.netlink.addresses():
            found[names[index]].add(address)
        return found

    def holds(self, address):
        """Whether `address` (without prefix length) is on one of its interfaces now."""
        return any(held.split("/")[0] == address for _, held in self.netlink.addresses())

    def cut_off(self):
        """All its cables cut at once; returns when it was (monotonic)."""
        return min(cable.cut() for cable in self.cables.values())

    def bring_back(self):
        for cable in self.cables.values():
            cable.mend()

    def start(self, name, argv, environment=None, before_exec=None):
        """Starts a program here and returns it; it ends with the lab."""
        program = programs.Program(name, argv, self, environment, before_exec)
        self.programs.append(program)
        return program

    def run(self, argv, check=True, timeout=30, environment=None, input=None):
        """Runs a command here to its end: a CompletedProcess with text output."""
        done = subprocess.run([str(a) for a in argv], preexec_fn=self.namespaces.enter, capture_output=True, text=True,
                              timeout=timeout, input=input, env={**os.environ, **(environment or {})}, cwd="/")
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {argv} ended {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def serve(self, name=None, tcp=(), udp=(), addresses=("",), sctp=()):
        """Answers under `name` (default: the host's) on these ports until closed."""
        server = servers.Server(self, name or self.name, tcp, udp, addresses, sctp)
        self._servers.append(server)
        return server

    def ask(self, address, port, timeout=2.0):
        """One HTTP request; returns who answered."""
        return servers.ask(self, address, port, timeout)

    def http(self, port, path, address="127.0.0.1", timeout=5.0):
        """GET from one of its own ports; (status, body)."""
        with self.network():
            connection = socket.socket()
        return servers.http_get(connection, (address, port), path, timeout)

    def close(self):
        for server in self._servers:
            server.close()
        for program in self.programs:
            with contextlib.suppress(OSError):
                program.kill9()
        for _ in range(3):  # what a program left behind that is no descendant any more
            stray = self.namespaces.processes()
            for pid in stray:
                with contextlib.suppress(OSError):
                    os.kill(pid, 9)
            if not stray:
                break
        self.netlink.close()
        self.namespaces.close()
        if not self.lab.keeps_files:
            shutil.rmtree(self.directory, ignore_errors=True)


class Network:
    """One layer-2 segment: a bridge on the lab's switch host; or on a node, for the pods of that node alone."""

    def __init__(self, switch, name):
        self.switch, self.name, self.bridge = switch, name, name
        with switch.network():
            switch.netlink.add_bridge(name)
            self.index = socket.if_nametoindex(name)
            switch.netlink.set_up(self.index)


class Cable:
    """From a host's interface to a port of a network's switch, and all that can happen to a cable."""

    def __init__(self, host, interface, network):
        self.host, self.interface, self.network = host, interface, network
        self.port = f"{host.name[:8]}.{interface[-6:]}"
        switch = network.switch
        with switch.network():
            switch.netlink.add_veth(self.port, interface, host.namespaces.net)
            self.port_index = socket.if_nametoindex(self.port)
            switch.netlink.set_bridge(self.port_index, network.index)
            switch.netlink.set_up(self.port_index)
        with host.network():
            self.index = socket.if_nametoindex(interface)
            host.netlink.set_up(self.index)

    def cut(self):
        """The switch's end goes down: the host loses its carrier and keeps its addresses. Returns when it was (monotonic)."""
        when = time.monotonic()
        self.network.switch.netlink.set_up(self.port_index, False)
        return when

    def mend(self):
        """Undoes cut, unplug, link_down and the losses."""
        self.network.switch.netlink.set_up(self.port_index, True)
        self.network.switch.netlink.set_bridge(self.port_index, self.network.index)
        self.host.netlink.set_up(self.index, True)
        for netlink, index in ((self.host.netlink, self.index), (self.network.switch.netlink, self.port_index)):
            with contextlib.suppress(OSError):
                netlink.lose_all_sent(index, False)

    def unplug(self):
        """Taken out of the switch, the carrier stays: the host cannot tell but by silence."""
        when = time.monotonic()
        self.network.switch.netlink.set_bridge(self.port_index, 0)
        return when

    def link_down(self):
        """The host's own end is set down by an administrator there."""
        when = time.monotonic()
        self.host.netlink.set_up(self.index, False)
        return when

    def lose_sent(self):
        """One-way: what the host sends is lost; it still hears."""
        when = time.monotonic()
        self.host.netlink.lose_all_sent(self.index)
        return when

    def lose_received(self):
        """One-way: the host hears nothing; what it sends arrives."""
        when = time.monotonic()
        self.network.switch.netlink.lose_all_sent(self.port_index)
        return when
