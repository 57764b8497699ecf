"""Pure folders are pure, includes point one way, one CMake target a folder (docs/architecture.md has the rules)."""

import re

import pytest

from tree import LIBRARIES, PRODUCT, ROOT, SYSTEM, code, cpp_files, includes, name, row_of, rows

FOLDERS = sorted({str(path.parent.relative_to(ROOT)) for path in cpp_files(*PRODUCT)})
PURE_PATTERNS = {
    "a clock is read": r"::now\s*\(|\b(clock_gettime|gettimeofday|time)\s*\(\s*(nullptr|NULL|0|&|CLOCK)",
    "the environment is read": r"\bgetenv\b",
    "something waits": r"\bsleep(_for|_until)?\s*\(|\busleep\b|\bnanosleep\b",
    "chance": r"\brandom_device\b|\bs?rand\s*\(",
    "output": r"\bstd::(cout|cerr|clog)\b|\bf?printf\s*\(|\bfmt::print(ln)?\b|\bspdlog::",
    "a static that remembers": r"\bthread_local\b|\bstatic\s+(?!constexpr|const\b|consteval|constinit)[A-Za-z_][\w:<>, ]*\s+\w+\s*(=|\{[^}]*\}\s*;|;)",
}


def test_the_table_is_there_and_names_every_folder():
    patterns = [row.pattern for row in rows()]
    assert len(patterns) == len(set(patterns))
    assert set(FOLDERS) <= set(patterns), "docs/architecture.md has no row for these"
    for row in rows():
        known = {other.pattern for other in rows()}
        assert row.folders <= known and row.libraries <= set(LIBRARIES) and row.system <= set(SYSTEM), row
        assert not (row.pure and row.system), f"{row.pattern} cannot be pure and use {set(row.system)}"


def test_the_folders_that_the_design_wants_pure_are():
    wanted = {"engine/model", "engine/config", "engine/vrrp", "engine/host", "engine/router", "engine/ipvs", "engine/status", "controller/objects", "controller/plan", "controller/render"}
    assert wanted <= {row.pattern for row in rows() if row.pure}
    assert any(row.pure and row.pattern.startswith("engine/check") for row in rows()), "the verdicts of checks are pure"


def test_netlink_sockets_and_the_api_client_have_one_home_each():
    assert all(row.pattern.startswith("engine/net/") for row in rows() if "libnl" in row.libraries)
    assert [row.pattern for row in rows() if "cpprest" in row.libraries] == ["controller/kube"]
    assert all(row.pattern.startswith("engine/net") for row in rows() if "netlink" in row.system)


def test_the_folders_have_no_cycle():
    graph = {row.pattern: {folder for folder in row.folders if folder != row.pattern} for row in rows() if "*" not in row.pattern}
    done = set()
    while graph:
        ready = [folder for folder, needs in graph.items() if needs <= done]
        assert ready, f"a cycle among {sorted(graph)}"
        for folder in ready:
            done.add(folder)
            del graph[folder]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_includes_only_what_the_table_grants(folder):
    wrong = []
    for path in cpp_files(*PRODUCT):
        if str(path.parent.relative_to(ROOT)) != folder:
            continue
        row = row_of(path)
        for line, header, ours in includes(path):
            if ours:
                home = header.rpartition("/")[0]
                if not (ROOT / header).is_file():
                    wrong.append(f"{name(path)}:{line}: \"{header}\" is not a path from the root")
                elif home != folder and home not in row.folders:
                    wrong.append(f"{name(path)}:{line}: {folder} may not use {home} ({header})")
                continue
            for kinds, granted in ((LIBRARIES, row.libraries), (SYSTEM, row.system)):
                needs = [kind for kind, pattern in kinds.items() if re.match(pattern, header)]
                if needs and not granted & set(needs):
                    wrong.append(f"{name(path)}:{line}: {row.pattern} may not use {needs[0]} (<{header}>)")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("folder", [row.pattern for row in rows() if row.pure])
def test_a_pure_folder_is_pure(folder):
    wrong = []
    for path in cpp_files(*PRODUCT):
        row = row_of(path)
        if row is None or row.pattern != folder:
            continue
        for number, line in enumerate(code(path).splitlines(), 1):
            wrong += [f"{name(path)}:{number}: {what}: {line.strip()}" for what, pattern in PURE_PATTERNS.items() if re.search(pattern, line)]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_one_cmake_target(folder):
    lists = (ROOT / folder / "CMakeLists.txt").read_text()
    targets = re.findall(r"^(?:vipkeeper_module|add_library|add_executable)\((\w+)", lists, re.MULTILINE)
    assert targets == ["vipkeeper" if folder == "cmd" else folder.replace("/", "_")]


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != "cmd"])
def test_a_folders_target_links_no_folder_the_table_denies(folder):
    lists = (ROOT / folder / "CMakeLists.txt").read_text()
    granted = {granted for row in rows() if row.pattern.startswith(folder) for granted in row.folders}
    targets = {other.replace("/", "_"): other for other in FOLDERS}
    linked = {targets[word] for word in re.findall(r"\b(?:engine|controller)_[a-z_]+\b", lists)} - {folder}
    assert linked <= granted


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_at_most_twenty_source_files(folder):
    files = [name(path) for path in cpp_files(*PRODUCT) if str(path.parent.relative_to(ROOT)) == folder]
    # A header and its implementation are one thing to look for.
    assert len({file.rsplit(".", 1)[0] for file in files}) <= 20, files
