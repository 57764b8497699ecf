"""Who holds an address, and since when: the kernel's own notices of addresses added and removed, on every node.

One socket hears all of them, so that their order is the kernel's, however late the watch gets to read them.
"""

import select
import time

from .netlink import GROUP_IPV4_ADDRESS, GROUP_IPV6_ADDRESS, RTM_DELADDR, RTM_NEWADDR, Netlink, parse_address
from .workers import Worker


class HolderWatch:
    """Watches `address` on `hosts` until finished."""

    def __init__(self, hosts, address):
        self.address = address
        self.started = time.monotonic()
        asking = Netlink()
        self._names = {asking.namespace_number(host.namespaces.net): host.name for host in hosts}
        asking.close()
        self._netlink = Netlink(GROUP_IPV4_ADDRESS | GROUP_IPV6_ADDRESS)
        self._netlink.hear_all()
        self._start = {host.name: host.holds(address) for host in hosts}  # after subscribing: nothing falls between
        self._worker = Worker(self._run)

    def _run(self, stop):
        events = []
        while True:
            ready, _, _ = select.select([self._netlink.socket, stop], [], [])
            if self._netlink.socket not in ready:
                return events
            number, messages = self._netlink.notice()
            for kind, body in messages:
                if number in self._names and kind in (RTM_NEWADDR, RTM_DELADDR) and parse_address(body)[1].split("/")[0] == self.address:
                    events.append((time.monotonic(), self._names[number], kind == RTM_NEWADDR))

    def finish(self):
        """Stops, and returns a HolderTimeline."""
        try:
            events = self._worker.finish()
        finally:
            self.close()
        return HolderTimeline(self._start, self.started, time.monotonic(), events)

    def close(self):
        self._worker.kill()
        self._netlink.close()


class HolderTimeline:
    """Spans of time (begin, end, set of holders' names), one after another."""

    def __init__(self, start, started, ended, events):
        holders = {name for name, held in start.items() if held}
        self.spans, begin = [], started
        for when, name, added in events:
            after = holders | {name} if added else holders - {name}
            if after != holders:
                self.spans.append((begin, when, frozenset(holders)))
                holders, begin = after, when
        self.spans.append((begin, ended, frozenset(holders)))

    def longest_with_several(self, since=0.0):
        """The longest uninterrupted time with more than one holder, in seconds, counted from `since` (monotonic)."""
        return self._longest(lambda holders: len(holders) > 1, since)

    def longest_with_none(self, since=0.0):
        return self._longest(lambda holders: not holders, since)

    def _longest(self, wanted, since):
        longest = running = 0.0
        for begin, end, holders in self.spans:
            running = running + max(0.0, end - max(begin, since)) if wanted(holders) else 0.0
            longest = max(longest, running)
        return longest

    def __str__(self):
        zero = self.spans[0][0]
        return "; ".join(f"{begin - zero:.3f} s {'+'.join(sorted(holders)) or 'nobody'}" for begin, _, holders in self.spans)
