#!/usr/bin/env python3
"""A small API server for the lab: list and watch of the objects in a directory, as Kubernetes clients see them.

    apiserver.py --listen ADDR:PORT --objects DIR [--tls-cert FILE --tls-key FILE] [--token TEXT]

DIR holds *.yaml, *.yml and *.json (several documents a file, kind List, no namespace means default); it is followed with
inotify. What is put there or taken away is told to the watches within milliseconds. resourceVersions come from the files'
times, so they survive a restart of this server, as etcd's do; what a client missed meanwhile is answered with 410.

Spoken: GET of lists and single objects, fieldSelector=metadata.name, labelSelector (exists, equals), limit and continue,
watch with resourceVersion, timeoutSeconds, sendInitialEvents and bookmarks, 410 as an ERROR event for versions that are forgotten,
/readyz. POST, PATCH (series) and lists of Events of events.k8s.io/v1 and PATCH of a Service's status, with what the real
server's validation refuses. HTTP/1.1 with chunks, HTTP or HTTPS, IPv4 or [IPv6].

For tests, beside the API:
    PUT    /_objects                               YAML or JSON of objects that live until they are deleted (not in DIR)
    DELETE /_objects?kind=K&namespace=N&name=X     takes an object away, wherever it came from
    POST   /_compact                               forget the history: older versions get 410
    POST   /_cut[?reset=1]                         end all watches now
    POST   /_fail?status=503[&count=N][&retry_after=S][&path=PART]    answer the next N API requests so (count=0: stop that)
    POST   /_forbid?method=POST&path=PART          answer these with 403 from now on (method and path empty: allow all again)
    GET    /_requests                              all API requests so far, one a line; writes with their method before
"""

import argparse
import collections
import http.server
import json
import os
import re
import select
import signal
import socket
import ssl
import struct
import sys
import time
import urllib.parse

import yaml

from store import CLUSTER_SCOPED, KINDS, PLURALS, Directory, Store, documents, wanted

PATH = re.compile(r"^(/api/v1|/apis/discovery\.k8s\.io/v1)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?$")
EVENTS = re.compile(r"^/apis/events\.k8s\.io/v1/namespaces/([^/]+)/events(?:/([^/]+))?$")
STATUS = re.compile(r"^/api/v1/namespaces/([^/]+)/services/([^/]+)/status$")
MICRO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


