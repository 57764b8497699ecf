"""Bad input of every kind: one line that names the culprit and the remedy, and everything else goes on working."""

import ctypes
import os
import pathlib
import re
import subprocess

import pytest

from vklab import config_map, endpoint_slice, holds_for, service, virtual_server_text, vrrp_text, wait_until
from vklab.ipvs import Virtual
from vklab.node import CONFIGURATION, vipkeeper_program
from vklab.site import GATEWAY, VIP_DR, VIP_NAT, Site
from test_services import expected_table, manifests_of, put_endpoints, reals, settle, start_by_manifests

GOOD_ENTRIES = {VIP_NAT: "default/web", VIP_DR: "default/direct:DR", GATEWAY: ""}


def line_with(program, *words):
    """The one line of the log that has all these words."""
    def lines():
        return [line for line in program.log().splitlines() if all(word in line for word in words)]
    return wait_until(lines, 20, f"a line with {' and '.join(words)}")[0]


def problems(node, *words):
    """The problems that status reports, of which one has all these words."""
    def found():
        reported = node.live_status()["config"]["problems"]
        return reported if any(all(word in f"{p['object']} {p['message']}" for word in words) for p in reported) else None
    return wait_until(found, 20, f"a problem with {' and '.join(words)} (now: {node.live_status()['config']['problems']})")


@pytest.mark.ipvs
def test_a_bad_entry_among_good_ones_is_named_and_keeps_its_last_good_form(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))
    node = site.nodes[0]
    # One that never was good, and one that was.
    manifests.put(config_map({**GOOD_ENTRIES, "192.0.2.52": "no-slash-here", VIP_DR: "default/direct:FTP"}))
    problems(node, "192.0.2.52")
    problems(node, VIP_DR)
    line_with(node.program, "192.0.2.52")
    manifests.put(service("more", [("http", 81, 8080)]))
    manifests.put(endpoint_slice("more", site.pod_addresses, [("http", 8080)]))
    manifests.put(config_map({**GOOD_ENTRIES, "192.0.2.52": "no-slash-here", VIP_DR: "default/direct:FTP",
                              "192.0.2.53": "default/more"}))
    settle(site, {**expected_table(site.pod_addresses, site.pod_addresses),
                  "tcp 192.0.2.53:81": Virtual("wlc", 0, reals("masquerade", 8080, site.pod_addresses))})
    lab.wait_for_holder(VIP_DR)
    assert not lab.holders("192.0.2.52")
    manifests.put(config_map(GOOD_ENTRIES))
    wait_until(lambda: not node.live_status()["config"]["problems"], 20, "no problem left")


