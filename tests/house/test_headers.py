"""Each header of ours compiles by itself: CMake's header sets make one compile unit of every one of them."""

import json
import re
import shlex
import subprocess

import pytest

from tree import PRODUCT, ROOT, cpp_files, name

HEADERS = [name(path) for path in cpp_files(*PRODUCT) if path.suffix == ".h"]


@pytest.fixture(scope="session")
def failures():
    """Header -> what the compiler said, for those that do not compile alone; and those that were compiled at all."""
    subprocess.run(["cmake", "--preset", "dev"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    tree = ROOT / "build/dev"
    built = subprocess.run(["cmake", "--build", str(tree), "--target", "all_verify_interface_header_sets", "--", "-k", "0"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wrong = {}
    for block in re.split(r"\n(?=FAILED: |\[\d+/\d+\])", "\n" + built.stdout):
        failed = re.match(r"FAILED: \S*_verify_interface_header_sets/(\S+?)\.cxx\.o", block)
        if failed:
            wrong[failed.group(1)] = block
    assert built.returncode == 0 or wrong, built.stdout
    units = {re.sub(r".*_verify_interface_header_sets/(.*)\.cxx$", r"\1", str(path)) for path in tree.rglob("*_verify_interface_header_sets/**/*.cxx")}
    return wrong, units


def flags_of_cmd():
    """What cmd's own files are compiled with, but for the precompiled header and the warnings."""
    commands = json.loads((ROOT / "build/dev/compile_commands.json").read_text())
    words = shlex.split(next(one["command"] for one in commands if one["file"] == str(ROOT / "cmd/main.cpp")))
    return [word for i, word in enumerate(words) if word.startswith(("-D", "-I", "-std")) or words[i - 1] == "-isystem" or word == "-isystem"]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_stands_alone(header, failures):
    wrong, units = failures
    if header.startswith("cmd/"):  # an executable has no users and so no header set
        done = subprocess.run(["g++", *flags_of_cmd(), "-fsyntax-only", "-x", "c++", "-include", header, "/dev/null"], cwd=ROOT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return
    assert header in units, "no target has it in its header set"
    assert header not in wrong, wrong.get(header)
