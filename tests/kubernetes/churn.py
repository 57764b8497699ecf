"""Objects that change all the time, and what the kernel should hold for them.

`Churn` runs on the host, beside the API server, from a seed: which objects change in which order depends on nothing else.
`expected_table` reads the objects back from the API server when all is quiet, so it does not matter which changes got through.
"""

import http.client
import random
import threading
import time

SERVICES = 12
# Endpoints that nobody has: no health check could find them, and none is wanted.
ANNOTATIONS = {"vipkeeper.io/health-check": "none"}
PORTS = ([("http", 80, 8080)], [("http", 80, 8080), ("more", 81, 8081)], [("http", 8000, 8080)])
SCHEDULERS = ("wlc", "rr", "wrr", "lc")


def vip(i):
    return f"198.18.0.{1 + i}"


def service(i, ports, scheduler="wlc"):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": f"s{i}", "namespace": "default", "annotations": {**ANNOTATIONS, "vipkeeper.io/scheduler": scheduler}},
            "spec": {"clusterIP": "None", "ports": [{"name": name, "port": port, "targetPort": target, "protocol": "TCP"}
                                                    for name, port, target in ports]}}


def endpoint_slice(i, part, numbers):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"s{i}-{part}", "namespace": "default", "labels": {"kubernetes.io/service-name": f"s{i}"}},
            "endpoints": [{"addresses": [f"10.64.{i}.{n}"], "conditions": {"ready": True}} for n in numbers],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "more", "port": 8081, "protocol": "TCP"}]}


def config_map(entries):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vip-configmap", "namespace": "kube-system"}, "data": entries}


class Churn:
    """`rate` changes a second until stopped. The Service s0 with its slices and entry stays as it is: what it has in the kernel
    may not go, whatever happens. `fixed` entries stay in the ConfigMap."""

    def __init__(self, plane, seed, rate, fixed):
        self.plane, self.rate, self.fixed = plane, rate, fixed
        self.chance = random.Random(seed)
        self.held = set(range(SERVICES))
        self.done = self.failed = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @staticmethod
    def first_objects(fixed):
        """What there is before it begins."""
        objects = [service(i, PORTS[0]) for i in range(SERVICES)] + [endpoint_slice(i, "a", range(1, 4)) for i in range(SERVICES)]
        return [*objects, config_map({**fixed, **{vip(i): f"default/s{i}" for i in range(SERVICES)}})]

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        return {"done": self.done, "failed": self.failed}

    def _run(self):
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self.rate, time.monotonic() - 0.5)
            change = self._next()
            try:
                change()
                self.done += 1
            except (OSError, http.client.HTTPException, RuntimeError):  # a server that is away: the next one, a little later
                self.failed += 1

    def _next(self):
        """A function that makes one change. Every random number is drawn before: a failure does not shift the sequence."""
        i, kind = self.chance.randrange(1, SERVICES), self.chance.random()
        part, count = self.chance.choice("ab"), self.chance.randint(0, 6)
        numbers = sorted(self.chance.sample(range(1, 12), count))
        ports, scheduler = self.chance.choice(PORTS), self.chance.choice(SCHEDULERS)
        if kind < 0.80:
            return lambda: self.plane.apply([endpoint_slice(i, part, numbers)], timeout=2)
        if kind < 0.85:
            return lambda: self.plane.delete("EndpointSlice", f"s{i}-{part}", timeout=2)
        if kind < 0.93:
            return lambda: self.plane.apply([service(i, ports, scheduler)], timeout=2)
        if kind < 0.96:
            return lambda: self.plane.delete("Service", f"s{i}", timeout=2)
        self.held ^= {i}
        entries = {**self.fixed, **{vip(j): f"default/s{j}" for j in sorted(self.held | {0})}}
        return lambda: self.plane.apply([config_map(entries)], timeout=2)


def expected_table(plane):
    """What the kernel should hold of the objects as they are: {"tcp ADDRESS:PORT": [scheduler, [real server, ...]]}; and the
    addresses that are to be held."""
    services = {item["metadata"]["name"]: item for item in plane.get("Service")["items"]}
    slices = plane.get("EndpointSlice")["items"]
    entries = plane.get("ConfigMap", "vip-configmap", "kube-system").get("data", {})
    table = {}
    for address, value in entries.items():
        item = services.get(value.split("/")[-1]) if value else None
        for port in item["spec"]["ports"] if item else []:
            reals = set()
            for one in slices:
                if one["metadata"].get("labels", {}).get("kubernetes.io/service-name") != item["metadata"]["name"]:
                    continue
                numbers = [p["port"] for p in one.get("ports") or [] if p["name"] == port["name"]]
                reals |= {f"{a}:{number}" for endpoint in one.get("endpoints") or [] for a in endpoint["addresses"] for number in numbers}
            scheduler = item["metadata"].get("annotations", {}).get("vipkeeper.io/scheduler", "wlc")
            # A port without endpoints stays its Service's, and refuses.
            table[f"{port['protocol'].lower()} {address}:{port['port']}"] = [scheduler, sorted(reals)]
    return {"table": table, "addresses": sorted(entries)}
