"""README and docs/ say what is there."""

import re

import pytest

from tree import ROOT, name, tracked

DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path):
    wrong = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
             if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists()]
    assert not wrong


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_paths_in_backticks_and_commands_exist(path):
    text = path.read_text()
    named = set(re.findall(r"(?<![\w/.])((?:scripts|tests|deploy|rbac|docs|templates|bench|engine|controller|cmd|cmake|\.ci)/[\w./-]+[\w])", text))
    missing = {one for one in named if not (ROOT / one).exists() and not re.search(r"[A-Z]{2,}|/$", one)}
    # The files of a pattern.
    missing = {one for one in missing if f"{one}*" not in text or not list(ROOT.glob(f"{one}*"))}
    # What is made by running something, and programs of a build tree, are there only afterwards.
    missing = {one for one in missing if not one.startswith(("tests/fuzz/", "bench/results")) and f"build/dev/{one}" not in text}
    assert not {one for one in missing if not re.search(rf"build/[\w-]+/{re.escape(one)}", text)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_make_targets_exist(path):
    text = path.read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^    make ([a-z-]+)", text, re.MULTILINE))
    assert named <= TARGETS


def test_the_first_screen_of_the_readme_has_the_two_commands():
    screen = (ROOT / "README.md").read_text().splitlines()[:50]
    assert any(line.startswith("    make demo") for line in screen)
    assert any(line.startswith("    make test") for line in screen)


def test_the_figures_of_the_readme_are_those_of_the_benchmarks():
    text = (ROOT / "README.md").read_text()
    quoted = dict(re.findall(r"(?s)<!-- ([a-z]+\.md) -->\n\n(.*?)\n<!-- end -->", text))
    assert {"failover.md", "change.md", "idle.md"} <= set(quoted)
    for file, table in quoted.items():
        assert table == (ROOT / "bench/results" / file).read_text(), f"README's {file} is not bench/results/{file}: bench/run mends it"
    elsewhere = re.sub(r"(?s)<!-- [a-z]+\.md -->.*?<!-- end -->", "", text)
    assert not re.findall(r"\d[\d.,]* (?:ms|µs|MiB|MB|% of a core|times as fast|x as fast)\b", elsewhere)


def test_every_flag_in_the_documents_is_one_of_the_program():
    flags = "".join(path.read_text() for path in (ROOT / "cmd").glob("*.cpp"))
    named = {flag for path in (ROOT / "docs/configuration.md", ROOT / "docs/operations.md")
             for flag in re.findall(r"`(--[a-z][a-z-]+)", path.read_text())}
    foreign = {"--ipvs-exclude-cidrs"}
    assert {flag for flag in named - foreign if f'"{flag}' not in flags and f",{flag}" not in flags} == set()


def test_decisions_are_numbered_without_a_gap_and_say_decision_and_why():
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [path.name[:5] for path in records] == [f"{number:04d}-" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text()
        assert text.startswith(f"# {int(path.name[:4])}. ") and "**Decision.**" in text and "**Why.**" in text, path.name
        assert len(text.splitlines()) <= 60, f"{path.name} is longer than a page"


def test_the_glossary_has_the_words_of_all_three():
    text = (ROOT / "docs/architecture.md").read_text()
    for word in ("Active Router", "MASTER", "Advertisement_Interval", "advert_int", "destination", "real_server", "EndpointSlice"):
        assert word in text
