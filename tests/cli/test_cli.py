"""The program as a newcomer meets it: usage, exit codes, and messages that name the culprit. No root, no network.

VIPKEEPER names the program (default: build/vipkeeper).
"""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("VIPKEEPER", str(ROOT / "build" / "vipkeeper"))
SEEDS = ROOT / "tests" / "engine" / "config" / "seeds"
DEMO = ROOT / "deploy" / "examples" / "demo"

RUN_FLAGS = ["--services-configmap=default/vip-configmap", "--node-name=node1", "--node-ip=10.20.0.1", "--iface=eth0"]


def vipkeeper(*arguments, timeout=30):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def objects(tmp_path):
    """A directory of objects with one good entry, and a function that adds files to it."""
    folder = tmp_path / "objects"
    folder.mkdir()

    def write(name, text):
        (folder / name).write_text(text)

    write("node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: node1}\n"
          "status: {addresses: [{type: InternalIP, address: 10.20.0.1}]}\n")
    write("web.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
          "spec: {ports: [{name: http, port: 80, protocol: TCP, targetPort: 8080}]}\n")
    write("slice.yaml", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
          "metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}\n"
          "addressType: IPv4\nports: [{name: http, protocol: TCP, port: 8080}]\n"
          "endpoints: [{addresses: [10.2.0.5]}, {addresses: [10.2.0.6]}]\n")
    write("vips.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vip-configmap, namespace: default}\n"
          "data: {10.20.0.50: default/web}\n")
    write.folder = folder
    return write


def render(objects, *more):
    return vipkeeper("render", f"--manifests={objects.folder}", *RUN_FLAGS, *more)


def test_help_lists_the_commands_and_exits_0():
    result = vipkeeper("--help")
    assert result.returncode == 0
    for command in ("run", "engine", "check", "render", "plan", "status", "version"):
        assert command in result.stdout


@pytest.mark.parametrize("command", ["run", "engine", "check", "render", "plan", "status", "version"])
def test_each_command_has_help(command):
    result = vipkeeper(command, "--help")
    assert result.returncode == 0
    assert f"vipkeeper {command}" in result.stdout


def test_version_is_said_as_text_and_json():
    text = vipkeeper("version")
    assert text.returncode == 0 and text.stdout.startswith("vipkeeper ")
    version = json.loads(vipkeeper("version", "--json").stdout)["version"]
    assert version in text.stdout


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        (["frobnicate"], "frobnicate"),
        (["--no-such-flag"], "--no-such-flag"),
        (["run", "--no-such-flag=1"], "--no-such-flag"),
        (["run", "--vrid=0", "--services-configmap=a/b"], "--vrid"),
        (["run", "--vrid=256", "--services-configmap=a/b"], "--vrid"),
        (["run", "--http-port=70000", "--services-configmap=a/b"], "--http-port"),
        (["run", "--advert-interval=0", "--services-configmap=a/b"], "--advert-interval"),
        (["run"], "--services-configmap"),
        (["run", "--services-configmap=no-slash"], "no-slash"),
        (["run", "--services-configmap=a/b", "--node-ip=10.0.0.300"], "10.0.0.300"),
        (["run", "--services-configmap=a/b", "--service-cidr=10.96.0.0/40"], "10.96.0.0/40"),
        (["check", "--frob"], "--frob"),
        (["status", "--frob"], "--frob"),
        (["engine"], "-f"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_culprit(arguments, culprit):
    result = vipkeeper(*arguments)
    assert result.returncode == 2, result
    assert culprit in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 12


def test_status_where_nothing_runs_says_which_socket(tmp_path):
    result = vipkeeper("status", f"--run-dir={tmp_path}")
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr and "--run-dir" in result.stderr


def test_check_accepts_every_keepalived_conf_of_the_seeds():
    seeds = sorted(SEEDS.glob("*.conf"))
    assert len(seeds) >= 4
    for seed in seeds:
        result = vipkeeper("check", "-f", seed)
        assert result.returncode in (0, 5), result.stdout


def test_check_of_a_missing_file_is_1_and_names_it():
    result = vipkeeper("check", "-f", "/nonexistent/keepalived.conf")
    assert result.returncode == 1
    assert "/nonexistent/keepalived.conf" in result.stderr


def test_check_says_file_line_and_column(tmp_path):
    file = tmp_path / "broken.conf"
    file.write_text("vrrp_instance A {\n  interface eth0\n  virtual_router_id 300\n}\n")
    result = vipkeeper("check", "-f", file)
    assert result.returncode == 1
    assert f"{file}:3:" in result.stdout and "300" in result.stdout


def test_render_prints_what_run_would_feed_the_engine(objects, tmp_path):
    result = render(objects)
    assert (result.returncode, result.stderr) == (0, "")
    for line in ("vrrp_instance vips {", "virtual_router_id 50", "priority 100", "10.20.0.50",
                 "virtual_server 10.20.0.50 80 {", "real_server 10.2.0.5 8080 {", "connect_port 8080"):
        assert line in result.stdout
    shown = tmp_path / "keepalived.conf"
    shown.write_text(result.stdout)
    assert vipkeeper("check", "-f", shown).stdout == ""


def test_render_reports_a_bad_entry_and_prints_the_good_ones(objects):
    objects("vips.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vip-configmap, namespace: default}\n"
            "data: {10.20.0.50: default/web, 10.20.0.51: nonsense, 10.20.0.300: default/web}\n")
    result = render(objects)
    assert result.returncode == 0
    assert "virtual_server 10.20.0.50 80" in result.stdout
    assert "10.20.0.51" in result.stderr and "10.20.0.300" in result.stderr
    assert render(objects, "--strict").returncode == 5


def test_render_of_a_yaml_file_cut_in_the_middle_names_file_and_line(objects):
    objects("cut.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: cut\n")
    result = render(objects)
    assert result.returncode == 0
    assert "cut.yaml:" in result.stderr
    assert "virtual_server 10.20.0.50 80" in result.stdout


def test_a_template_that_does_not_parse_is_named(objects, tmp_path):
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "virtual_server.mustache").write_text("virtual_server {{address {\n")
    result = render(objects, f"--templates={templates}")
    assert result.returncode == 1
    assert "virtual_server.mustache" in result.stderr


def test_own_templates_replace_only_what_they_name(objects, tmp_path):
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "globals.mustache").write_text("global_defs {\n  router_id OWN\n  vrrp_version 3\n}\n")
    result = render(objects, f"--templates={templates}")
    assert result.returncode == 0, result.stderr
    assert "router_id OWN" in result.stdout
    assert "virtual_server 10.20.0.50 80" in result.stdout


def test_an_existing_manifests_flags_are_taken_and_retired_ones_warned_about(objects):
    result = render(objects, "--logtostderr", "--v=2", "-v=2", "--use-unicast=false", "--watch-all-namespaces", "positional")
    assert result.returncode == 0
    assert "--watch-all-namespaces" in result.stderr
    assert "unicast_peer" not in result.stdout


def test_plan_without_rights_or_ip_vs_says_so_or_prints_operations(objects):
    result = vipkeeper("plan", f"--manifests={objects.folder}", *RUN_FLAGS, f"--run-dir={objects.folder}/run")
    assert result.returncode in (0, 1)
    assert "add virtual service" in result.stdout or "IPVS" in result.stderr or "ip_vs" in result.stderr


def test_the_demo_objects_render_without_problems():
    result = vipkeeper("render", f"--manifests={DEMO}", *RUN_FLAGS, "--strict")
    assert result.returncode in (0, 5), result.stderr
    assert result.stdout.count("virtual_server ") >= 2
