"""Very many questions at a time, from any number of hosts, by TCP, UDP and SCTP: who answers, and whom did they see asking?

One process and one epoll for all of them, as a fork costs more than a hundred questions do.
"""

import contextlib
import errno
import select
import socket
import time

from .servers import IPPROTO_SCTP, WHO

KINDS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_STREAM, IPPROTO_SCTP)}
AGAIN = 0.25  # seconds until a datagram without an answer is sent once more


class Question:
    """WHO, asked by `host` of an address and port. `answer`: (the name of who answered, the address it saw asking), or None.
    `source`: the address to ask from, else the kernel's choice."""

    def __init__(self, host, address, port, protocol, source=None):
        self.host, self.protocol, self.source = host, protocol, source
        self.to = (address, port)
        self.answer = self.error = self._socket = None

    def ask(self):
        """Sends it, without waiting; the socket to watch."""
        family = socket.AF_INET6 if ":" in self.to[0] else socket.AF_INET
        with self.host.network():
            self._socket = socket.socket(family, *KINDS[self.protocol])
        self._socket.setblocking(False)
        if self.source:
            self._socket.bind((self.source, 0))
        self._connected = False
        code = self._socket.connect_ex(self.to)
        if code not in (0, errno.EINPROGRESS):
            self._fail(OSError(code, "connect"))
        elif self.protocol == "udp":
            self._send()
        return self._socket

    def repeat(self):
        """A datagram may have been lost, or have gone where nobody answers; connections see to themselves."""
        if self.protocol == "udp" and self._socket and not self.answer:
            self._send()

    def handle(self, events):
        """What the socket is ready for; true once there is an answer or an error."""
        try:
            if not self._connected and self.protocol != "udp":
                if code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, "connect")
                if events & (select.EPOLLOUT | select.EPOLLIN):
                    self._connected = True
                    self._socket.send(WHO)
                return False
            name, _, source = self._socket.recv(256).decode().rpartition(" ")
            self.answer = (name, source) if name else None
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            self._fail(error)
            return self.protocol != "udp"

    def waits_to_read(self):
        return self._connected or self.protocol == "udp"

    def close(self):
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self):
        with contextlib.suppress(OSError):  # an ICMP error of the last one: this one may get through
            self._socket.send(WHO)

    def _fail(self, error):
        self.error = error


def ask_all(questions, needed, patience, grace, close=True):
    """Asks all at once. Waits until all of `needed` are answered, at most `patience` s, and then `grace` s for the others."""
    poller, waiting = select.epoll(), {}
    missing = set(needed)
    try:
        for question in questions:
            one = question.ask()
            if not question.error:
                waiting[one.fileno()] = question
                poller.register(one, select.EPOLLIN if question.waits_to_read() else select.EPOLLOUT)
        end, repeat = time.monotonic() + patience, time.monotonic() + AGAIN
        complete = False
        while waiting and (now := time.monotonic()) < end:
            if not complete and not missing:
                complete, end = True, min(end, now + grace)
            if now >= repeat:
                repeat = now + AGAIN
                for question in waiting.values():
                    question.repeat()
            for descriptor, events in poller.poll(min(0.05, max(0.0, end - now))):
                question = waiting[descriptor]
                if question.handle(events):
                    if question.answer:
                        missing.discard(question)
                    poller.unregister(descriptor)
                    del waiting[descriptor]
                elif question.waits_to_read():
                    poller.modify(descriptor, select.EPOLLIN)
    finally:
        poller.close()
        for question in questions if close else ():
            question.close()
