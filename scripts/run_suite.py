#!/usr/bin/python3
"""Runs a build tree's Catch2 programs the way they are meant to run: by nobody, in a network namespace with loopback only.

    scripts/run_suite.py --tree build/dev --results build/results [--suffix ' (tsan)'] [--jobs 2] [--only NAME]...

Each program becomes RESULTS/RING/NAME.xml (JUnit) where RING is `unit` or `simulation`, plus the suffix. A program that
ends otherwise than its test cases say (a crash, a sanitizer's report at exit, a time-out) is one more failed case, so
that nothing is lost in between. Ends 0 if every case of every program passed.
"""

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:check_initialization_order=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": f"halt_on_error=0:exitcode=66:second_deadlock_stack=1:suppressions={ROOT}/scripts/tsan.supp",
    "LSAN_OPTIONS": f"suppressions={ROOT}/scripts/lsan.supp:print_suppressions=0",
}


def works(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def isolation(program):
    """The command prefix that takes away the network and the rights, and one line that says what it is."""
    lo_up = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    no_rights = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    if os.geteuid() == 0:
        without_network = ["unshare", "--net"] + lo_up
        how = "without a network"
        if not works(without_network + ["true"]):
            without_network, how = [], "WITH a network, because this container gives root no namespaces"
        as_nobody = no_rights + [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if works(as_nobody + ["test", "-x", str(program)]):
            return without_network + as_nobody, f"as nobody, {how}"
        return without_network + no_rights, f"as uid 0 without capabilities (nobody cannot read this directory), {how}"
    in_own_namespace = ["unshare", "--user", "--map-root-user", "--net"] + lo_up + no_rights
    if works(in_own_namespace + ["true"]):
        return in_own_namespace, f"as uid {os.getuid()} in a user namespace, without a network"
    return [], f"as uid {os.getuid()}; WITH a network, because this kernel gives users no namespaces"


def describe(case):
    """The failed assertions of a Catch2 <TestCase>, as a compiler would report them."""
    lines = []
    for node in case.iter():
        where = f"{node.get('filename')}:{node.get('line')}"
        if node.tag == "Info":
            lines.append(f"  info: {(node.text or '').strip()}")
        elif node.tag == "Expression" and node.get("success") == "false":
            original = (node.findtext("Original") or "").strip()
            expanded = (node.findtext("Expanded") or "").strip()
            lines.append(f"{where}: {node.get('type')}( {original} )\n  with: {expanded}")
            threw = node.find("Exception")
            if threw is not None:
                lines.append(f"  threw: {(threw.text or '').strip()}")
        elif node.tag in ("Failure", "FatalErrorCondition"):
            lines.append(f"{where}: {node.tag}: {(node.text or '').strip()}")
        elif node.tag == "Exception" and case.find("Exception") is node:
            lines.append(f"{where}: unexpected exception: {(node.text or '').strip()}")
    return "\n".join(lines) or "no assertion was reached"


def read_cases(report):
    """[(name, seconds, failure text or None)]; `report` may be cut in the middle by a crash."""
    parser = ElementTree.XMLPullParser(["start", "end"])
    cases, open_case = [], None
    try:
        parser.feed(report)
        for event, node in parser.read_events():
            if node.tag != "TestCase":
                continue
            if event == "start":
                open_case = node
                continue
            open_case = None
            result = node.find("OverallResult")
            # -s lists the assertions that held, too: a test case without any proves nothing. (Catch2's own NoAssertions
            # asks it of each section, also of one that only prepares.)
            good = result is not None and result.get("success") == "true" and node.find(".//Expression") is not None
            cases.append((node.get("name"), float(result.get("durationInSeconds", 0)) if result is not None else 0.0,
                          None if good else describe(node)))
    except ElementTree.ParseError as error:
        cases.append(("the report is well-formed", 0.0, str(error)))
    if open_case is not None:
        cases.append((open_case.get("name"), 0.0, "the program ended inside this test case"))
    return cases


def run_program(program, prefix, arguments):
    scratch = Path(tempfile.mkdtemp(prefix="vipkeeper-test-"))
    scratch.chmod(0o777)
    report = scratch / "report.xml"
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(scratch), "TMPDIR": str(scratch), "LANG": "C.UTF-8"}
    environment.update(SANITIZER_OPTIONS)
    command = prefix + (["setarch", "-R"] if arguments.fixed_addresses else [])
    command += [str(program), "-r", "xml", "-s", "-d", "yes", "-o", str(report)]
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=arguments.timeout)
        code, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        code, output = f"none within {arguments.timeout} s", (error.stdout or b"").decode(errors="replace")
    cases = read_cases(report.read_text(errors="replace")) if report.exists() else []
    cut = "the program ended inside this test case"
    cases = [(name, seconds, f"{cut}; exit code {code}\n{output[-20000:]}" if failure == cut else failure) for name, seconds, failure in cases]
    if not cases:
        cases.append(("has test cases", 0.0, f"exit code {code}\n{output[-4000:]}"))
    elif code != 0 and all(failure is None for _, _, failure in cases):
        cases.append(("ends with exit code 0", 0.0, f"exit code {code}\n{output[-20000:]}"))
    shutil.rmtree(scratch, ignore_errors=True)
    return cases, output, time.monotonic() - started


def write_junit(path, name, cases):
    suite = ElementTree.Element("testsuite", name=name, tests=str(len(cases)),
                                failures=str(sum(failure is not None for _, _, failure in cases)))
    for case, seconds, failure in cases:
        node = ElementTree.SubElement(suite, "testcase", classname=name, name=case, time=f"{seconds:.6f}")
        if failure is not None:
            ElementTree.SubElement(node, "failure", message=failure.splitlines()[0]).text = failure
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--suffix", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one program")
    parser.add_argument("--only", action="append", help="program name without test_")
    parser.add_argument("--fixed-addresses", action="store_true",
                        help="no address randomization: the sanitizers of g++ 12 do not know the wide one of newer kernels")
    arguments = parser.parse_args()

    programs = [Path(line) for line in (arguments.tree / "test-programs.txt").read_text().split()]
    if arguments.only:
        programs = [p for p in programs if p.name.removeprefix("test_") in arguments.only]
    if not programs:
        sys.exit(f"run_suite: no test program in {arguments.tree}/test-programs.txt")
    prefix, how = isolation(programs[0])
    print(f"{arguments.tree}: {len(programs)} programs, {how}", flush=True)

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = {pool.submit(run_program, program, prefix, arguments): program for program in programs}
        for run in concurrent.futures.as_completed(runs):
            name = runs[run].name.removeprefix("test_")
            cases, output, seconds = run.result()
            ring = ("simulation" if name == "simulation" else "unit") + arguments.suffix
            write_junit(arguments.results / ring / f"{name}.xml", name, cases)
            failed = [(case, text) for case, _, text in cases if text is not None]
            bad += len(failed)
            print(f"  {name}: {len(cases) - len(failed)} passed, {len(failed)} failed, {seconds:.1f} s", flush=True)
            for case, text in failed:
                print(f"    FAILED {case}\n" + "\n".join("      " + line for line in text.splitlines()), flush=True)
            if failed and output.strip():
                print("    its output:\n" + "\n".join("      " + line for line in output[-4000:].splitlines()), flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
