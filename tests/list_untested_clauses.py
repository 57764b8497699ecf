#!/usr/bin/python3
"""Lists the clauses of tests/rfc9568_clauses.txt that no test covers; ends 1 if there are any.

    tests/list_untested_clauses.py [--all]

A clause marked `unit` wants a Catch2 test case with the tag [rfc9568-NAME] somewhere under tests/; one marked FILE::TEST
wants that Python test to exist. A tag that looks like a clause and is in no line of the table is an error, too: a renamed
clause must not leave a tag that covers nothing. --all prints every clause with where it is covered.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests/rfc9568_clauses.txt"
NOT_BUILT = ("departure", "ipv6", "vmac")
TAG = re.compile(r"\[rfc9568-([^\]\s]+)\]")
SECTION = re.compile(r"[0-9.]+")


def clauses():
    """[(line number, name, where, text)] of the table."""
    found = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split(" | ")]
        if len(fields) != 3 or not all(fields):
            sys.exit(f"{TABLE}:{number}: want NAME | WHERE | TEXT")
        if fields[0] in (name for _, name, _, _ in found):
            sys.exit(f"{TABLE}:{number}: {fields[0]} is there twice")
        found.append((number, *fields))
    return found


def tags():
    """{name: [file:line of the test]} of every tag under tests/."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("*.cpp")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in TAG.findall(line):
                found.setdefault(name, []).append(f"{path.relative_to(ROOT)}:{number}")
    return found


def coverage(where, name, tagged):
    """Where the clause is covered; empty if it ought to be and is not."""
    if where in NOT_BUILT:
        return [where]
    if where == "unit":
        return tagged.get(name, [])
    file, _, test = where.partition("::")
    path = ROOT / file
    if not test or not path.is_file():
        return []
    return [where] if re.search(rf"^def {re.escape(test)}\(", path.read_text(), re.MULTILINE) else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="print every clause")
    arguments = parser.parse_args()
    table, tagged = clauses(), tags()
    missing = []
    for number, name, where, text in table:
        covered = coverage(where, name, tagged)
        if not covered:
            missing.append(f"tests/rfc9568_clauses.txt:{number}: {name} ({where}): no test: {text}")
        elif arguments.all:
            print(f"{name}: {', '.join(covered)}")
    known = {name for _, name, _, _ in table}
    for name, places in tagged.items():
        if name not in known and not SECTION.fullmatch(name):
            missing.append(f"{places[0]}: tag [rfc9568-{name}] is no clause of the table")
    print("\n".join(missing) if missing else f"{len(table)} clauses, none without a test")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
