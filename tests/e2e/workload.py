"""The Deployment and Service behind the VIP, and clients that ask it."""

import concurrent.futures
import multiprocessing
import threading
import time

from cluster import VIP, ask, wait_until

# Pods that are told to end go on serving until the nodes have heard of it: an endpoint that dies with its first signal loses
# requests behind any balancer.
DRAIN_SECONDS = 6


def objects(replicas, spread=False):
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}}]}}
    container = {"name": "web", "image": "localhost/web:1", "imagePullPolicy": "Never",
                 "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 2},
                 "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
                  "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                           "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                           "template": {"metadata": {"labels": {"app": "web"}},
                                        "spec": {"containers": [container], "terminationGracePeriodSeconds": DRAIN_SECONDS + 4,
                                                 **({"affinity": affinity} if spread else {})}}}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
               "spec": {"selector": {"app": "web"}, "ports": [
                   {"name": "http", "port": 80, "targetPort": 8080}, {"name": "say", "port": 80, "targetPort": 8080, "protocol": "UDP"}]}}
    return [deployment, service]


def wait_for_pods(cluster, count, patience=180):
    """That many are ready, none is left over, and every node's kernel has exactly these behind the VIP."""
    def settled():
        pods = cluster.pods("app=web")
        everything = cluster.api.get("/api/v1/namespaces/default/pods?labelSelector=app%3Dweb")["items"]
        return len(pods) == count == len(everything)
    wait_until(settled, patience, f"{count} web pods and no other")


def wait_for_endpoints(cluster, patience=60):
    wanted = {f"{pod['status']['podIP']}:8080" for pod in cluster.pods("app=web")}
    wait_until(lambda: all(real_servers(node) == wanted for node in cluster.nodes), patience, f"{wanted} in each node's kernel")


def real_servers(node, vip=VIP, protocol="TCP"):
    found, inside = set(), False
    for line in node.run("ipvsadm", "-Ln").splitlines():
        words = line.split()
        if words[:1] == ["->"]:
            if inside:
                found.add(words[1])
        else:
            inside = words[:2] == [protocol, f"{vip}:80"]
    return found


def ask_from(host, count=9, address=VIP):
    """What `count` requests from the host are answered: [(pod, client as it sees it)]; whoever fails raises."""
    def questions():
        host.enter()
        return [ask(address) for _ in range(count)]
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(questions).result()


class Load:
    """A process that asks the VIP so many times a second, from the host, until it is told to stop."""

    def __init__(self, host, rate=200, threads=20, address=VIP):
        self.ending, here = multiprocessing.Event(), multiprocessing.Pipe(duplex=False)
        self.results = here[0]
        self.process = multiprocessing.Process(target=self._run, args=(host, rate, threads, address, here[1]), daemon=True)
        self.process.start()

    def _run(self, host, rate, threads, address, results):
        host.enter()
        answered, failures, lock = [], [], threading.Lock()
        begin = time.monotonic()

        def work(number):
            asked = 0
            while not self.ending.is_set():
                due = begin + (asked * threads + number) / rate
                delay = due - time.monotonic()
                if delay > 0:
                    time.sleep(delay)
                asked += 1
                started = time.monotonic()
                try:
                    pod, _ = ask(address, timeout=10)
                    with lock:
                        answered.append((time.monotonic(), pod))
                except OSError as error:
                    with lock:
                        failures.append(f"{started - begin:.2f} s: {error!r} after {time.monotonic() - started:.2f} s")

        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        answered.sort()
        longest = max((b[0] - a[0] for a, b in zip(answered, answered[1:])), default=0)
        results.send((len(answered), failures, longest, sorted({pod for _, pod in answered}), time.monotonic() - begin))

    def stop(self):
        """(answered, [failures], longest time without an answer, pods that answered, seconds)"""
        self.ending.set()
        found = self.results.recv()
        self.process.join()
        return found


def ask_from_pod(cluster, pod, address=VIP):
    """The name of the pod that answers a request from inside `pod`."""
    return cluster.kubectl("exec", pod["metadata"]["name"], "--", "web", address).split()[0]


def ping(host, address=VIP):
    return " 0% packet loss" in host.run("busybox", "ping", "-c", "3", "-W", "2", address, check=False)
