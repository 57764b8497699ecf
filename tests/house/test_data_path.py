"""docs/data-path.md has a row for every way that the lab tests, and says of it what the test expects."""

import importlib.util
import re

from tree import ROOT

DOCUMENT = ROOT / "docs/data-path.md"
WORDS = {"own": "own", "holder's": "node", "VIP": "vip", "lost": None}


def ways():
    """{row: {place: {family: whose address is seen, or None}}} of the lab."""
    spec = importlib.util.spec_from_file_location("data_path", ROOT / "tests/lab/vklab/data_path.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {}
    for way in module.WAYS:
        found.setdefault(f"{way.method}-{way.client}", {})[way.place] = way.seen
    return found


def read(cell):
    """"own" or "lost (6), IPv6: own", by family."""
    four, _, six = re.sub(r" \(\d\)", "", cell).partition(", IPv6: ")
    return {"ipv4": WORDS[four], "ipv6": WORDS[six or four]}


def rows():
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if match := re.fullmatch(r"`([a-z]+-[a-z_]+)`", cells[-1]):
            yield match[1], {place: read(cell) for place, cell in zip(("here", "there", "segment", "host"), cells[1:]) if cell}


def test_every_row_is_a_test_and_every_test_a_row_that_says_the_same():
    found = list(rows())
    assert len(found) == len(dict(found)), "a row is there twice"
    assert dict(found) == ways()


def test_every_loss_has_a_reason_and_every_reason_a_loss():
    text = DOCUMENT.read_text()
    given = re.findall(r"(?m)^(\d)\. ", text)
    assert given == [str(number) for number in range(1, len(given) + 1)]
    assert set(re.findall(r"lost \((\d)\)", text)) == set(given)
    assert len(re.findall(r"\| lost", text)) == len(re.findall(r"\| lost \(\d\)", text))
