"""The program as a newcomer meets it: usage, exit codes, and messages that name the culprit. No root, no network.

VIPKEEPER names the program (default: build/vipkeeper).
"""

import fcntl
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("VIPKEEPER", str(ROOT / "build" / "vipkeeper"))
SEEDS = ROOT / "tests" / "engine" / "config" / "seeds"
CASES = ROOT / "tests" / "engine" / "config" / "cases"
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


GOOD = "vrrp_instance {0} {{\n  interface eth0\n  virtual_router_id {1}\n  virtual_ipaddress {{\n    10.20.0.{1}\n  }}\n}}\n"
NO_VRID = "vrrp_instance {0} {{\n  interface eth0\n  virtual_ipaddress {{\n    10.20.0.9\n  }}\n}}\n"


@pytest.mark.parametrize("text, code", [
    (GOOD.format("A", 1), 0),
    ("", 0),
    (GOOD.format("A", 1) + NO_VRID.format("B"), 5),
    (GOOD.format("A", 1).replace("eth0", "eth0 eth1"), 5),
    (NO_VRID.format("B"), 1),
    ("}\n", 1),
], ids=["good", "empty", "a block left out", "a word ignored", "nothing usable", "no configuration"])
def test_check_tells_good_from_what_runs_with_problems_and_what_does_not_run(tmp_path, text, code):
    file = tmp_path / "keepalived.conf"
    file.write_text(text)
    result = vipkeeper("check", "-f", file)
    assert result.returncode == code
    assert bool(result.stdout) == (code != 0)
    assert ("nothing of it can be used" in result.stderr) == (code == 1)


