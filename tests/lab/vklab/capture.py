"""What goes over a switch: VRRP ADVERTISEMENTs with their checksums verified, and gratuitous ARPs. Independent of the
product's codec on purpose: a second reading of RFC 9568 section 5 and of RFC 3768 section 5.3."""

import ctypes
import dataclasses
import select
import socket
import struct
import time

SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 26, 33, 35
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 3, 0x0800, 0x0806, 0x86DD
VRRP = 112

# ARP, and protocol 112 of IPv4 and IPv6: all else would swamp us with the probes' datagrams. (code, if true, if false, k)
FILTER = [
    (0x28, 0, 0, 12),             # 0  load the Ethernet type
    (0x15, 6, 0, ETH_P_ARP),      # 1  ARP: take it
    (0x15, 0, 2, ETH_P_IP),       # 2
    (0x30, 0, 0, 23),             # 3  load IPv4's protocol
    (0x15, 3, 4, VRRP),           # 4
    (0x15, 0, 3, ETH_P_IPV6),     # 5
    (0x30, 0, 0, 20),             # 6  load IPv6's next header
    (0x15, 0, 1, VRRP),           # 7
    (0x06, 0, 0, 0x40000),        # 8  take all of it
    (0x06, 0, 0, 0),              # 9  leave it
]


def ones_complement_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclasses.dataclass(frozen=True)
class Advert:
    """One ADVERTISEMENT as seen on the wire. `checksum`: "good", "good without pseudo-header" (RFC 9568's IPv4) or "bad"."""

    time: float
    hardware_source: str
    source: str
    destination: str
    ttl: int
    version: int
    vrid: int
    priority: int
    interval: float
    addresses: tuple
    checksum: str
    raw: bytes


@dataclasses.dataclass(frozen=True)
class Announcement:
    """A gratuitous ARP: `address` is at `hardware_address`."""

    time: float
    address: str
    hardware_address: str
    operation: int


def parse_advert(when, hardware_source, family, source, destination, ttl, raw):
    """The fields of a VRRP message; None if it is too short to have them."""
    if len(raw) < 8:
        return None
    version, vrid, priority, count = raw[0] >> 4, raw[1], raw[2], raw[3]
    size = 4 if family == socket.AF_INET else 16
    if len(raw) < 8 + count * size:
        return None
    pseudo = source + destination + (struct.pack("!BBH", 0, VRRP, len(raw)) if size == 4 else
                                     struct.pack("!IHBB", len(raw), 0, 0, VRRP))
    if version == 2:
        interval, checksum = float(raw[5]), "good" if ones_complement_sum(raw) == 0xFFFF else "bad"
    else:
        interval = (struct.unpack("!H", raw[4:6])[0] & 0xFFF) / 100
        if ones_complement_sum(pseudo + raw) == 0xFFFF:
            checksum = "good"
        elif size == 4 and ones_complement_sum(raw) == 0xFFFF:
            checksum = "good without pseudo-header"
        else:
            checksum = "bad"
    addresses = tuple(socket.inet_ntop(family, raw[8 + i * size:8 + (i + 1) * size]) for i in range(count))
    return Advert(when, hardware_source, socket.inet_ntop(family, source), socket.inet_ntop(family, destination), ttl,
                  version, vrid, priority, interval, addresses, checksum, raw)


class Capture:
    """Listens on the whole of a network's switch from now on. Times are the kernel's, as monotonic seconds."""

    def __init__(self, network):
        with network.switch.network():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in FILTER))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                                    struct.pack("@HP", len(FILTER), ctypes.addressof(program)))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.bind((network.bridge, ETH_P_ALL))
            index = socket.if_nametoindex(network.bridge)
            self._socket.setsockopt(263, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8s", index, PACKET_MR_PROMISC, 0, b""))
        self._socket.setblocking(False)
        self._offset = time.time() - time.monotonic()
        self._adverts, self._announcements = [], []

    def adverts(self, **wanted):
        """All so far whose fields equal `wanted`, oldest first."""
        self._drain()
        return [a for a in self._adverts if all(getattr(a, field) == value for field, value in wanted.items())]

    def announcements(self, address=None):
        """Gratuitous ARPs so far, of one address or of all."""
        self._drain()
        return [a for a in self._announcements if address in (None, a.address)]

    def close(self):
        self._socket.close()

    def _drain(self):
        while select.select([self._socket], [], [], 0)[0]:
            frame, ancillary, _, _ = self._socket.recvmsg(65536, 64)
            when = time.monotonic()
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, nanoseconds = struct.unpack("@qq", data[:16])
                    when = seconds + nanoseconds / 1e9 - self._offset
            self._take(when, frame)

    def _take(self, when, frame):
        kind, source = struct.unpack_from("!H", frame, 12)[0], frame[6:12].hex(":")
        if kind == ETH_P_ARP:
            operation, hardware, sender, target = struct.unpack_from("!6xH6s4s6x4s", frame, 14)
            if sender == target:
                self._announcements.append(Announcement(when, socket.inet_ntoa(sender), hardware.hex(":"), operation))
            return
        if kind == ETH_P_IP:
            header, total = (frame[14] & 0xF) * 4, struct.unpack_from("!H", frame, 16)[0]
            advert = parse_advert(when, source, socket.AF_INET, frame[26:30], frame[30:34], frame[22],
                                  frame[14 + header:14 + total])
        else:
            length = struct.unpack_from("!H", frame, 18)[0]
            advert = parse_advert(when, source, socket.AF_INET6, frame[22:38], frame[38:54], frame[21], frame[54:54 + length])
        if advert:
            self._adverts.append(advert)
