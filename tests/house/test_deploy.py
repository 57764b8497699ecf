"""What is applied to a cluster: it parses, its names fit each other, and it asks for the least that works."""

import re
import subprocess

import pytest
import yaml

from tree import ROOT, name, tracked

MANIFESTS = [path for path in tracked() if path.suffix in (".yaml", ".yml") and path.relative_to(ROOT).parts[0] in ("deploy", "rbac")]


class OneOfEachKey(yaml.SafeLoader):
    """PyYAML lets the last of two equal keys win; the API server's strict decoding does not."""


def unique_mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.YAMLError(f"keys that stand twice: {twice} at line {node.start_mark.line + 1}")
    return loader.construct_mapping(node, deep)


OneOfEachKey.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: unique_mapping(loader, node, True))


def documents(path):
    return [document for document in yaml.load_all(path.read_text(), OneOfEachKey) if document]


def only(kind):
    found = [document for path in MANIFESTS if "examples" not in path.parts for document in documents(path) if document["kind"] == kind]
    assert len(found) == 1, f"{len(found)} documents of kind {kind}"
    return found[0]


def daemonset():
    return only("DaemonSet")["spec"]["template"]["spec"]


def container():
    (one,) = daemonset()["containers"]
    return one


@pytest.mark.parametrize("path", MANIFESTS, ids=name)
def test_a_manifest_parses_and_has_what_every_object_has(path):
    for document in documents(path):
        assert document["apiVersion"] and document["kind"]
        # A kustomization is no object: in a file with this ending it would make `kubectl apply -f` of the folder fail.
        assert document["kind"] != "Kustomization"
        assert re.fullmatch(r"[a-z0-9][-a-z0-9.]*", document["metadata"]["name"])


@pytest.mark.parametrize("folder", ["deploy", "rbac"])
def test_the_kustomization_names_every_manifest_of_its_folder(folder):
    (kustomization,) = documents(ROOT / folder / "Kustomization")
    named = {resource for resource in kustomization["resources"] if resource.endswith(".yaml")}
    assert named == {path.name for path in MANIFESTS if path.parent == ROOT / folder}
    for resource in kustomization["resources"]:
        there = (ROOT / folder / resource).resolve()
        assert there.is_file() or (there / "Kustomization").is_file(), resource


