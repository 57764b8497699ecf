#!/usr/bin/python3
"""Asks an address over HTTP so many times a second, each on a connection of its own, until its standard input ends.

    tests/kubernetes/load.py ADDRESS PORT RATE

Then it waits for what is still out, and prints what came of it as JSON: answered, failures (text), longest (seconds without an
answer, its own begin and end counted as answers), names (who answered how often), seconds.
"""

import collections
import json
import selectors
import socket
import sys
import time

PATIENCE = 10.0  # seconds for one request; a lost SYN is sent again after 1 and 3
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


class Request:
    def __init__(self, address):
        self.began, self.answer = time.monotonic(), b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.error = self.socket.connect_ex(address)

    def sent(self):
        """When the connection is there."""
        self.error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if self.error == 0:
            self.socket.sendall(REQUEST)
        return self.error == 0

    def name(self):
        """Who answered; "" if it is no whole answer."""
        head, _, body = self.answer.partition(b"\r\n\r\n")
        return body.decode().split()[0] if head.startswith(b"HTTP/1.0 200") and body.endswith(b"\n") else ""


class Load:
    def __init__(self, address, rate):
        self.address, self.rate = address, rate
        self.selector, self.open, self.deadlines = selectors.DefaultSelector(), {}, collections.deque()
        self.begin = self.last = time.monotonic()
        self.longest, self.failures, self.names = 0.0, [], {}

    def run(self, stop):
        self.selector.register(stop, selectors.EVENT_READ)
        asked, ending = 0, False
        while not ending or self.open:
            now = time.monotonic()
            while not ending and self.begin + asked / self.rate <= now:
                asked += 1
                self._ask()
            due = self.begin + asked / self.rate if not ending else now + 0.5
            for key, _ in self.selector.select(max(0.0, min(due - now, 0.5))):
                if key.fileobj is stop:
                    ending = True
                    self.selector.unregister(stop)
                    self._note_answer()
                else:
                    self._go_on(self.open[key.fd])
            while self.deadlines and self.deadlines[0][0] < time.monotonic():
                _, descriptor, request = self.deadlines.popleft()
                if self.open.get(descriptor) is request:
                    self._end(request, "no answer")
        return {"answered": sum(self.names.values()), "failures": self.failures, "longest": self.longest, "names": self.names,
                "seconds": time.monotonic() - self.begin}

    def _ask(self):
        request = Request(self.address)
        descriptor = request.socket.fileno()
        self.open[descriptor] = request
        self.selector.register(descriptor, selectors.EVENT_WRITE)
        self.deadlines.append((request.began + PATIENCE, descriptor, request))

    def _go_on(self, request):
        try:
            if self.selector.get_key(request.socket).events == selectors.EVENT_WRITE:
                if request.sent():
                    self.selector.modify(request.socket, selectors.EVENT_READ)
                else:
                    self._end(request, OSError(request.error, "connect"))
            elif chunk := request.socket.recv(4096):
                request.answer += chunk
            elif name := request.name():
                self.names[name] = self.names.get(name, 0) + 1
                self._note_answer()
                self._end(request)
            else:
                self._end(request, f"not an answer: {request.answer!r}")
        except OSError as error:
            self._end(request, error)

    def _note_answer(self):
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now

    def _end(self, request, problem=None):
        if problem is not None:
            waited = time.monotonic() - request.began
            self.failures.append(f"asked after {request.began - self.begin:.2f} s: {problem!r} after {waited:.2f} s")
        del self.open[request.socket.fileno()]
        self.selector.unregister(request.socket)
        request.socket.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(json.dumps(Load((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).run(sys.stdin)))
