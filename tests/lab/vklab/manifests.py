"""Kubernetes objects as files: what `vipkeeper run --manifests DIR` reads, one object a file."""

import json
import re


class Manifests:
    """A directory of objects. `put` replaces an object's file by rename, as careful writers do."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def put(self, value):
        """Writes one object (JSON, which is YAML); returns the file."""
        metadata = value["metadata"]
        path = self.directory / f"{value['kind'].lower()}-{metadata.get('namespace', 'default')}-{metadata['name']}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(value))
        new.rename(path)
        return path

    def put_text(self, name, text):
        """Writes a file as it is, good or bad."""
        path = self.directory / name
        new = self.directory / f".{name}.new"
        new.write_text(text)
        new.rename(path)
        return path

    def remove(self, kind, name, namespace="default"):
        (self.directory / f"{kind.lower()}-{namespace}-{name}.json").unlink()


def config_map(entries, name="vip-configmap", namespace="default"):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": entries}


def node(name, address):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"addresses": [{"type": "InternalIP", "address": address}],
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def service(name, ports, namespace="default", cluster_ip="None", **options):
    """`ports`: (name, port, target port) or (name, port, target port, protocol). `options`: annotations vipkeeper.io/..."""
    annotations = {"annotations": {f"vipkeeper.io/{option.replace('_', '-')}": text for option, text in options.items()}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace, **(annotations if options else {})},
            "spec": {"clusterIP": cluster_ip, "ports": [
                {"name": n, "port": port, "targetPort": target, "protocol": protocol[0] if protocol else "TCP"}
                for n, port, target, *protocol in ports]}}


def endpoint_slice(service_name, addresses, ports, namespace="default", suffix="1", nodes=None):
    """`addresses`: texts, or (text, conditions). `ports`: (name, port) or (name, port, protocol). `nodes`: {address: its node}."""
    endpoints = [{"addresses": [a], "conditions": {"ready": True}} if isinstance(a, str) else
                 {"addresses": [a[0]], "conditions": a[1]} for a in addresses]
    for endpoint in endpoints:
        if name := (nodes or {}).get(endpoint["addresses"][0]):
            endpoint["nodeName"] = name
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{service_name}-{suffix}", "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": service_name}},
            "endpoints": endpoints,
            "ports": [{"name": n, "port": port, "protocol": protocol[0] if protocol else "TCP"} for n, port, *protocol in ports]}


def templates_without_checks(original, directory):
    """The built-in templates but for the health checks, for real servers that do not exist."""
    directory.mkdir()
    for file in original.glob("*.mustache"):
        text, found = re.subn(r"(?s)\{\{#tcp_check\}\}.*?\{\{/tcp_check\}\}\n", "", file.read_text())
        assert found == (file.name == "virtual_server.mustache"), f"{file} has changed: {found} blocks of checks"
        (directory / file.name).write_text(text)
    return directory