def test_check_follows_includes_and_puts_in_what_is_defined(tmp_path):
    """In the order of the text: what is defined above an include holds in it, what it defines holds below."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    main = tmp_path / "keepalived.conf"
    main.write_text("$VRID=7\ninclude conf.d/*.conf\n" + GOOD.format("A", 1).replace("10.20.0.1", "${NET}.300")
                    + "includem /nonexistent/*.conf\ninclude /nonexistent/*.conf\n")
    (folder / "a.conf").write_text("$NET=10.20.0 # ours\n" + GOOD.format("B", 2).replace("r_id 2", "r_id $VRID0"))
    (folder / "b.conf").write_text(GOOD.format("C", 3).replace("r_id 3", "r_id ${VRID}00") + "include ../keepalived.conf\n")
    result = vipkeeper("check", "-f", main)
    assert result.returncode == 1, result.stdout
    for line in (f"{folder}/a.conf:4:21: error: 'virtual_router_id $VRID0'",
                 f"{folder}/b.conf:3:21: error: 'virtual_router_id 700'",
                 f"{main}:7:5: error: '10.20.0.300' is not an IP address",
                 f"{folder}/b.conf:8:1: error: '{folder}/../keepalived.conf' is left out: it includes itself",
                 f"{main}:10:1: error: 'include /nonexistent/*.conf' finds no file",
                 f"{main}:11:1: warning: 'include /nonexistent/*.conf' finds no file"):
        assert line in result.stdout, f"{line}\n{result.stdout}"
    (folder / "b.conf").unlink()
    main.write_text("include \"{conf.d,none}/a.conf\"\n")
    assert vipkeeper("check", "-f", main).returncode == 1
    (folder / "a.conf").write_text(GOOD.format("B", 2))
    assert vipkeeper("check", "-f", main).returncode == 0


@pytest.mark.parametrize("name, code", [("a11_include_none.conf", 5), ("a12_variable.conf", 0)])
def test_check_runs_a_file_of_the_cases_that_needs_the_whole_language(name, code):
    result = vipkeeper("check", "-f", CASES / name)
    assert result.returncode == code
    assert "error" not in result.stdout


@pytest.fixture
def engine(tmp_path):
    """Starts `engine --dry-run` on a text; gives the process, its file, and what its status says."""
    file = tmp_path / "keepalived.conf"
    started = []

    def start(text):
        file.write_text(text)
        log = open(tmp_path / "log", "w")
        started.append(subprocess.Popen([PROGRAM, "engine", "-f", file, "--dry-run", f"--run-dir={tmp_path}/run"],
                                        stdout=log, stderr=subprocess.STDOUT))
        return started[-1], file

    def log():
        return (tmp_path / "log").read_text()

    def wait_for(look):
        """What `look` gives, once it gives something."""
        deadline = time.monotonic() + 20
        while not (seen := look()):
            assert time.monotonic() < deadline, log()
            time.sleep(0.05)
        return seen

    def status(condition):
        def look():
            shown = vipkeeper("status", "--json", f"--run-dir={tmp_path}/run")
            return json.loads(shown.stdout) if shown.returncode == 0 and condition(json.loads(shown.stdout)) else None
        return wait_for(look)

    start.status, start.log, start.wait_for = status, log, wait_for
    yield start
    for process in started:
        process.kill()
        process.wait()


def routers(status):
    return {router["name"]: router["vrid"] for router in status["virtual_routers"]}


def errors(status):
    return [f"{problem['object']} {problem['message']}" for problem in status["config"]["problems"]]


def test_an_engine_runs_what_is_usable_and_says_the_rest_until_it_is_mended(engine):
    process, file = engine(GOOD.format("A", 1) + NO_VRID.format("B"))
    shown = engine.status(lambda status: routers(status) == {"A": 1})
    assert any(f"{file}:8:15" in line and "vrrp_instance B is left out" in line for line in errors(shown))

    # A stays as it runs, B comes, C has nothing to stay as.
    file.write_text(NO_VRID.format("A") + GOOD.format("B", 2) + NO_VRID.format("C"))
    process.send_signal(signal.SIGHUP)
    shown = engine.status(lambda status: routers(status) == {"A": 1, "B": 2})
    assert any("vrrp_instance A stays as it runs" in line for line in errors(shown))
    assert any("vrrp_instance C is left out" in line for line in errors(shown))

    # Nothing usable: nothing changes, and status says that too.
    file.write_text(NO_VRID.format("D"))
    process.send_signal(signal.SIGHUP)
    shown = engine.status(lambda status: any("vrrp_instance D is left out" in line for line in errors(status)))
    assert routers(shown) == {"A": 1, "B": 2}
    assert any("vrrp_instance A stays as it runs" in line for line in errors(shown))

    file.write_text(GOOD.format("A", 3) + GOOD.format("B", 2))
    process.send_signal(signal.SIGHUP)
    shown = engine.status(lambda status: routers(status) == {"A": 3, "B": 2})
    assert not any("keepalived.conf" in line for line in errors(shown))


def test_a_second_instance_on_a_run_directory_ends_before_it_touches_anything(tmp_path):
    file = tmp_path / "keepalived.conf"
    file.write_text(GOOD.format("A", 1))
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with open(run_dir / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = vipkeeper("engine", "-f", file, f"--run-dir={run_dir}")
    assert ended.returncode == 1
    assert f"{run_dir}: another vipkeeper runs there" in ended.stdout + ended.stderr
    assert sorted(path.name for path in run_dir.iterdir()) == ["lock"]


def test_an_engine_has_its_control_socket_as_soon_as_the_run_directory_takes_one(engine, tmp_path):
    (tmp_path / "run").write_text("in the way")
    engine(GOOD.format("A", 1))
    engine.wait_for(lambda: "control socket" in engine.log())
    (tmp_path / "run").unlink()
    (tmp_path / "run").mkdir()
    engine.status(lambda status: routers(status) == {"A": 1})


def test_an_engine_with_nothing_usable_ends_with_1(engine, tmp_path):
    process, _ = engine(NO_VRID.format("A"))
    assert process.wait(timeout=20) == 1
    assert "nothing of it can be used" in (tmp_path / "log").read_text()


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


EVERY_FLAG_OF_THE_ORIGINAL = [
    # kube-keepalived-vip's own, at their defaults.
    "--apiserver-host=", "--kubeconfig=", "--watch-namespace=", "--use-unicast=false", "--proxy-protocol-mode=false", "--vrid=50",
    "--http-port=8080", "--release-vips=true",
]

SAID_TO_MEAN_NOTHING = [
    # glog's.
    ["--vmodule=x=2"], ["--vmodule", "x=2,y=3"], ["--stderrthreshold=2"], ["--stderrthreshold", "ERROR"],
    ["--log_backtrace_at=file.go:12"], ["--log_dir=/tmp/x"], ["--log_dir="],
    # Those of its ancestor in kubernetes/contrib, kubectl's client flags among them.
    ["--use-kubernetes-cluster-service"], ["--use-kubernetes-cluster-service=false"], ["--watch-all-namespaces"],
    ["--watch-all-namespaces=false"], ["--watch-all-namespaces=true"], ["--vrrp-version=2"], ["--vrrp-version", "3"],
    ["--password=secret"], ["--server=http://10.0.0.1:8080"], ["-s", "http://10.0.0.1:8080"], ["--namespace=default"],
    ["--cluster=c"], ["--user=u"], ["--username=u"], ["--context=c"], ["--api-version=v1"], ["--certificate-authority=/ca"],
    ["--client-certificate=/c"], ["--client-key=/k"], ["--token=secret"], ["--insecure-skip-tls-verify"],
    ["--insecure-skip-tls-verify=true"],
]


@pytest.fixture
def two_nodes(objects):
    objects("other.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: node2}\n"
            "status: {addresses: [{type: InternalIP, address: 10.20.0.2}]}\n")
    return objects


def test_every_flag_of_the_original_is_taken_at_its_default_without_a_word(objects):
    result = render(objects, *EVERY_FLAG_OF_THE_ORIGINAL)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == render(objects).stdout


@pytest.mark.parametrize("flags", [["--logtostderr"], ["--logtostderr=false"], ["--alsologtostderr=true"], ["-v", "3"], ["-v=3"],
                                   ["-v3"], ["--v=3"], ["--v", "10"]], ids=" ".join)
def test_glog_flags_whose_meaning_is_kept_are_taken_without_a_word(objects, flags):
    result = render(objects, *flags)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("flags", SAID_TO_MEAN_NOTHING, ids=" ".join)
def test_a_retired_flag_is_taken_with_one_warning_that_names_it(objects, flags):
    result = render(objects, *flags, "--vrid=77")
    assert result.returncode == 0, result.stderr
    (warning,) = result.stderr.splitlines()
    name = {"-s": "--server"}.get(flags[0], flags[0].partition("=")[0])
    assert warning.startswith(f"warning: {name} ") and "no effect" in warning
    assert "secret" not in result.stderr
    assert "virtual_router_id 77" in result.stdout, "the flag after it was taken for its value"


@pytest.mark.parametrize("word, unicast", [(word, True) for word in ("true", "True", "TRUE", "t", "T", "1")]
                         + [(word, False) for word in ("false", "False", "FALSE", "f", "F", "0")])
def test_a_switch_takes_the_words_that_go_takes(two_nodes, word, unicast):
    result = render(two_nodes, f"--use-unicast={word}")
    assert (result.returncode, result.stderr) == (0, "")
    assert ("unicast_peer" in result.stdout) == unicast


@pytest.mark.parametrize("flags, expected", [
    # A word behind a switch is a positional argument, and those are ignored: the switch is on.
    (["--use-unicast", "false"], ["unicast_peer", "10.20.0.2"]),
    (["ignored", "--use-unicast", "as", "well"], ["unicast_peer"]),
    (["--vrid", "179"], ["virtual_router_id 179"]),
    (["--vrid=7", "--vrid=8"], ["virtual_router_id 8"]),
    (["--vrid=255"], ["virtual_router_id 255"]),
    (["--iface", "bond0.7"], ["interface bond0.7"]),
    # An empty value does not take what stands behind it.
    (["--watch-namespace=", "--vrid=9"], ["virtual_router_id 9", "virtual_server 10.20.0.50 80"]),
    (["--apiserver-host=", "--kubeconfig=", "--vrid=9"], ["virtual_router_id 9"]),
    (["--http-port", "0"], ["virtual_router_id 50"]),
    (["--http-port=65535"], ["virtual_router_id 50"]),
    (["--release-vips=false"], ["virtual_router_id 50"]),
    (["--release-vips", "false"], ["virtual_router_id 50"]),
    (["--", "--use-unicast"], ["virtual_router_id 50"]),
], ids=lambda value: " ".join(value))
def test_flags_are_read_as_pflag_reads_them(two_nodes, flags, expected):
    result = render(two_nodes, *flags)
    assert (result.returncode, result.stderr) == (0, "")
    for text in expected:
        assert text in result.stdout


@pytest.mark.parametrize("flag", ["--vrid=", "--vrid=0", "--vrid=256", "--vrid=-1", "--vrid=x", "--http-port=65536", "--http-port=-1",
                                  "--use-unicast=maybe", "--advert-interval=41"])
def test_values_that_cannot_be_are_wrong_usage(objects, flag):
    """--vrid=0 is among them: the original took it, and no keepalived runs with it."""
    result = render(objects, flag)
    assert result.returncode == 2
    assert flag.partition("=")[0] in result.stderr


def test_priority_and_router_are_those_of_the_original_on_the_wire(two_nodes):
    """100 and the rank by address, VRID 50, version 3, one instance that does not preempt, addresses of /32."""
    text = render(two_nodes).stdout
    for line in ("vrrp_version 3", "vrrp_instance vips {", "state BACKUP", "virtual_router_id 50", "priority 100", "nopreempt",
                 "advert_int 1", "10.20.0.50/32"):
        assert f"{line}\n" in text
    second = vipkeeper("render", f"--manifests={two_nodes.folder}", "--services-configmap=default/vip-configmap", "--node-name=node2",
                       "--iface=eth0").stdout
    assert "priority 101\n" in second


def test_the_environment_of_the_original_is_read(two_nodes, monkeypatch):
    two_nodes("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: me, namespace: kube-system}\nspec: {nodeName: node2}\n")
    monkeypatch.setenv("POD_NAME", "me")
    monkeypatch.setenv("POD_NAMESPACE", "kube-system")
    monkeypatch.setenv("KEEPALIVED_NOTIFY", "/etc/notify.sh")
    result = vipkeeper("render", f"--manifests={two_nodes.folder}", "--services-configmap=default/vip-configmap", "--iface=eth0")
    assert (result.returncode, result.stderr) == (0, "")
    assert "priority 101\n" in result.stdout and "notify /etc/notify.sh\n" in result.stdout


def test_an_extended_entry_is_rendered_and_what_is_not_available_yet_is_said(objects):
    objects("vips.yaml", """apiVersion: v1
