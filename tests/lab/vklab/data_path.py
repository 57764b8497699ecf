"""Every way a request can take, and what becomes of it: the rows of docs/data-path.md, as values that tests ask for.

A way is a forwarding method, a client, and the place of the endpoint. What becomes of it is the source address that the endpoint
sees, by whose it is, or that no answer comes. Families differ in a few places: "IPv4 / IPv6" then.
"""

import dataclasses

METHODS = {"auto": "NAT", "always": "NAT", "never": "NAT", "dr": "DR", "tun": "TUN"}
CLIENTS = ("outside", "routed", "holder", "node", "pod_on_holder", "pod_elsewhere", "itself")
PLACES = ("here", "there", "segment", "host")
PROTOCOLS = ("tcp", "udp", "sctp")
FAMILIES = ("ipv4", "ipv6")

# own: the client's own address; node: the holder's address towards the endpoint; vip: the VIP; -: no answer comes.
# The places: a pod on the holder, a pod on another node, a host on the nodes' segment, the holder itself.
# The client `node` is one that runs vipkeeper and is not the holder.
TABLE = """
                       here        there       segment     host
auto    outside        own         node        node        own
auto    routed         own         node        node        own
auto    holder         vip         node        node        node
auto    node           own         own         own         own
auto    pod_on_holder  node        node        node        own
auto    pod_elsewhere  own         node        node        own
auto    itself         node        node        node

always  outside        node        node        node        own
always  routed         node        node        node        own
always  holder         node        node        node        node
always  node           own         own         own         own
always  pod_on_holder  node        node        node        own
always  pod_elsewhere  node        node        node        own
always  itself         node        node        node

never   outside        own         -           -           own
never   routed         own         -           -           own
never   holder         vip         vip         vip         vip
never   node           own         own         own         own
never   pod_on_holder  -           own         own         own
never   pod_elsewhere  own         -           -           own
never   itself         -           -           -

dr      outside        own         -           own         own
dr      routed         own         -           own         own
dr      holder         -           -           -           vip
dr      node           own         -           own         own
dr      pod_on_holder  own         -           -/own       own
dr      pod_elsewhere  own         -           own         own
dr      itself         vip         vip         vip

tun     outside        own         own         own         own
tun     routed         own         own         own         own
tun     holder         -           -           -           vip
tun     node           own         own         own         own
tun     pod_on_holder  own         -/own       -/own       own
tun     pod_elsewhere  own         own         own         own
tun     itself         vip         vip         vip
"""


@dataclasses.dataclass(frozen=True)
class Way:
    """One cell of the table. `seen`: {family: own, node, vip or None}."""

    method: str
    client: str
    place: str
    seen: dict = dataclasses.field(hash=False)

    def __str__(self):
        return f"{self.method}-{self.client}-{self.place}"


def read_table():
    head, *lines = [line.split() for line in TABLE.splitlines() if line]
    for method, client, *cells in lines:
        for place, cell in zip(head, cells):
            each = cell.split("/") if "/" in cell else [cell, cell]
            yield Way(method, client, place, {family: None if one == "-" else one for family, one in zip(FAMILIES, each)})


WAYS = list(read_table())