def test_bindings_bind_the_roles_to_the_daemonsets_account():
    account = only("ServiceAccount")["metadata"]
    assert daemonset()["serviceAccountName"] == account["name"]
    assert only("DaemonSet")["metadata"]["namespace"] == account["namespace"]
    for binding, role in (("RoleBinding", "Role"), ("ClusterRoleBinding", "ClusterRole")):
        bound = only(binding)
        assert bound["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": only(role)["metadata"]["name"]}
        assert bound["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}]
    assert only("Role")["metadata"]["namespace"] == only("RoleBinding")["metadata"]["namespace"] == account["namespace"]


def rights(*kinds):
    return sorted((group, resource, verb, *rule.get("resourceNames", []))
                  for kind in kinds for rule in only(kind)["rules"]
                  for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"])


EVENTS = [("events.k8s.io", "events", "create"), ("events.k8s.io", "events", "patch")]
OPTIONAL = {"Role": EVENTS, "ClusterRole": [*EVENTS, ("", "services/status", "patch")]}


def test_the_rights_are_the_least_that_works():
    assert rights("Role", "ClusterRole") == sorted([
        *OPTIONAL["Role"], *OPTIONAL["ClusterRole"],
        ("", "configmaps", "get", "vip-configmap"), ("", "configmaps", "list", "vip-configmap"), ("", "configmaps", "watch", "vip-configmap"),
        ("", "pods", "get"),
        ("", "services", "list"), ("", "services", "watch"), ("", "nodes", "list"), ("", "nodes", "watch"),
        ("discovery.k8s.io", "endpointslices", "list"), ("discovery.k8s.io", "endpointslices", "watch")])


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_rights_that_may_be_left_out_are_rules_of_their_own(kind):
    for rule in only(kind)["rules"]:
        granted = {(group, resource, verb) for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}
        assert granted <= set(OPTIONAL[kind]) or not granted & set(OPTIONAL[kind])
    text = next(path for path in MANIFESTS if any(one["kind"] == kind for one in documents(path))).read_text()
    assert text.count("# May be left out:") == len({resource for _, resource, _ in OPTIONAL[kind]})


def test_nothing_is_written_but_events_and_status():
    assert [right for right in rights("Role", "ClusterRole") if right[2] not in ("get", "list", "watch")] == sorted(
        [*OPTIONAL["Role"], *OPTIONAL["ClusterRole"]])


def test_the_daemonset_reads_the_example_configmap_and_may():
    configmap = only("ConfigMap")["metadata"]
    argument = next(word for word in container()["args"] if word.startswith("--services-configmap="))
    assert argument.partition("=")[2] == f"{configmap['namespace']}/{configmap['name']}"
    assert [configmap["name"]] in [rule.get("resourceNames") for rule in only("Role")["rules"]]
    assert only("Role")["metadata"]["namespace"] == configmap["namespace"]


def test_the_example_configmap_keeps_to_the_grammar():
    """The program itself reads it in tests/cli; here it is for those who have none yet."""
    forms = set()
    for key, value in only("ConfigMap")["data"].items():
        mapping = yaml.load(value, OneOfEachKey)
        addresses = mapping["addresses"] if isinstance(mapping, dict) else [key]
        forms.add(type(mapping))
        assert all(re.fullmatch(r"192\.0\.2\.\d+(/\d+)?", one) for one in addresses), "an example's addresses are those for documentation"
        assert isinstance(mapping, dict) or re.fullmatch(r"|[-a-z0-9]+/[-a-z0-9]+(:(NAT|DR|PROXY))?", value)
    assert dict in forms and str in forms, "an example of each form"


def test_the_daemonset_selects_its_own_pods():
    spec = only("DaemonSet")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_the_pod_is_on_the_hosts_network_and_its_port_is_probed():
    assert daemonset()["hostNetwork"] is True
    assert daemonset()["dnsPolicy"] == "ClusterFirstWithHostNet"
    (port,) = container()["ports"]
    assert port["name"] == "http" and port["containerPort"] == port["hostPort"] == 8080
    assert container()["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}


def test_the_container_has_two_capabilities_and_no_privilege():
    context = container()["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    assert context["allowPrivilegeEscalation"] is False and "privileged" not in context
    privileged = [one["name"] for one in daemonset()["initContainers"] if one["securityContext"].get("privileged")]
    assert privileged == ["host-kernel"]


def test_every_mount_has_its_volume_and_every_volume_is_mounted():
    mounted = {mount["name"] for one in daemonset()["containers"] + daemonset()["initContainers"] for mount in one.get("volumeMounts", [])}
    assert mounted == {volume["name"] for volume in daemonset()["volumes"]}


def test_the_ownership_record_outlives_the_pod():
    volumes = {volume["name"]: volume for volume in daemonset()["volumes"]}
    (name_of_run,) = [mount["name"] for mount in container()["volumeMounts"] if mount["mountPath"] == "/run/vipkeeper"]
    assert volumes[name_of_run]["hostPath"] == {"path": "/run/vipkeeper", "type": "DirectoryOrCreate"}


def test_the_lock_of_iptables_is_the_hosts():
    """A container with a lock of its own would write a table while kube-proxy does."""
    volumes = {volume["name"]: volume for volume in daemonset()["volumes"]}
    (name_of_lock,) = [mount["name"] for mount in container()["volumeMounts"] if mount["mountPath"] == "/run/xtables.lock"]
    assert volumes[name_of_lock]["hostPath"] == {"path": "/run/xtables.lock", "type": "FileOrCreate"}


def host_kernel(tmp_path, present=(), missing=()):
    """The init container's script, run on a /proc/sys with these switches and a modprobe that knows all but some modules.
    ({switch: value afterwards}, the modules asked for, its exit code)"""
    (one,) = daemonset()["initContainers"]
    *shell, script = one["command"]
    assert shell == ["/bin/sh", "-ec"]
    tmp_path.mkdir(exist_ok=True)
    folder, asked = tmp_path / "ipv4", tmp_path / "asked"
    for switch, value in present:
        (folder / switch).parent.mkdir(parents=True, exist_ok=True)
        (folder / switch).write_text(f"{value}\n")
    (tmp_path / "modprobe").write_text("#!/bin/sh\nfor word; do case $word in -*) continue ;; esac\n"
                                       f"echo $word >>{asked}\ncase ' {' '.join(missing)} ' in *\" $word \"*) bad=1 ;; esac; done\n"
                                       "exit ${bad:-0}\n")
    (tmp_path / "modprobe").chmod(0o755)
    done = subprocess.run([*shell, script.replace("/proc/sys/net/ipv4", str(folder))], capture_output=True, check=False,
                          env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    after = {switch: (folder / switch).read_text().strip() for switch, _ in present}
    return after, asked.read_text().split() if asked.exists() else [], done.returncode


def needed_switches():
    """Those that the program itself sets where it may, below /proc/sys/net/ipv4."""
    text = (ROOT / "engine/net/kernel_switches.cpp").read_text()
    return sorted(name.replace(".", "/") for name in re.findall(r'Needed\{"net\.ipv4\.([\w.]+)"', text))


def test_the_init_container_turns_on_every_switch_that_the_program_needs(tmp_path):
    off = [(switch, 0) for switch in needed_switches()]
    after, _, code = host_kernel(tmp_path, off)
    assert len(after) >= 4 and set(after.values()) == {"1"} and code == 0


def test_of_the_modules_only_ip_vs_has_to_be_there(tmp_path):
    switches = [(switch, 1) for switch in needed_switches()]
    _, asked, code = host_kernel(tmp_path / "all", switches)
    assert code == 0 and "ip_vs" not in asked and {"nf_conntrack_netlink", "nft_chain_nat"} <= set(asked) and "xt_set" not in asked
    # Where nftables is not all there, what iptables needs.
    _, more, code = host_kernel(tmp_path / "older", switches, missing=["nft_chain_nat"])
    assert code == 0 and {"xt_set", "xt_ipvs", "ip6table_nat"} <= set(more) - set(asked)
    assert host_kernel(tmp_path / "none", switches, missing=more)[1:] == (more, 0)
    without_ipvs = [(switch, value) for switch, value in switches if not switch.startswith("vs/")]
    _, asked, code = host_kernel(tmp_path / "no-ipvs", without_ipvs, missing=["ip_vs"])
    assert asked == ["ip_vs"] and code != 0


def test_the_pod_knows_its_name():
    environment = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container()["env"]}
    assert environment == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}


def test_the_pod_is_not_evicted_and_not_throttled():
    assert daemonset()["priorityClassName"] == "system-node-critical"
    assert "limits" not in container()["resources"]
    assert daemonset()["terminationGracePeriodSeconds"] >= 10


def test_containers_use_the_image_that_the_kustomization_tags():
    (kustomization,) = documents(ROOT / "deploy/Kustomization")
    (image,) = kustomization["images"]
    assert {one["image"] for one in daemonset()["containers"] + daemonset()["initContainers"]} == {image["name"]}
    assert f"VERSION {image['newTag']} " in (ROOT / "CMakeLists.txt").read_text()