kind: ConfigMap
metadata: {name: vip-configmap, namespace: default}
data:
  web: |
    addresses: [10.20.0.60/24, "2001:db8::60/64"]
    interface: lo
    services:
    - service: default/web
      ports: [http]
      method: TUN
      scheduler: mh
      persistence: 30m
      healthCheck: {type: tcp, port: 8081, interval: 9s, timeout: 2s, retries: 2, retryInterval: 1s}
  typo: |
    adresses: 10.20.0.61
  10.20.0.50: default/web
""")
    result = render(objects)
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        'error: ConfigMap default/vip-configmap key typo: unknown field "adresses": did you mean addresses?; the entry is left out',
        'error: ConfigMap default/vip-configmap key typo: addresses: missing: the key "typo" is not an address, so give at least one; '
        "the entry is left out",
        "error: ConfigMap default/vip-configmap key web: IPv6 addresses are not available yet: 2001:db8::60 left out, the rest of the "
        "entry is served",
        "warning: ConfigMap default/vip-configmap key web: TUN cannot change ports: port http (80/tcp) of Service default/web reaches "
        "the endpoints on 80, they serve 8080; make targetPort the port, or use NAT",
    ]
    assert "    10.20.0.60/24 dev lo\n" in result.stdout
    assert "  lvs_sched mh\n  lvs_method TUN\n  persistence_timeout 1800\n  protocol TCP\n" in result.stdout
    assert "      connect_port 8081\n      connect_timeout 2\n      retry 2\n      delay_before_retry 1\n" in result.stdout
    checked = objects.folder / "keepalived.conf"
    checked.write_text(result.stdout)
    assert vipkeeper("check", "-f", checked).returncode == 0
    assert render(objects, "--strict").returncode == 5


def test_plan_without_rights_or_ip_vs_says_so_or_prints_operations(objects):
    result = vipkeeper("plan", f"--manifests={objects.folder}", *RUN_FLAGS, f"--run-dir={objects.folder}/run")
    assert result.returncode in (0, 1)
    assert "add virtual service" in result.stdout or "IPVS" in result.stderr or "ip_vs" in result.stderr


def test_the_example_configmap_is_taken_without_a_word_about_its_entries(objects):
    example = (ROOT / "deploy" / "configmap.yaml").read_text()
    objects("vips.yaml", example.replace("namespace: kube-system", "namespace: default"))
    objects("web.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: echoheaders}\nspec: {ports: [{name: http, port: 80}]}\n")
    objects("slice.yaml", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e-1, labels: "
            "{kubernetes.io/service-name: echoheaders}}\naddressType: IPv4\nports: [{name: http, port: 80}]\n"
            "endpoints: [{addresses: [10.2.0.5]}]\n")
    result = render(objects)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("virtual_server 192.0.2.") == 3 and "lvs_sched mh" in result.stdout


def test_the_demo_objects_render_without_problems():
    result = vipkeeper("render", f"--manifests={DEMO}", *RUN_FLAGS, "--strict")
    assert result.returncode in (0, 5), result.stderr
    assert result.stdout.count("virtual_server ") >= 2
