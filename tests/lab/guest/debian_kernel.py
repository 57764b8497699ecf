"""Debian's cloud kernel, unpacked by version into ~/.cache/vipkeeper/kernel and not installed: nothing of this machine's boot changes."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import guest

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "vipkeeper" / "kernel"
META_PACKAGE = "linux-image-cloud-amd64"


@functools.cache
def find():
    """The folder (boot, lib/modules) of the version that Debian offers now, fetched if it is new; offline the newest there is."""
    package, version = offered()
    if package is None:
        there = sorted(CACHE.glob("*/boot"), key=lambda boot: boot.stat().st_mtime)
        if not there:
            raise guest.GuestError(f"no package {META_PACKAGE} is known here: apt-get update")
        return there[-1].parent
    if not (CACHE / version).exists():
        try:
            fetch(package, version)
        except guest.GuestError:  # an old list names what the archive has no more
            run(["apt-get", "-q", "update"])
            package, version = offered()
            fetch(package, version)
    return CACHE / version


def offered():
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", META_PACKAGE], capture_output=True, text=True).stdout
    found = re.search(r"(?m)^Depends: (linux-image-\S+) \(= (\S+)\)", shown)
    return found.groups() if found else (None, None)


def fetch(package, version):
    print(f"guest: fetching {package} {version} (once)", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as work:
        unpacked = pathlib.Path(work) / "unpacked"
        # As root, which is what we are: apt's own user may not write into the folder.
        run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", f"{package}={version}"], work)
        run(["dpkg-deb", "-x", next(pathlib.Path(work).glob("*.deb")), unpacked], work)
        # Debian's modules are in /lib, and depmod looks in /lib below its base: the same on a system whose /lib is /usr/lib.
        run(["depmod", "-b", unpacked, module_tree(unpacked).name], work)
        shutil.rmtree(unpacked / "usr", ignore_errors=True)
        try:
            unpacked.rename(CACHE / version)
        except OSError:  # somebody else was first
            if not (CACHE / version).exists():
                raise


def run(command, directory="/"):
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise guest.GuestError(f"{' '.join(map(str, command))}: {done.stdout.strip()}")


def module_tree(folder):
    return next((folder / "lib/modules").iterdir())


def with_dependencies(folder, names):
    """The files of these modules and of those they need, in the order in which they can be loaded."""
    tree = module_tree(folder)
    lines = (line.split(":") for line in (tree / "modules.dep").read_text().splitlines())
    needs = {module: needed.split() for module, needed in lines}
    order = []
    for name in names:
        module = next(each for each in needs if each.endswith(f"/{name}.ko"))
        order += [each for each in (*reversed(needs[module]), module) if each not in order]
    return [tree / each for each in order]
