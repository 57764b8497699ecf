"""The Deployment and Service behind the VIP, and clients that ask it."""

import concurrent.futures
import os
import pathlib
import subprocess

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
    """A program (load.c) that asks the VIP so many times a second, from the host, until it is told to stop."""

    def __init__(self, host, rate=200, address=VIP):
        self.process = subprocess.Popen([pathlib.Path(os.environ["E2E_IMAGES"]) / "load", address, "80", str(rate)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=host.enter)

    def stop(self):
        """(answered, [failures], longest time without an answer, seconds)"""
        self.process.terminate()
        *failures, last = self.process.communicate(timeout=60)[0].splitlines()
        words = last.split()
        assert words[::2] == ["answered", "failed", "longest", "seconds"], last
        return int(words[1]), failures, float(words[5]), float(words[7])


def ask_from_pod(cluster, pod, address=VIP):
    """The name of the pod that answers a request from inside `pod`."""
    return cluster.kubectl("exec", pod["metadata"]["name"], "--", "web", address).split()[0]


def ping(host, address=VIP):
    return " 0% packet loss" in host.run("busybox", "ping", "-c", "3", "-W", "2", address, check=False)
