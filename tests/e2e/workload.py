"""The Deployment and Service behind the VIP, and clients that ask it."""

import concurrent.futures
import dataclasses
import socket

from cluster import VIP, ask, wait_until

# Pods that are told to end go on serving until the nodes have heard of it: an endpoint that dies with its first signal loses
# requests behind any balancer.
DRAIN_SECONDS = 6


def objects(replicas):
    """One pod a node, as far as they go."""
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}}]}}
    container = {"name": "web", "image": "localhost/web:1", "imagePullPolicy": "Never",
                 # A share, and patience: the nodes have one processor between them, and starting a pod takes all of it.
                 "resources": {"requests": {"cpu": "200m"}},
                 "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 2, "timeoutSeconds": 5},
                 "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
                  "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                           "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                           "template": {"metadata": {"labels": {"app": "web"}},
                                        "spec": {"containers": [container], "terminationGracePeriodSeconds": DRAIN_SECONDS + 4, "affinity": affinity}}}}
    # By turns: wlc, the default, gives whoever is new all that comes until it has as many connections as the others have behind them.
    metadata = {"name": "web", "namespace": "default", "annotations": {"vipkeeper.io/scheduler": "rr"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata,
               "spec": {"selector": {"app": "web"}, "ports": [
                   {"name": "http", "port": 80, "targetPort": 8080}, {"name": "say", "port": 80, "targetPort": 8080, "protocol": "UDP"}]}}
    return [deployment, service]


def wait_for_pods(cluster, count, patience=180):
    """That many are ready, none is left over, and every node's kernel has exactly these behind the VIP."""
    def settled():
        return len(cluster.pods("app=web")) == count == len(cluster.all_pods("app=web"))

    wait_until(settled, patience, f"{count} web pods and no other")
    wanted = {f"{pod['status']['podIP']}:8080" for pod in cluster.pods("app=web")}
    wait_until(lambda: all(real_servers(node) == wanted for node in cluster.nodes), 60, f"{wanted} in each node's kernel")


def real_servers(node, vip=VIP, protocol="tcp"):
    found = node.ipvs().get(f"{protocol} {vip}:80")
    return set(found.reals) if found else set()


def ask_from(host, count=9, question=ask, address=VIP):
    """What `count` requests from the host are answered: [(pod, client as it sees it)]; whoever fails raises."""
    def questions():
        host.enter()
        return [question(address) for _ in range(count)]
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(questions).result()


def ask_by_datagram(address, port=80, timeout=5.0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(timeout)
        one.sendto(b"?", (address, port))
        pod, client = one.recv(2048).decode().split()
        return pod, client


def ask_from_pod(cluster, pod, count=9, address=VIP):
    """The same, from inside `pod`."""
    printed = cluster.kubectl("exec", pod["metadata"]["name"], "--", "web", address, str(count))
    answers = [tuple(line.split()) for line in printed.splitlines()]
    assert len(answers) == count, printed
    return answers


def ping(host, address=VIP):
    return " 0% packet loss" in host.run("busybox", "ping", "-c", "3", "-W", "2", address, check=False)


@dataclasses.dataclass
class Outcome:
    """Of a load: `longest` is the longest time without an answer, from its begin to its end."""

    answered: int
    failures: list
    longest: float
    names: dict
    seconds: float

    def __str__(self):
        return f"{self.answered} answered in {self.seconds:.0f} s, {len(self.failures)} failed, {self.longest:.2f} s the longest silence"


class Load:
    """A client outside, on the host, that asks the VIP so many times a second until it is told to stop."""

    def __init__(self, cluster, rate=200):
        self.cluster = cluster
        cluster.start_load(VIP, rate)

    def stop(self):
        outcome = Outcome(**self.cluster.stop_load())
        print(outcome)
        return outcome
