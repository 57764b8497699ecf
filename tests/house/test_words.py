"""Names, sizes and what must not be committed."""

import re
import stat

import pytest

from tree import PRODUCT, ROOT, code, cpp_files, name, tracked

TEXT = [path for path in tracked() if path.suffix not in (".png", ".svg", ".pcap", ".bin", ".gz") and "corpus" not in path.parts]
# More than one word of a name says nothing about what the thing is.
EMPTY_WORDS = "Manager|Helper|Helpers|Util|Utils|Impl|Data"


def matches(paths, pattern, read=lambda path: path.read_text(errors="replace")):
    found = []
    for path in paths:
        for number, line in enumerate(read(path).splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name(path)}:{number}: {line.strip()[:160]}")
    return found


def test_no_type_has_an_empty_word_for_a_name():
    assert not matches(cpp_files(*PRODUCT), rf"\b(class|struct|enum|using|concept)\s+(\[\[.*\]\]\s*)?\w*({EMPTY_WORDS})\b", code)


def test_no_function_just_processes():
    assert not matches(cpp_files(*PRODUCT), r"\b(process|do_it|do_work|handle_it)\s*\(", code)


def test_no_file_has_an_empty_word_for_a_name():
    wrong = [name(path) for path in tracked() if re.search(r"(^|_)(manager|helpers?|utils?|impl)($|_)", path.stem)]
    assert not wrong


def test_files_and_folders_are_in_snake_case():
    wrong = [name(path) for path in cpp_files(*PRODUCT, "tests") if not re.fullmatch(r"[a-z0-9_]+", path.stem)]
    assert not wrong


@pytest.mark.parametrize("kind,limit", [(".h", 800), (".cpp", 800), (".py", 800)])
def test_no_file_is_over_800_lines(kind, limit):
    wrong = [f"{name(path)}: {lines}" for path in tracked() if path.suffix == kind and (lines := len(path.read_text().splitlines())) > limit]
    assert not wrong


def test_every_header_is_guarded_by_pragma_once():
    wrong = [name(path) for path in cpp_files(*PRODUCT, "tests") if path.suffix == ".h" and "#pragma once" not in path.read_text()]
    assert not wrong


def test_unit_tests_never_sleep():
    tests = [path for path in cpp_files("tests") if "fuzz" not in path.parts]
    assert not matches(tests, r"\bsleep(_for|_until)?\s*\(|\busleep\s*\(|\bnanosleep\s*\(", code)


def test_no_test_is_hidden_or_may_fail():
    assert not matches(cpp_files("tests"), r'TEST_CASE\(.*"[^"]*\[(\.|!mayfail|!shouldfail|!hide)[^"]*"\)')


def test_product_code_has_no_testing_flag():
    assert not matches(cpp_files(*PRODUCT), r"\b(for_testing|is_test|testing_only|UNIT_TEST|FRIEND_TEST)\b", code)


def test_nothing_names_a_place_of_one_machine():
    # In brackets, so that the patterns do not find themselves.
    assert not matches(TEXT, r"(^|[\s\"'=:(`])/(wor[k]|roo[t]|hom[e]/[a-z]+)/")


def test_nothing_names_a_package_registry():
    assert not matches(TEXT, r"deb\.debian\.[o]rg|proxy\.golang\.[o]rg|pypi\.[o]rg|registry\.npmjs\.[o]rg|crates\.[i]o/|snapshot\.debian\.[o]rg")


def test_what_is_left_to_do_is_not_left_in_the_text():
    assert not matches([path for path in TEXT if path.suffix in (".h", ".cpp", ".py", ".sh", ".txt", ".yaml", ".md")],
                       r"\b(TOD[O]|FIXM[E]|XX[X])\b")


def test_text_files_end_with_one_line_break_and_have_no_trailing_blanks():
    wrong = []
    for path in TEXT:
        text = path.read_text(errors="replace")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            wrong.append(f"{name(path)}: its end")
        if path.suffix not in (".md", ".txt") or path.name == "CMakeLists.txt":
            wrong += [f"{name(path)}:{number}" for number, line in enumerate(text.splitlines(), 1) if line != line.rstrip()]
    assert not wrong


def test_scripts_may_be_executed_and_parse():
    for path in tracked():
        text = path.read_text(errors="replace")
        if not text.startswith("#!"):
            continue
        assert path.stat().st_mode & stat.S_IXUSR, f"{name(path)} has a #! line and no x bit"
    for path in tracked():
        if path.suffix == ".py":
            compile(path.read_text(), str(path), "exec")
