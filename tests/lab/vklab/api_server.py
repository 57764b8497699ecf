#!/usr/bin/python3
"""An API server of the tests: lists and watches over HTTP, as much of the Kubernetes API as vipkeeper reads.

    api_server.py ADDRESS PORT STATE-FILE

GET lists, GET with watch=1 streams events in chunks, PUT and DELETE change an object (what kubectl would do). Objects
survive a kill in STATE-FILE; the history of changes does not, so that a watch from before a restart is told 410, Expired.
Run on a host of the lab by `ApiServer`, which is below.
"""

import http.server
import json
import pathlib
import socket
import sys
import threading
import urllib.parse

COLLECTIONS = {"Node": "/api/v1/nodes", "Service": "/api/v1/services", "ConfigMap": "/api/v1/configmaps", "Pod": "/api/v1/pods",
               "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices"}


def split_path(path):
    """(collection without namespace, namespace or None, name or None), or None for a path that is not ours."""
    parts = path.strip("/").split("/")
    base = 2 if parts[0] == "api" else 3
    namespace = None
    if parts[base:base + 1] == ["namespaces"] and len(parts) > base + 2:
        namespace, parts = parts[base + 1], parts[:base] + parts[base + 2:]
    collection = "/" + "/".join(parts[:base + 1])
    if collection not in COLLECTIONS.values() or len(parts) > base + 2:
        return None
    return collection, namespace, parts[base + 1] if len(parts) == base + 2 else None


class Store:
    """The objects, and the changes since this process started."""

    def __init__(self, file):
        self.file, self.changed = file, threading.Condition()
        saved = json.loads(file.read_text()) if file.exists() else {"version": 1, "objects": {}}
        self.version, self.objects = saved["version"], saved["objects"]
        self.oldest, self.history = self.version, []  # (version, type, collection, object)

    def put(self, collection, namespace, name, value):
        with self.changed:
            key = f"{collection} {namespace or ''} {name}"
            self.version += 1
            value["metadata"]["resourceVersion"] = str(self.version)
            value["metadata"].setdefault("uid", self.objects.get(key, {}).get("metadata", {}).get("uid") or f"uid-{self.version}")
            self._note("MODIFIED" if key in self.objects else "ADDED", collection, value)
            self.objects[key] = value
            self._save()

    def delete(self, collection, namespace, name):
        with self.changed:
            value = self.objects.pop(f"{collection} {namespace or ''} {name}")
            self.version += 1
            self._note("DELETED", collection, {**value, "metadata": {**value["metadata"], "resourceVersion": str(self.version)}})
            self._save()

    def _note(self, kind, collection, value):
        self.history.append((self.version, kind, collection, value))
        self.changed.notify_all()

    def _save(self):
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"version": self.version, "objects": self.objects}))
        new.rename(self.file)


def selected(value, namespace, query):
    metadata = value["metadata"]
    if namespace and metadata.get("namespace") != namespace:
        return False
    field = query.get("fieldSelector", "")
    if field.startswith("metadata.name=") and metadata["name"] != field.partition("=")[2]:
        return False
    label = query.get("labelSelector", "")
    return not label or label in metadata.get("labels", {})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        found = split_path(url.path)
        if url.path in ("/readyz", "/healthz", "/livez", "/version"):
            return self.answer(200, {"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
        if found is None:
            return self.answer(404, status(404, "NotFound", f"the server could not find {url.path}"))
        collection, namespace, name = found
        if name:
            value = self.store.objects.get(f"{collection} {namespace or ''} {name}")
            return self.answer(200, value) if value else self.answer(404, status(404, "NotFound", f"{name} not found"))
        if query.get("watch") in ("1", "true"):
            return self.watch(collection, namespace, query)
        with self.store.changed:
            items = [v for k, v in self.store.objects.items() if k.startswith(collection + " ") and selected(v, namespace, query)]
            version = self.store.version
        self.answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}, "items": items})

    def do_PUT(self):
        collection, namespace, name = split_path(self.path)
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.store.put(collection, namespace, name, value)
        self.answer(200, value)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))  # Events and the like: taken, not kept
        self.answer(201, {})

    def do_DELETE(self):
        self.store.delete(*split_path(self.path))
        self.answer(200, status(200, "", ""))

    def watch(self, collection, namespace, query):
        since = int(query.get("resourceVersion") or 0)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if since < self.store.oldest:
            self.event("ERROR", status(410, "Expired", f"too old resource version: {since} ({self.store.oldest})"))
            return self.wfile.write(b"0\r\n\r\n")
        position = 0
        while True:
            with self.store.changed:
                while position >= len(self.store.history):
                    self.store.changed.wait()
                version, kind, where, value = self.store.history[position]
            position += 1
            if where == collection and version > since and selected(value, namespace, query):
                self.event(kind, value)

    def event(self, kind, value):
        line = json.dumps({"type": kind, "object": value}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, text, *arguments):
        print(f"{self.client_address[0]} {text % arguments}", flush=True)


def status(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


class ApiServer:
    """The server on a host of the lab. `put` and `remove` have the shape of Manifests', so a story can use either."""

    PORT = 6443

    def __init__(self, host, address):
        self.host, self.address = host, address
        self.state = host.directory / "objects.json"
        self.program = None
        self.start()

    @property
    def url(self):
        return f"http://{self.address}:{self.PORT}"

    def start(self):
        from .waiting import wait_until
        self.program = self.host.start("api-server", ["/usr/bin/python3", "-B", __file__, self.address, self.PORT, self.state])
        wait_until(lambda: self.request("GET", "/readyz"), 20, "the API server of the tests to answer")

    def put(self, value):
        metadata = value["metadata"]
        base, _, plural = COLLECTIONS[value["kind"]].rpartition("/")
        space = "" if value["kind"] == "Node" else f"/namespaces/{metadata.get('namespace', 'default')}"
        self.request("PUT", f"{base}{space}/{plural}/{metadata['name']}", value)

    def remove(self, kind, name, namespace="default"):
        base, _, plural = COLLECTIONS[kind].rpartition("/")
        self.request("DELETE", f"{base}/namespaces/{namespace}/{plural}/{name}")

    def request(self, method, path, value=None):
        body = json.dumps(value).encode() if value is not None else b""
        with self.host.network():
            connection = socket.create_connection((self.address, self.PORT), timeout=5)
        with connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert answer.split()[1:2] in ([b"200"], [b"201"]), f"{method} {path}: {answer[:300]!r}"
        return answer


if __name__ == "__main__":
    Handler.store = Store(pathlib.Path(sys.argv[3]))
    http.server.ThreadingHTTPServer.daemon_threads = True
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
