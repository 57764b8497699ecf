#!/usr/bin/python3
"""clang-format-19 over all C++, clang-tidy-19 over the product's (in Catch2's macros it finds mostly Catch2).

    scripts/lint.py [--results build/results/lint] [--fix-format] [FILE...]

clang-tidy (checks: .clang-tidy) takes seconds a file, so a file that passed is not looked at again until it, a header of
ours that it includes, or the checks change: the digests of what passed are kept in ~/.cache/vipkeeper/tidy.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from run_suite import ROOT, write_junit

FOLDERS = ("cmd", "controller", "engine", "tests", "bench")
TIDY_FOLDERS = ("cmd", "controller", "engine")
TREE = ROOT / "build/lint"
PASSED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vipkeeper/tidy"


def sources():
    return sorted(path for folder in FOLDERS for pattern in ("*.h", "*.cpp") for path in (ROOT / folder).rglob(pattern))


def own_headers(path, seen):
    """Every project header that `path` reaches, itself included."""
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for name in re.findall(r'^\s*#include "([^"]+)"', path.read_text(errors="replace"), re.MULTILINE):
        own_headers(ROOT / name, seen)
    return seen


def digest(path):
    total = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for file in sorted(own_headers(path, set())):
        total.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def check_format(path, fix):
    command = ["clang-format-19", "-i" if fix else "--dry-run", "--Werror", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else done.stdout


def check_tidy(path):
    stamp = PASSED / digest(path)
    if stamp.exists():
        return None, True
    done = subprocess.run(["clang-tidy-19", "-p", str(TREE), "--quiet", "--warnings-as-errors=*", str(path)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        return done.stdout, False
    PASSED.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    return None, False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--fix-format", action="store_true", help="rewrite instead of complain")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    wanted = [path.resolve() for path in arguments.files] or sources()

    cases = []
    for path in wanted:
        complaint = check_format(path, arguments.fix_format)
        cases.append((f"format: {path.relative_to(ROOT)}", 0.0, complaint))

    configure = subprocess.run(["cmake", "--preset", "lint"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if configure.returncode != 0:
        sys.exit(configure.stdout)
    compiled = {Path(entry["file"]) for entry in json.loads((TREE / "compile_commands.json").read_text())}
    units = [path for path in wanted if path in compiled and path.relative_to(ROOT).parts[0] in TIDY_FOLDERS]
    known = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        started = time.monotonic()
        for path, (complaint, was_known) in zip(units, pool.map(check_tidy, units)):
            known += was_known
            cases.append((f"tidy: {path.relative_to(ROOT)}", 0.0, complaint))
    for name, _, complaint in cases:
        if complaint:
            print(f"FAILED {name}\n{complaint}")
    bad = sum(complaint is not None for _, _, complaint in cases)
    print(f"lint: {len(wanted)} files formatted, {len(units)} tidy ({known} known to be), {bad} failed, {time.monotonic() - started:.0f} s")
    if arguments.results:
        write_junit(arguments.results / "lint.xml", "lint", cases)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
