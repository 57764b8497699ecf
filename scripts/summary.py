#!/usr/bin/python3
"""Adds up the JUnit files of a run and ends with the line `N passed, N failed`.

    scripts/summary.py RESULTS RING...

Each directory of RESULTS is a ring. A skipped test counts as failed (a test that needs a tool has to have it), and so
does a ring named on the command line that ran no test. Ends 0 only if nothing failed.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def read_ring(directory):
    passed, failed, seconds = 0, [], 0.0
    for path in sorted(directory.glob("**/*.xml")):
        try:
            cases = list(ElementTree.parse(path).iter("testcase"))
        except ElementTree.ParseError as error:
            failed.append(f"{path.name}: cannot be read: {error}")
            continue
        for case in cases:
            seconds += float(case.get("time") or 0)
            wrong = [child for child in case if child.tag in ("failure", "error", "skipped")]
            if wrong:
                reason = (wrong[0].get("message") or "").splitlines() or [""]
                failed.append(f"{case.get('classname')}: {case.get('name')}: {wrong[0].tag}: {reason[0][:200]}")
            else:
                passed += 1
    return passed, failed, seconds


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    results = Path(sys.argv[1])
    expected = sys.argv[2:]
    found = sorted(path.name for path in results.iterdir() if path.is_dir()) if results.is_dir() else []
    rings = expected + [name for name in found if name not in expected]
    total_passed, all_failed = 0, []
    print(f"{'ring':<26} {'passed':>7} {'failed':>7} {'seconds':>8}")
    for ring in rings:
        passed, failed, seconds = read_ring(results / ring)
        if not passed and not failed:
            failed.append("ran no test")
        total_passed += passed
        all_failed += [f"{ring}: {line}" for line in failed]
        print(f"{ring:<26} {passed:>7} {len(failed):>7} {seconds:>8.1f}")
    for line in all_failed:
        print(f"FAILED {line}")
    if not total_passed and not all_failed:
        all_failed.append("no ring at all")
    print(f"{total_passed} passed, {len(all_failed)} failed")
    sys.exit(1 if all_failed else 0)


if __name__ == "__main__":
    main()
