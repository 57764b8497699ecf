"""A class has a size that one can hold in mind, or says in its comment why it has not ("Large: ...")."""

import re

from tree import PRODUCT, code, cpp_files, name

MOST_MEMBERS = 25
MOST_LINES = 400
MEMBER = re.compile(r"^\s+(?!return\b|using\b|friend\b)[A-Za-z_][\w:<>,.*&\s()\[\]]*?\b(\w+_)\s*(?=[;={,\[])")


def bodies(text):
    """{class: the lines between its braces, but for those of classes within it}, by counting braces."""
    found, stack, depth = {}, [], 0
    waiting = None
    for line in text.splitlines():
        opened = re.match(r"\s*(?:class|struct)\s+(?:\[\[\w+\]\]\s*)?([A-Z]\w*)\b[^;()]*(\{|$)", line)
        if opened and not re.search(r"\benum\s+class\b", line):
            waiting = opened.group(1)
        if stack and depth == stack[-1][1] + 1 and not opened:
            found.setdefault(stack[-1][0], []).append(line)
        for sign in line:
            if sign == "{":
                if waiting:
                    stack.append((waiting, depth))
                    waiting = None
                depth += 1
            elif sign == "}":
                depth -= 1
                if stack and stack[-1][1] == depth:
                    stack.pop()
    return found


def reasons():
    """Classes whose comment says why they are large."""
    found = set()
    for path in cpp_files(*PRODUCT):
        text = path.read_text()
        for match in re.finditer(r"((?:^ *//[^\n]*\n)+) *(?:class|struct) +([A-Z]\w*)", text, re.MULTILINE):
            if "Large:" in match.group(1):
                found.add(match.group(2))
    return found


def members(lines):
    count = 0
    for line in lines:
        match = None if "return " in line else MEMBER.match(line)  # a function on one line
        if match:
            count += len(re.findall(r"\b[a-z]\w*_\s*(?=[;={,\[])", line[match.start(1):].split("=")[0].split("{")[0] + ";")) or 1
    return count


def test_a_class_has_at_most_twenty_five_members_or_a_reason():
    allowed, large = reasons(), []
    for path in cpp_files(*PRODUCT):
        for one, lines in bodies(code(path)).items():
            if members(lines) > MOST_MEMBERS and one not in allowed:
                large.append(f"{name(path)}: {one} has {members(lines)} members")
    assert not large, "\n" + "\n".join(large)


def test_a_class_has_at_most_four_hundred_lines_of_implementation_or_a_reason():
    lines, allowed = {}, reasons()
    for path in cpp_files(*PRODUCT):
        if path.suffix != ".cpp":
            continue
        inside = None
        for line in code(path).splitlines():
            begun = re.match(r"[A-Za-z_].*?\b([A-Z]\w*)::~?\w+\s*\(", line)
            if inside is None and begun and not line.rstrip().endswith(";"):
                inside = (str(path.parent), begun.group(1))
            if inside:
                lines[inside] = lines.get(inside, 0) + 1
                if line.startswith("}") or line.rstrip().endswith("}") and begun:
                    inside = None
    large = [f"{one}: {count} lines in {folder}" for (folder, one), count in lines.items() if count > MOST_LINES and one not in allowed]
    assert not large, "\n" + "\n".join(large)


def test_the_counting_counts():
    text = "class One {\n public:\n  void f() { x_ = 1; }\n private:\n  struct Two {\n    int inner_ = 0;\n  };\n  int a_ = 1, b_ = 2;\n  std::map<int, Two> c_;\n};\n"
    assert members(bodies(text)["One"]) in (2, 3)
    assert members(bodies(text)["Two"]) == 1
