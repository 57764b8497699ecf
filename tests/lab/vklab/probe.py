"""A client's probe: a datagram every few milliseconds, and when each answer came."""

import array
import contextlib
import os
import select
import socket
import struct
import time

from .workers import Worker


class Probe:
    """Sends to (address, port) from `host` every `interval` s until finished. Anything that echoes datagrams may answer.
    `flows`: from so many ports in turn, so that what becomes of one of them is not all there is to see."""

    def __init__(self, host, address, port, interval=0.002, flows=1):
        self.address, self.port, self.interval = address, port, interval
        with host.network():
            self._sockets = [socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
                             for _ in range(flows)]
        self._answered_reader, self._answered = os.pipe()
        os.set_blocking(self._answered_reader, False)
        self._worker = Worker(self._run)
        os.close(self._answered)

    def _run(self, stop):
        answers = array.array("d")
        names = {}
        sent = 0
        for one in self._sockets:
            one.setblocking(False)
        started = due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                due = max(due + self.interval, now)
                sent += 1
                with contextlib.suppress(OSError):  # no route or a refusal just now: counts as lost
                    self._sockets[sent % len(self._sockets)].sendto(struct.pack("=I", sent), (self.address, self.port))
            ready, _, _ = select.select([stop, *self._sockets], [], [], max(0.0, due - now))
            if stop in ready:
                return ProbeResult(started, time.monotonic(), sent, answers, names)
            for one in ready:
                with contextlib.suppress(OSError):
                    while True:
                        name = one.recv(256)[4:].decode()
                        if not answers:
                            os.write(self._answered, b"+")
                        answers.append(time.monotonic())
                        names[name] = names.get(name, 0) + 1

    @property
    def answered(self):
        """Whether an answer has come yet (asked until true; to start a test on)."""
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._answered_reader, 1))
        return False

    def finish(self):
        """Stops, and returns a ProbeResult."""
        try:
            return self._worker.finish()
        finally:
            self.close()

    def close(self):
        self._worker.kill()
        for one in self._sockets:
            one.close()
        if self._answered_reader is not None:
            os.close(self._answered_reader)
            self._answered_reader = None


class ProbeResult:
    """When answers came (monotonic seconds), from whom, and the times without any."""

    def __init__(self, started, ended, sent, answers, names):
        self.started, self.ended, self.sent, self.answers, self.names = started, ended, sent, answers, names

    def outages(self, longer_than):
        """(begin, seconds) of each time without an answer longer than that, the ends of the probe counted as answers."""
        moments = [self.started, *self.answers, self.ended]
        return [(a, b - a) for a, b in zip(moments, moments[1:]) if b - a > longer_than]

    @property
    def longest(self):
        """The longest time without an answer, in seconds."""
        return max(seconds for _, seconds in self.outages(-1))

    def __str__(self):
        gaps = ", ".join(f"{seconds:.3f} s at {begin - self.started:.3f}" for begin, seconds in self.outages(0.05))
        return f"{len(self.answers)} of {self.sent} answered in {self.ended - self.started:.3f} s; without an answer: {gaps or 'never'}"