class Failure:
    def __init__(self, status, count, retry_after, part):
        self.status, self.count, self.retry_after, self.part = status, count, retry_after, part


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "lab-apiserver"

    def setup(self):
        if self.server.tls:
            # Here and not in accept(), so that a client that stalls stops nobody.
            self.request.settimeout(10)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            self.request.settimeout(None)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, *_):
        pass

    # --- answers

    def answer(self, status, body, content_type="application/json", headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status, reason, message, headers=()):
        self.answer(status, status_object(status, reason, message), headers=headers)

    def text(self, status, message):
        self.answer(status, message.encode(), "text/plain")

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    # --- methods

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if url.path == "/_requests":
            self.text(200, "".join(line + "\n" for line in list(self.server.requests)))
            return
        self.server.requests.append(self.path)
        if self.refuse(url.path):
            return
        if url.path in ("/readyz", "/livez", "/healthz"):
            self.text(200, "ok")
            return
        if url.path == "/version":
            self.answer(200, {"major": "1", "minor": "36", "gitVersion": "v1.36.0-lab"})
            return
        if EVENTS.match(url.path):
            self.list_events(*EVENTS.match(url.path).groups())
            return
        match = PATH.match(url.path)
        kind, group = KINDS.get(match.group(3), ("", "")) if match else ("", "")
        if not match or group != match.group(1):
            self.text(404, "404 page not found\n")
            return
        namespace, name = match.group(2), match.group(4)
        if name:
            self.one(kind, namespace or "", name)
        elif query.get("watch") in ("1", "true"):
            self.watch(kind, namespace, query)
        else:
            self.list(kind, namespace, query)

    def refuse(self, path):
        if self.server.token and self.headers.get("Authorization") != "Bearer " + self.server.token:
            self.fail(401, "Unauthorized", "Unauthorized")
            return True
        if any(self.command == method and part in path for method, part in self.server.forbidden):
            self.fail(403, "Forbidden", f"{path} is forbidden: no rule of RBAC grants {self.command}")
            return True
        failure = self.server.failure
        if not failure or failure.part not in path:
            return False
        failure.count -= 1
        if failure.count <= 0:
            self.server.failure = None
        headers = [("Retry-After", failure.retry_after)] if failure.retry_after else []
        self.fail(failure.status, "Failed", "told to fail", headers)
        return True

    def do_PUT(self):
        if urllib.parse.urlsplit(self.path).path != "/_objects":
            self.text(404, "404 page not found\n")
            return
        try:
            items = documents(self.body().decode())
        except yaml.YAMLError as error:
            self.text(400, f"{error}\n")
            return
        store = self.server.store
        with store.changed:
            for item in items:
                store.put(item, time.time_ns() // 1000)
        self.text(200, f"{len(items)}\n")

    def do_DELETE(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        kind = query.get("kind", "")
        namespace = "" if kind in CLUSTER_SCOPED else query.get("namespace", "default")
        store = self.server.store
        with store.changed:
            found = url.path == "/_objects" and store.delete((kind, namespace, query.get("name", "")), time.time_ns() // 1000)
        self.text(200 if found else 404, "gone\n" if found else "no such object\n")

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = self.body()
        if EVENTS.match(url.path):
            self.server.requests.append(f"POST {self.path}")
            if not self.refuse(url.path):
                self.create_event(EVENTS.match(url.path).group(1), body)
            return
        if url.path == "/_compact":
            self.server.store.compact()
        elif url.path == "/_cut":
            self.server.store.end_watches("reset" in query)
        elif url.path == "/_forbid":
            if query.get("path"):
                self.server.forbidden.append((query["method"], query["path"]))
            else:
                self.server.forbidden.clear()
        elif url.path == "/_fail":
            count = int(query.get("count", 1))
            self.server.failure = (
                Failure(int(query.get("status", 500)), count, query.get("retry_after"), query.get("path", ""))
                if count > 0 else None)
        else:
            self.text(404, "404 page not found\n")
            return
        self.text(200, "done\n")

    def do_PATCH(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.body()
        self.server.requests.append(f"PATCH {self.path}")
        if self.refuse(url.path):
            return
        event, status = EVENTS.match(url.path), STATUS.match(url.path)
        if self.headers.get("Content-Type") != "application/merge-patch+json":
            self.fail(415, "UnsupportedMediaType", "this server knows merge patches alone")
        elif event and event.group(2):
            self.patch_event(*event.groups(), json.loads(body))
        elif status:
            self.patch_status(*status.groups(), json.loads(body))
        else:
            self.text(404, "404 page not found\n")

    # --- writes

    def create_event(self, namespace, body):
        event = json.loads(body)
        wrong = wrong_event(event, namespace)
        name = event.get("metadata", {}).get("name", "")
        with self.server.store.changed:
            if wrong:
                self.fail(422, "Invalid", wrong)
            elif (namespace, name) in self.server.events:
                self.fail(409, "AlreadyExists", f'events "{name}" already exists')
            else:
                self.server.events[namespace, name] = event
                self.answer(201, event)

    def patch_event(self, namespace, name, patch):
        with self.server.store.changed:
            event = self.server.events.get((namespace, name))
            if event is None:
                self.fail(404, "NotFound", f'events "{name}" not found')
            elif set(patch) != {"series"} or wrong_series(patch["series"]):
                self.fail(422, "Invalid", "field is immutable, or the series is none")
            else:
                event["series"] = patch["series"]
                self.answer(200, event)

    def list_events(self, namespace, name):
        with self.server.store.changed:
            items = [event for (of, one), event in sorted(self.server.events.items()) if of == namespace and name in (None, one)]
        self.answer(200, {"kind": "EventList", "apiVersion": "events.k8s.io/v1", "metadata": {}, "items": items})

    def patch_status(self, namespace, name, patch):
        store = self.server.store
        with store.changed:
            item = store.objects.get(("Service", namespace, name))
            ingress = patch.get("status", {}).get("loadBalancer", {}).get("ingress", ...)
            if item is None:
                self.fail(404, "NotFound", f'services "{name}" not found')
            elif ingress is ... or any("ip" not in one and "ipMode" in one for one in ingress or []):
                self.fail(422, "Invalid", "status.loadBalancer.ingress: Invalid value")
            elif ingress and item["spec"].get("type") != "LoadBalancer":
                self.fail(422, "Invalid", "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is LoadBalancer")
            else:
                item = json.loads(json.dumps(item))
                item["status"] = {"loadBalancer": {"ingress": ingress} if ingress else {}}
                store.put(item, time.time_ns() // 1000)
                self.answer(200, item)

    # --- the API

    def one(self, kind, namespace, name):
        store = self.server.store
        with store.changed:
            item = store.objects.get((kind, namespace, name))
        if item is None:
            self.fail(404, "NotFound", f'{PLURALS[kind][1]} "{name}" not found')
        else:
            self.answer(200, item)

    def list(self, kind, namespace, query):
        store = self.server.store
        with store.changed:
            version = store.version
            items = [store.objects[key] for key in sorted(store.objects) if wanted(key, store.objects[key], kind, namespace, query)]
        metadata = {"resourceVersion": str(version)}
        start = 0
        if "continue" in query:
            token, _, position = query["continue"].partition(".")
            if token != str(version):
                self.fail(410, "Expired", "The provided continue parameter is too old")
                return
            start = int(position)
        limit = int(query.get("limit", 0))
        # As the watch cache does: version 0 takes no notice of a limit.
        if limit and query.get("resourceVersion") != "0" and start + limit < len(items):
            metadata["continue"] = f"{version}.{start + limit}"
            metadata["remainingItemCount"] = len(items) - start - limit
            items = items[start:start + limit]
        else:
            items = items[start:]
        bare = [{field: value for field, value in item.items() if field not in ("kind", "apiVersion")} for item in items]
        self.answer(200, {"kind": kind + "List", "apiVersion": api_version(kind), "metadata": metadata, "items": bare})

    def watch(self, kind, namespace, query):
        store = self.server.store
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        end = time.monotonic() + float(query.get("timeoutSeconds", 1800))
        bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        next_bookmark = time.monotonic() + self.server.bookmark_interval
        known = set()
        with store.changed:
            cut = store.cut
            asked = query.get("resourceVersion", "0") or "0"
            events = []
            if asked == "0" or query.get("sendInitialEvents") == "true":
                for key in sorted(store.objects):
                    if wanted(key, store.objects[key], kind, namespace, query):
                        known.add(key)
                        events.append(("ADDED", store.objects[key]))
                version = store.version
                if query.get("sendInitialEvents") == "true":
                    events.append(("BOOKMARK", {"kind": kind, "apiVersion": api_version(kind), "metadata": {
                        "resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}}))
            else:
                version = int(asked)
                if version < store.oldest or version > store.version:
                    self.chunk([("ERROR", status_object(410, "Expired", f"too old resource version: {version} ({store.oldest})"))])
                    self.wfile.write(b"0\r\n\r\n")
                    return
                # What the client had at that version, near enough: what matches now, or did until it was taken away.
                known = {key for key, item in store.objects.items() if wanted(key, item, kind, namespace, query)}
                known |= {key for at, _, key, item in store.history if at > version and wanted(key, item, kind, namespace, query)}
        while True:
            if events:
                self.chunk(events)
            events = []
            with store.changed:
                now = time.monotonic()
                if store.cut != cut or now >= end or self.gone():
                    break
                if version == store.version:
                    store.changed.wait(min(end, next_bookmark, now + 1) - now if bookmarks else min(end, now + 1) - now)
                if store.cut != cut:
                    break
                if version < store.oldest:
                    events = [("ERROR", status_object(410, "Expired", "compacted"))]
                    end = 0
                    continue
                for at, change, key, item in store.history:
                    if at <= version:
                        continue
                    if change == "DELETED" or not wanted(key, item, kind, namespace, query):
                        # An object that stops matching is deleted, for this watch.
                        if key in known and wanted(key, item, kind, namespace, {}):
                            events.append(("DELETED", item))
                        known.discard(key)
                    else:
                        events.append((change if key in known else "ADDED", item))
                        known.add(key)
                version = store.version
            if bookmarks and time.monotonic() >= next_bookmark:
                next_bookmark = time.monotonic() + self.server.bookmark_interval
                events.append(("BOOKMARK", {"kind": kind, "apiVersion": api_version(kind),
                                            "metadata": {"resourceVersion": str(version)}}))
        if store.cut != cut and store.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, events):
        data = "".join(json.dumps({"type": change, "object": item}, separators=(",", ":")) + "\n" for change, item in events)
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data.encode()), data.encode()))
        self.wfile.flush()

    def gone(self):
        """A client that watches sends nothing more: readable means that it went."""
        return bool(select.select([self.connection], [], [], 0)[0])


def wrong_series(series):
    return series.get("count", 0) < 2 or not MICRO_TIME.match(series.get("lastObservedTime", ""))


def wrong_event(event, namespace):
    """What the real server's validation (apimachinery, events.k8s.io/v1) would say; empty: nothing."""
    regarding = event.get("regarding", {})
    for field, longest in (("reportingController", 253), ("reportingInstance", 128), ("action", 128), ("reason", 128)):
        if not 0 < len(event.get(field, "")) <= longest:
            return f"{field}: Required value, or too long"
    if not MICRO_TIME.match(event.get("eventTime", "")):
        return "eventTime: Required value"
    if event.get("type") not in ("Normal", "Warning"):
        return "type: Invalid value"
    if len(event.get("note", "")) > 1024:
        return "note: can have at most 1024 characters"
    if (regarding.get("namespace") or "default") != namespace or event["metadata"].get("namespace") != namespace:
        return "regarding.namespace: does not match event.namespace"
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", event["metadata"].get("name", "")):
        return "metadata.name: Invalid value"
    if "series" in event and wrong_series(event["series"]):
        return "series: Invalid value"
    return ""


def api_version(kind):
    return "v1" if PLURALS[kind][0] == "/api/v1" else PLURALS[kind][0][len("/apis/"):]


def status_object(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
            "code": code}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, options, store):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.store = store
        self.tls = None
        if options.tls_cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.tls_cert, options.tls_key)
        self.token = options.token
        self.bookmark_interval = options.bookmark_interval
        self.failure = None
        self.forbidden = []  # (method, part of the path)
        self.events = {}  # (namespace, name) -> Event; they end with the server
        self.requests = collections.deque(maxlen=100000)
        super().__init__(address, Handler)

    def handle_error(self, request, client_address):
        """A client that hangs up, or trusts another authority, is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, metavar="ADDR:PORT", help="port 0 takes any; the first line printed names it")
    parser.add_argument("--objects", required=True, metavar="DIR")
    parser.add_argument("--tls-cert", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    parser.add_argument("--token", help="the bearer token to ask for")
    parser.add_argument("--bookmark-interval", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--history", type=int, default=10000, metavar="N", help="changes that a watch may have missed")
    options = parser.parse_args()
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key go together")
    host, _, port = options.listen.rpartition(":")
    store = Store(options.history)
    Directory(options.objects, store).start()
    server = Server((host.strip("[]"), int(port)), options, store)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    scheme = "https" if server.tls else "http"
    print(f"{scheme}://{host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
