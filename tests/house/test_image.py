"""The Dockerfile against the program: it cannot be built in every place where the tests run, so it is read."""

import json
import re
import subprocess
from functools import cache

from tree import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROGRAM = ROOT / "build/vipkeeper"


def stages():
    return re.split(r"(?m)^(?=FROM )", re.sub(r"(?m)^#.*\n", "", DOCKERFILE))[1:]


def runtime_packages():
    (command,) = re.findall(r"--no-install-recommends((?:\s+\\?\s*[a-z0-9.+-]+)+)", stages()[-1])
    return set(re.findall(r"[a-z0-9][a-z0-9.+-]+", command))


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@cache
def packages():
    """Installed package -> the names it depends on."""
    listed = {}
    for line in output("dpkg-query", "-W", "-f", "${Package}\t${Essential}\t${Pre-Depends},${Depends}\n").splitlines():
        package, essential, depends = line.split("\t")
        needs = {re.match(r"\s*([a-z0-9.+-]+)", alternative).group(1)
                 for part in depends.split(",") for alternative in part.split("|")[:1] if part.strip()}
        listed[package] = (essential == "yes", needs)
    return listed


def closure(names):
    seen, todo = set(), list(names)
    while todo:
        package = todo.pop()
        if package not in seen:
            seen.add(package)
            todo += packages().get(package, (False, set()))[1]
    return seen


def owner(path):
    """The package of a library; Debian 12's merged /usr makes ldd and dpkg differ in the first part of the path."""
    for candidate in (path, path.removeprefix("/usr"), "/usr" + path):
        found = subprocess.run(["dpkg-query", "-S", candidate], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise AssertionError(f"no package owns {path}")


def libraries():
    """Library name -> path, of everything that the program loads."""
    return dict(re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", str(PROGRAM)), re.MULTILINE))


def test_the_runtime_packages_bring_every_library_the_program_loads():
    essential = {package for package, (is_essential, _) in packages().items() if is_essential}
    there = closure(runtime_packages() | essential)
    assert {name: owner(path) for name, path in libraries().items() if owner(path) not in there} == {}


def test_the_runtime_stage_has_no_library_that_the_program_does_not_name():
    named = re.findall(r"NEEDED\)\s+Shared library: \[([^]]+)\]", output("readelf", "-d", str(PROGRAM)))
    owners = {owner(path) for name, path in libraries().items() if name in named}
    assert {package for package in runtime_packages() if package.startswith("lib")} <= owners


def test_the_runtime_stage_is_slim_and_builds_nothing():
    assert re.match(r"FROM debian:bookworm AS build\n", stages()[0])
    assert stages()[-1].startswith("FROM debian:bookworm-slim\n")
    assert not {package for package in runtime_packages() if package.endswith("-dev")}


def test_a_kube_keepalived_vip_manifest_works_with_only_its_image_changed():
    last = stages()[-1]
    (entrypoint,) = re.findall(r"(?m)^ENTRYPOINT (\[.*\])$", last)
    assert json.loads(entrypoint)[-1] == "/usr/bin/vipkeeper"
    assert not re.search(r"(?m)^(CMD|USER|WORKDIR)\b", last)
    assert "ln -s /usr/bin/vipkeeper /kube-keepalived-vip" in last
    for directory in ("/etc/keepalived", "/etc/haproxy", "/run/vipkeeper"):
        assert re.search(rf"mkdir -p .*{directory}\b", last)


def test_the_image_is_for_every_architecture():
    assert not re.search(r"amd64|arm64|x86_64|aarch64|--platform|-march", DOCKERFILE)


def test_the_build_context_leaves_out_what_is_built():
    assert {".git", "build"} <= set((ROOT / ".dockerignore").read_text().split())
