"""The little of rtnetlink that a lab needs, in-process: in the guest a forked `ip` costs 20 ms, a message here 50 us.

A `Netlink` socket stays in the network namespace in which it was opened, whatever its thread enters later.
Facts are from linux/rtnetlink.h, if_link.h, if_addr.h, net_namespace.h and pkt_sched.h.
"""

import ipaddress
import os
import socket
import struct

RTM_NEWLINK, RTM_DELLINK, RTM_SETLINK = 16, 17, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_NEWQDISC, RTM_DELQDISC = 24, 36, 37
RTM_NEWNSID, RTM_GETNSID = 88, 90
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, DUMP, REPLACE, EXCLUSIVE, CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
GROUP_IPV4_ADDRESS, GROUP_IPV6_ADDRESS = 0x10, 0x100
IFF_UP = 0x1
SOL_NETLINK, NETLINK_LISTEN_ALL_NSID = 270, 8
TC_H_ROOT = 0xFFFFFFFF


def attribute(kind, payload):
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + b"\0" * (-length % 4)


def attributes(raw):
    """{kind: payload} of the attributes in `raw`; nested ones are left as they are."""
    found, offset = {}, 0
    while offset + 4 <= len(raw):
        length, kind = struct.unpack_from("=HH", raw, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = raw[offset + 4:offset + length]
        offset += length + (-length % 4)
    return found


def messages(raw):
    """(type, payload) of each netlink message in `raw`."""
    offset = 0
    while offset + 16 <= len(raw):
        length, kind = struct.unpack_from("=IH", raw, offset)
        yield kind, raw[offset + 16:offset + length]
        offset += length + (-length % 4)


def parse_address(payload):
    """(interface index, "address/prefix") of an RTM_NEWADDR or RTM_DELADDR."""
    family, prefix, _, _, index = struct.unpack_from("=BBBBI", payload)
    fields = attributes(payload[8:])
    raw = fields.get(2) or fields.get(1)  # IFA_LOCAL, which IPv6 has not, else IFA_ADDRESS
    return index, f"{socket.inet_ntop(family, raw)}/{prefix}"


class Netlink:
    """One socket of NETLINK_ROUTE (or another protocol) in the namespace that its opener is in."""

    def __init__(self, groups=0, protocol=socket.NETLINK_ROUTE):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((0, groups))
        self.sequence = 0

    def close(self):
        self.socket.close()

    def request(self, kind, payload, flags=ACK):
        """Sends one message, returns the payloads of the answer; raises the kernel's error as OSError."""
        self.sequence += 1
        self.socket.send(struct.pack("=IHHII", 16 + len(payload), kind, REQUEST | flags, self.sequence, 0) + payload)
        answers = []
        while True:
            for answer, body in messages(self.socket.recv(1 << 20)):
                if answer == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return answers
                if answer == NLMSG_DONE:
                    return answers
                answers.append(body)

    # Other namespaces

    def hear_all(self):
        """Notices of every namespace that has a number here come as well, all in the order in which they happened."""
        self.socket.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)

    def namespace_number(self, descriptor):
        """The number of another network namespace in this one; it gets one if it has none."""
        who = struct.pack("=Bxxx", 0) + attribute(3, struct.pack("=I", descriptor))
        number = self._known_number(who)
        if number < 0:
            self.request(RTM_NEWNSID, who + attribute(1, struct.pack("=i", -1)))
            number = self._known_number(who)
        return number

    def _known_number(self, who):
        [answer] = self.request(RTM_GETNSID, who)
        return struct.unpack("=i", attributes(answer[4:])[1])[0]

    def notice(self):
        """The next notice: (number of its namespace, its messages)."""
        raw, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        numbers = [struct.unpack("=i", data)[0] for level, kind, data in ancillary
                   if (level, kind) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID)]
        return numbers[0] if numbers else None, messages(raw)

    # Links

    def add_bridge(self, name):
        """A switch without spanning tree or multicast snooping: what is sent to a group reaches every port at once."""
        settings = attribute(5, struct.pack("=I", 0)) + attribute(1, struct.pack("=I", 0)) + attribute(23, b"\0")
        self._add_link(name, "bridge", settings)

    def add_veth(self, name, peer, peer_namespace):
        """A cable: one end called `name` here, the other called `peer` in the namespace of that file descriptor."""
        end = self._link() + attribute(3, peer.encode() + b"\0") + attribute(28, struct.pack("=I", peer_namespace))
        self._add_link(name, "veth", attribute(1, end))

    def delete_link(self, index):
        self.request(RTM_DELLINK, self._link(index))

    def set_up(self, index, up=True):
        self.request(RTM_NEWLINK, self._link(index, IFF_UP if up else 0, IFF_UP))

    def set_bridge(self, index, bridge):
        """Plugs a port into the bridge of that index; 0 unplugs it, and its carrier stays."""
        self.request(RTM_SETLINK, self._link(index) + attribute(10, struct.pack("=I", bridge)))

    def set_hardware_address(self, index, address):
        self.request(RTM_SETLINK, self._link(index) + attribute(1, bytes.fromhex(address.replace(":", ""))))

    def lose_all_sent(self, index, lose=True):
        """Whatever is sent through this end of a cable is lost, and only that: a queue without room. No module needed."""
        body = struct.pack("=BxxxiIII", 0, index, 0x10000 if lose else 0, TC_H_ROOT, 0)
        if lose:
            body += attribute(1, b"pfifo\0") + attribute(2, struct.pack("=I", 0))
        self.request(RTM_NEWQDISC if lose else RTM_DELQDISC, body, ACK | (CREATE | REPLACE if lose else 0))

    def delay_sent(self, index, seconds):
        """Whatever is sent through this end of a cable arrives so much later; 0 undoes it. Needs the module sch_netem."""
        body = struct.pack("=BxxxiIII", 0, index, 0x10000 if seconds else 0, TC_H_ROOT, 0)
        if seconds:
            options = struct.pack("=IIIIII", 0, 100000, 0, 0, 0, 0) + attribute(10, struct.pack("=q", int(seconds * 1e9)))
            body += attribute(1, b"netem\0") + attribute(2, options)  # 10: TCA_NETEM_LATENCY64, linux/pkt_sched.h
        self.request(RTM_NEWQDISC if seconds else RTM_DELQDISC, body, ACK | (CREATE | REPLACE if seconds else 0))

    def _link(self, index=0, flags=0, change=0):
        return struct.pack("=BxHiII", 0, 0, index, flags, change)

    def _add_link(self, name, kind, settings):
        about = attribute(1, kind.encode()) + attribute(2, settings)
        body = self._link() + attribute(3, name.encode() + b"\0") + attribute(18, about)
        self.request(RTM_NEWLINK, body, ACK | CREATE | EXCLUSIVE)

    # Addresses and routes

    def add_address(self, index, address, preferred=True):
        """Not preferred: with a preferred lifetime of 0, IFA_CACHEINFO."""
        lifetimes = b"" if preferred else attribute(6, struct.pack("=IIII", 0, 0xFFFFFFFF, 0, 0))
        self._change_address(RTM_NEWADDR, index, address, ACK | CREATE | EXCLUSIVE, lifetimes)

    def delete_address(self, index, address):
        self._change_address(RTM_DELADDR, index, address, ACK)

    def _change_address(self, kind, index, address, flags, more=b""):
        value = ipaddress.ip_interface(address)
        family = socket.AF_INET if value.version == 4 else socket.AF_INET6
        no_dad = 0 if value.version == 4 else 0x02
        body = struct.pack("=BBBBI", family, value.network.prefixlen, no_dad, 0, index)
        self.request(kind, body + attribute(2, value.ip.packed) + attribute(1, value.ip.packed) + more, flags)

    def addresses(self):
        """All addresses here, as a set of (interface index, "address/prefix")."""
        return {parse_address(body) for body in self.request(RTM_GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0), DUMP)}

    def add_route(self, destination, gateway=None, index=None, local=False):
        """A route to `destination` ("default" or a network) by a gateway or an interface; or a local one (answer to all)."""
        everything = "::/0" if gateway and ":" in gateway else "0.0.0.0/0"
        route = ipaddress.ip_network(everything if destination == "default" else destination)
        family = socket.AF_INET if route.version == 4 else socket.AF_INET6
        table, scope, kind = (255, 254, 2) if local else (254, 0 if gateway else 253, 1)
        body = struct.pack("=BBBBBBBBI", family, route.prefixlen, 0, 0, table, 4, scope, kind, 0)
        body += attribute(1, route.network_address.packed)
        if gateway:
            body += attribute(5, ipaddress.ip_address(gateway).packed)
        if index:
            body += attribute(4, struct.pack("=I", index))
        self.request(RTM_NEWROUTE, body, ACK | CREATE | REPLACE)
