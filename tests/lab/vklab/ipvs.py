"""The kernel's IPVS table, read by us over generic netlink and not by the program under test (linux/ip_vs.h).

Not from /proc/net/ip_vs: that has persistence in ticks of an unknown length and no thresholds, and only comes whole.
"""

import dataclasses
import errno
import ipaddress
import socket
import struct

from .netlink import DUMP, Netlink, attribute, attributes

GENERIC, CTRL_CMD_GETFAMILY, GENL_ID_CTRL = 16, 3, 16
GET_SERVICE, GET_DEST = 4, 8
PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", 132: "sctp"}
METHODS = ["masquerade", "local", "tunnel", "direct", "bypass"]
FLAG_PERSISTENT = 1


@dataclasses.dataclass(frozen=True)
class Real:
    """A real server as the kernel has it."""

    method: str
    weight: int
    upper_threshold: int = 0
    lower_threshold: int = 0


@dataclasses.dataclass
class Virtual:
    """A virtual service; `persistence` in seconds; `reals` by "address:port"."""

    scheduler: str
    persistence: int
    reals: dict


def number(raw):
    return int.from_bytes(raw, "little")


def connections_of(fields):
    return number(attributes(fields[10])[1])


def endpoint(family, address, port):
    ip = ipaddress.ip_address(address[:4] if family == socket.AF_INET else address)
    return f"{ip}:{port}" if ip.version == 4 else f"[{ip}]:{port}"


class TableReader:
    """Reads the table of one host; keep one where milliseconds count."""

    def __init__(self, host):
        with host.network():
            self.netlink = Netlink(protocol=GENERIC)
        try:
            answer = self.netlink.request(GENL_ID_CTRL, struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute(2, b"IPVS\0"))
        except OSError:
            self.netlink.close()
            raise
        self.family = struct.unpack("=H", attributes(answer[0][4:])[1])[0]

    def services(self):
        """(name, raw attributes) of every virtual service; the name is "tcp 192.0.2.10:80" or "fwmark 7"."""
        for answer in self._dump(GET_SERVICE, b""):
            fields = attributes(attributes(answer[4:])[1])
            if 5 in fields:
                yield f"fwmark {number(fields[5])}", fields
            else:
                where = endpoint(number(fields[1]), fields[3], struct.unpack("!H", fields[4])[0])
                yield f"{PROTOCOLS[number(fields[2])]} {where}", fields

    def table(self):
        """{name: Virtual} of everything."""
        return {name: self._virtual(fields) for name, fields in self.services()}

    def connections(self):
        """{name: connections so far}, of virtual services and of their real servers ("tcp 192.0.2.10:80 10.2.0.5:8080"): each
        begins at 0 when the entry is added, and the kernel adds to it every two seconds."""
        counts = {}
        for name, fields in self.services():
            counts[name] = connections_of(fields)
            counts.update({f"{name} {where}": connections_of(real) for where, real in self._destinations(fields)})
        return counts

    def reals(self, protocol, address, port):
        """The real servers of one virtual service, {"address:port": Real}; empty if it is not there."""
        value = ipaddress.ip_address(address)
        family = socket.AF_INET if value.version == 4 else socket.AF_INET6
        return self._reals({
            1: struct.pack("=H", family), 2: struct.pack("=H", {n: p for p, n in PROTOCOLS.items()}[protocol]),
            3: value.packed.ljust(16, b"\0"), 4: struct.pack("!H", port)})

    def close(self):
        self.netlink.close()

    def _virtual(self, fields):
        flags = struct.unpack_from("=I", fields[7])[0]
        return Virtual(fields[6].rstrip(b"\0").decode(), number(fields[8]) if flags & FLAG_PERSISTENT else 0, self._reals(fields))

    def _reals(self, service):
        return {where: Real(METHODS[number(fields[3]) & 7], number(fields[4]), number(fields[5]), number(fields[6]))
                for where, fields in self._destinations(service)}

    def _destinations(self, service):
        """(where, raw attributes) of each real server of the service with these raw attributes."""
        key = b"".join(attribute(kind, service[kind]) for kind in (1, 2, 3, 4, 5) if kind in service)
        try:
            answers = self._dump(GET_DEST, attribute(1, key))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESRCH):
                return
            raise
        for answer in answers:
            fields = attributes(attributes(answer[4:])[2])
            family = number(fields[11]) if 11 in fields else number(service[1])
            yield endpoint(family, fields[1], struct.unpack("!H", fields[2])[0]), fields

    def _dump(self, command, payload):
        return self.netlink.request(self.family, struct.pack("=BBH", command, 1, 0) + payload, DUMP)


def read_table(host):
    """The host's table; empty where the kernel has no IPVS."""
    try:
        reader = TableReader(host)
    except FileNotFoundError:
        return {}
    try:
        return reader.table()
    finally:
        reader.close()
