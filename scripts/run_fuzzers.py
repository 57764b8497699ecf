#!/usr/bin/python3
"""Runs every fuzzer of build/fuzz for FUZZ_SECONDS (default 20), starting from its seeds in tests/fuzz/corpus/NAME.

    scripts/run_fuzzers.py --results build/results/fuzz [--only NAME]

One JUnit case a fuzzer. What a fuzzer finds is kept in build/fuzz/found/NAME/, to be run again with the program itself.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from run_suite import ROOT, SANITIZER_OPTIONS, write_junit


def run_fuzzer(program, seconds):
    name = program.name.removeprefix("fuzz_")
    found = ROOT / "build/fuzz/found" / name
    found.mkdir(parents=True, exist_ok=True)
    seeds = ROOT / "tests/fuzz/corpus" / name
    symbolizer = next((path for path in ("/usr/bin/llvm-symbolizer-19", "/usr/bin/llvm-symbolizer") if os.path.exists(path)), "")
    with tempfile.TemporaryDirectory(prefix="vipkeeper-fuzz-") as scratch:
        command = [str(program), f"-max_total_time={seconds}", "-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048",
                   f"-artifact_prefix={found}/", scratch] + ([str(seeds)] if seeds.is_dir() else [])
        done = subprocess.run(command, env={**os.environ, **SANITIZER_OPTIONS, "ASAN_SYMBOLIZER_PATH": symbolizer},
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * 5 + 60)
    output = done.stdout.decode(errors="replace")
    runs = next((int(line.split()[-1]) for line in output.splitlines() if line.startswith("stat::number_of_executed_units")), 0)
    failure = None
    if done.returncode != 0:
        failure = f"exit code {done.returncode}; the input is in {found}\n{output[-8000:]}"
    elif runs == 0:
        failure = f"executed nothing\n{output[-8000:]}"
    return name, runs, failure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--only", help="fuzzer without fuzz_")
    arguments = parser.parse_args()
    seconds = int(os.environ.get("FUZZ_SECONDS", "20"))
    programs = sorted(p for p in (ROOT / "build/fuzz/tests/fuzz").glob("fuzz_*") if p.is_file() and os.access(p, os.X_OK))
    if arguments.only:
        programs = [p for p in programs if p.name == f"fuzz_{arguments.only}"]
    if not programs:
        sys.exit("run_fuzzers: build/fuzz has no fuzzer; build target `fuzzers` of preset fuzz first")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda program: run_fuzzer(program, seconds), programs))
    for name, runs, failure in results:
        print(f"  {name}: {runs} inputs: {'FAILED' if failure else 'passed'}" + (f"\n{failure}" if failure else ""))
    write_junit(arguments.results / "fuzz.xml", "fuzz", [(name, seconds, failure) for name, _, failure in results])
    sys.exit(1 if any(failure for _, _, failure in results) else 0)


if __name__ == "__main__":
    main()
