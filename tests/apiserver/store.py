"""The objects of the small API server (apiserver.py): what there is, its versions and changes, and the directory it comes from."""

import collections
import ctypes
import json
import os
import select
import sys
import threading
import uuid

import yaml

PLURALS = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Endpoints": ("/api/v1", "endpoints"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "Node": ("/api/v1", "nodes"),
    "Pod": ("/api/v1", "pods"),
}
KINDS = {plural: (kind, group) for kind, (group, plural) in PLURALS.items()}
CLUSTER_SCOPED = {"Node"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text):
    """The objects of a manifest, lists taken apart."""
    found = []
    for document in yaml.load_all(text, Loader=LOADER):
        if not isinstance(document, dict):
            continue
        if str(document.get("kind", "")).endswith("List") and "items" in document:
            for item in document["items"] or []:
                item.setdefault("kind", document["kind"][:-4])
                item.setdefault("apiVersion", document.get("apiVersion", "v1"))
                found.append(item)
        else:
            found.append(document)
    return [one for one in found if one.get("kind") in PLURALS]


def key_of(item):
    kind = item["kind"]
    metadata = item.setdefault("metadata", {})
    if kind not in CLUSTER_SCOPED:
        metadata.setdefault("namespace", "default")
    return kind, metadata.get("namespace", ""), str(metadata.get("name", ""))


class Store:
    """All objects, one version for all, and the changes since `oldest`."""

    def __init__(self, history):
        self.changed = threading.Condition()
        self.objects = {}  # key -> object with resourceVersion
        self.content = {}  # key -> the same without, to see what differs
        self.version = 1
        self.oldest = 1
        self.history = collections.deque()
        self.limit = history
        self.cut = 0  # counts up: watches begun before end
        self.reset = False

    def put(self, item, version=0):
        """With the lock held. `version`: at least this one."""
        key = key_of(item)
        metadata = item["metadata"]
        metadata.pop("resourceVersion", None)
        metadata.setdefault("uid", str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(key))))
        content = json.dumps(item, sort_keys=True)
        if self.content.get(key) == content:
            return
        kind = "MODIFIED" if key in self.objects else "ADDED"
        self.version = max(self.version + 1, version)
        metadata["resourceVersion"] = str(self.version)
        self.objects[key] = item
        self.content[key] = content
        self.remember(kind, key, item)

    def delete(self, key, version=0):
        item = self.objects.pop(key, None)
        if item is None:
            return False
        del self.content[key]
        self.version = max(self.version + 1, version)
        item = json.loads(json.dumps(item))
        item["metadata"]["resourceVersion"] = str(self.version)
        self.remember("DELETED", key, item)
        return True

    def remember(self, kind, key, item):
        self.history.append((self.version, kind, key, item))
        if len(self.history) > self.limit:
            self.oldest = self.history.popleft()[0]
        self.changed.notify_all()

    def compact(self):
        with self.changed:
            self.history.clear()
            self.oldest = self.version

    def end_watches(self, reset=False):
        with self.changed:
            self.cut += 1
            self.reset = reset
            self.changed.notify_all()


class Directory(threading.Thread):
    """Keeps the store as the directory is."""

    EVENTS = 0x8 | 0x80 | 0x40 | 0x200  # IN_CLOSE_WRITE, IN_MOVED_TO, IN_MOVED_FROM, IN_DELETE

    def __init__(self, path, store):
        super().__init__(daemon=True)
        self.path = path
        self.store = store
        self.files = {}  # name -> (signature, keys)
        libc = ctypes.CDLL(None, use_errno=True)
        self.inotify = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.inotify < 0 or libc.inotify_add_watch(self.inotify, path.encode(), self.EVENTS) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        self.scan(first=True)

    def run(self):
        while True:
            if select.select([self.inotify], [], [], 1.0)[0]:
                os.read(self.inotify, 1 << 16)
            self.scan()

    def scan(self, first=False):
        seen = {}
        for entry in os.scandir(self.path):
            if entry.name.endswith((".yaml", ".yml", ".json")) and not entry.name.startswith("."):
                try:
                    status = entry.stat()
                except OSError:
                    continue
                seen[entry.name] = (status.st_ino, status.st_size, status.st_mtime_ns)
        with self.store.changed:
            gone = []
            for name, signature in sorted(seen.items(), key=lambda one: one[1][2]):
                held = self.files.get(name)
                if held and held[0] == signature:
                    continue
                try:
                    with open(os.path.join(self.path, name), encoding="utf-8") as file:
                        items = documents(file.read())
                except (OSError, yaml.YAMLError) as error:
                    print(f"apiserver: {name}: {error}", file=sys.stderr, flush=True)
                    continue
                keys = {key_of(item) for item in items}
                for item in items:
                    self.store.put(item, signature[2] // 1000)
                gone += (held[1] - keys) if held else []
                self.files[name] = (signature, keys)
            for name in [name for name in self.files if name not in seen]:
                gone += self.files.pop(name)[1]
            kept = set().union(*(keys for _, keys in self.files.values())) if gone else set()
            for key in gone:
                if key not in kept:
                    self.store.delete(key)
            if first:
                self.store.version = max(self.store.version, os.stat(self.path).st_mtime_ns // 1000)
                self.store.history.clear()
                self.store.oldest = self.store.version


def wanted(key, item, kind, namespace, query):
    if key[0] != kind or (namespace and key[1] != namespace):
        return False
    field = query.get("fieldSelector", "")
    if field.startswith("metadata.name=") and key[2] != field[len("metadata.name="):].lstrip("="):
        return False
    label = query.get("labelSelector", "")
    if label:
        name, equals, value = label.partition("=")
        labels = item.get("metadata", {}).get("labels") or {}
        if name not in labels or (equals and labels[name] != value.lstrip("=")):
            return False
    return True