@pytest.mark.ipvs
def test_a_yaml_file_cut_in_the_middle_is_named_with_its_line_and_its_objects_stay(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    table = expected_table(site.pod_addresses, site.pod_addresses)
    settle(site, table)
    whole = "apiVersion: v1\nkind: Service\nmetadata:\n  name: later\nspec:\n  ports:\n  - {name: http, port: 81, targetPort: 8080}\n"
    manifests.put_text("later.yaml", whole)
    manifests.put(endpoint_slice("later", site.pod_addresses, [("http", 8080)]))
    manifests.put(config_map({**GOOD_ENTRIES, "192.0.2.53": "default/later"}))
    table["tcp 192.0.2.53:81"] = Virtual("wlc", 0, reals("masquerade", 8080, site.pod_addresses))
    settle(site, table)
    manifests.put_text("later.yaml", whole[:-20])
    node = site.nodes[0]
    line_with(node.program, "later.yaml:7")
    problems(node, "later.yaml")
    put_endpoints(manifests, site.pod_addresses[:1])  # the rest goes on
    table.update(expected_table(site.pod_addresses[:1], site.pod_addresses))
    settle(site, table)


@pytest.mark.ipvs
def test_a_service_that_is_missing_keeps_its_address_and_is_named(lab):
    site = Site(lab)
    manifests = start_by_manifests(site)
    manifests.put(config_map({**GOOD_ENTRIES, "192.0.2.54": "default/absent"}))
    lab.wait_for_holder("192.0.2.54")
    problems(site.nodes[0], "default/absent")
    settle(site, expected_table(site.pod_addresses, site.pod_addresses))


@pytest.mark.ipvs
def test_a_template_that_does_not_parse_is_named_and_what_runs_goes_on(lab):
    site = Site(lab, nodes=1)
    [only] = site.nodes
    manifests = manifests_of(site)
    templates = lab.directory / "templates"
    templates.mkdir()
    for file in (pathlib.Path(__file__).resolve().parents[2] / "templates").glob("*.mustache"):
        (templates / file.name).write_text(file.read_text())
    (templates / "virtual_server.mustache").write_text("virtual_server {{address} {{#broken}}\n")
    only.start_vipkeeper(manifests.directory, options=["--templates", templates])
    line_with(only.program, "virtual_server.mustache")


def test_an_unknown_flag_is_named_and_ends_with_two():
    done = subprocess.run([vipkeeper_program(), "run", "--services-configmap=a/b", "--no-such-flag=1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--no-such-flag" in done.stderr


def test_without_rights_the_line_names_the_missing_capability(lab):
    node = lab.add_node("node1", lab.add_network(), "192.0.2.11/24")

    def without_capabilities():
        for capability in range(64):
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; exec then gives none to root either

    node.start_engine(vrrp_text(100), before_exec=without_capabilities)
    line_with(node.program, "CAP_NET_")


def loaded_modules():
    """ip_vs, its schedulers and the match of iptables that asks it, as far as they are loaded now."""
    return re.findall(r"(?m)^(ip_vs\w*|xt_ipvs) ", pathlib.Path("/proc/modules").read_text())


def unload_ip_vs():
    subprocess.run(["modprobe", "-r", *sorted(loaded_modules(), reverse=True)], capture_output=True, check=False)
    return not loaded_modules()


@pytest.mark.ipvs
def test_without_ip_vs_in_the_kernel_addresses_are_held_and_the_line_names_module_and_remedy(lab):
    if not os.environ.get("LAB_INSIDE"):
        pytest.fail("unloads ip_vs from the kernel: only in the guest")
    modules = loaded_modules()
    modprobe = pathlib.Path("/proc/sys/kernel/modprobe")
    loader = modprobe.read_text()
    modprobe.write_text("/bin/false")  # or the kernel would load it again as soon as it is asked for
    try:
        # Not at the first try: the kernel takes the tables of the last test's networks down some time after those networks.
        wait_until(unload_ip_vs, 30, "ip_vs unloaded")
        site = Site(lab, nodes=1)
        [only] = site.nodes
        # `modprobe` itself may be tried by the program, and has to fail too.
        only.run(["mount", "-t", "tmpfs", "none", "/lib/modules"])
        only.start_engine(vrrp_text(100, [VIP_NAT]) + virtual_server_text(VIP_NAT, 80, [("10.2.0.101", 8080)]))
        lab.wait_for_holder(VIP_NAT, "node1")
        line_with(only.program, "ip_vs", "modprobe")
        holds_for(lambda: only.program.running and only.holds(VIP_NAT), 1, "the VIP held without IPVS")
    finally:
        lab.close()
        modprobe.write_text(loader)
        subprocess.run(["modprobe", "-a", *modules], check=True)


def test_check_judges_the_text_and_not_the_host(lab):
    node = lab.add_node("node1", lab.add_network(), "192.0.2.11/24")
    node.path(CONFIGURATION).write_text(vrrp_text(100, interface="nosuch0"))
    done = node.vipkeeper("check", "-f", CONFIGURATION, check=False)
    assert done.returncode in (0, 5), done.stderr
    node.path(CONFIGURATION).write_text(vrrp_text(100).replace("virtual_router_id 50", "virtual_router_id 500"))
    done = node.vipkeeper("check", "-f", CONFIGURATION, check=False)
    assert done.returncode in (1, 5) and re.search(r"keepalived\.conf:8:\d+: .*500", done.stdout + done.stderr)
