"""The kernel's sets, read by us over netlink where milliseconds count (linux/netfilter/ipset/ip_set.h)."""

import socket
import struct

from .netlink import ACK, Netlink, attribute, attributes

NETFILTER, SUBSYSTEM = 12, 6
LIST, TEST = 7, 11
PROTOCOL, SETNAME, FLAGS, DATA = 1, 2, 6, 7
IP, PORT, PROTO, LINE, ELEMENTS, REFERENCES = 1, 4, 7, 9, 24, 25
NESTED, NETWORK_ORDER = 0x8000, 0x4000
HEADER_ONLY = 1 << 2
NOT_THERE = 4103  # IPSET_ERR_EXIST, in answer to TEST


class SetReader:
    """The sets of IPv4 of one host."""

    def __init__(self, host):
        with host.network():
            self.netlink = Netlink(protocol=NETFILTER)

    def count(self, name):
        """How many elements it has; None if there is no such set."""
        return self._number(name, ELEMENTS)

    def references(self, name):
        """How many rules use it."""
        return self._number(name, REFERENCES)

    def has(self, name, address, port):
        """Whether the TCP port of the address is in a set of hash:ip,port."""
        ip = attribute(IP | NESTED, attribute(1 | NETWORK_ORDER, socket.inet_aton(address)))
        data = ip + attribute(PORT | NETWORK_ORDER, struct.pack("!H", port)) + attribute(PROTO, b"\6")
        try:
            self._request(TEST, name, attribute(DATA | NESTED, data))
            return True
        except OSError as error:
            if error.errno != NOT_THERE:
                raise
            return False

    def close(self):
        self.netlink.close()

    def _number(self, name, kind):
        try:  # without ACK: where there is no such set it would be answered twice
            answers = self._request(LIST, name, attribute(FLAGS | NETWORK_ORDER, struct.pack("!I", HEADER_ONLY)), 0)
        except FileNotFoundError:
            return None
        return struct.unpack("!I", attributes(attributes(answers[0][4:])[DATA])[kind])[0]

    def _request(self, command, name, more, flags=ACK):
        head = struct.pack("=BBH", socket.AF_INET, 0, 0)
        payload = head + attribute(PROTOCOL, b"\6") + attribute(SETNAME, name.encode() + b"\0") + more
        return self.netlink.request(SUBSYSTEM << 8 | command, payload, flags)
