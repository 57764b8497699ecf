"""What answers in the lab: a tiny server that says its name, over HTTP on TCP and SCTP ports and by datagrams on UDP ports."""

import contextlib
import select
import socket

from .workers import Worker

IP_FREEBIND, IPV6_FREEBIND = 15, 78
IPPROTO_SCTP = 132
WHO = b"who?"


class Server:
    """Serves on `host` under `name`: TCP and SCTP answer an HTTP response whose body is the name, UDP echoes and adds the name.
    Whoever asks WHO, by any protocol, is told the name and the address that the question came from: "web-1 192.0.2.100".

    `addresses` may hold ones that the host has not yet, such as a VIP; "" is every address (of IPv4).
    """

    def __init__(self, host, name, tcp=(), udp=(), addresses=("",), sctp=()):
        self.name = name
        self._sockets = []
        with host.network():
            for address in addresses:
                for kind, protocol, ports in ((socket.SOCK_STREAM, 0, tcp), (socket.SOCK_DGRAM, 0, udp),
                                              (socket.SOCK_STREAM, IPPROTO_SCTP, sctp)):
                    for port in ports:
                        self._sockets.append(self._bind(kind, protocol, address, port))
        self._worker = Worker(self._run)
        for one in self._sockets:  # the worker's copies are the ones in use
            one.close()

    @staticmethod
    def _bind(kind, protocol, address, port):
        one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind, protocol)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            one.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen(1024)
        one.setblocking(False)
        return one

    def _run(self, stop):
        body = self.name.encode() + b"\n"
        response = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        poller = select.epoll()
        poller.register(stop, select.EPOLLIN)
        listening = {one.fileno(): one for one in self._sockets}
        connections = {}
        for descriptor in listening:
            poller.register(descriptor, select.EPOLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == stop:
                    return None
                with contextlib.suppress(OSError):
                    if descriptor in connections:
                        self._answer(*connections.pop(descriptor), response)
                    elif listening[descriptor].type == socket.SOCK_STREAM:
                        connection, sender = listening[descriptor].accept()
                        connection.setblocking(False)
                        connections[connection.fileno()] = connection, sender
                        poller.register(connection.fileno(), select.EPOLLIN)
                    else:
                        question, sender = listening[descriptor].recvfrom(2048)
                        listening[descriptor].sendto(self._about(sender) if question == WHO else question + self.name.encode(), sender)

    def _answer(self, connection, sender, response):
        with contextlib.closing(connection):
            if question := connection.recv(65536):  # nothing: a health check, that only connects
                connection.sendall(self._about(sender) if question == WHO else response)

    def _about(self, sender):
        return f"{self.name} {sender[0]}".encode()

    def close(self):
        self._worker.kill()


def ask(host, address, port, timeout=2.0):
    """One HTTP request from `host`; returns the body without the line end, or raises OSError."""
    with host.network():
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    return http_get(connection, (address, port), "/", timeout)[1].strip()


def http_get(connection, address, path="/", timeout=2.0):
    """GET over a fresh socket; (status, body)."""
    with connection:
        connection.settimeout(timeout)
        connection.connect(address)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: lab\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/"):
        raise OSError(f"no HTTP answer from {address}: {answer[:60]!r}")
    return int(head.split()[1]), body.decode()
