"""What the rules of the house are checked against: the files, their includes, and the table in docs/architecture.md."""

import re
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("engine", "controller", "cmd")

# Headers by the name under which the table grants them. Whatever matches none of these is open to every folder.
LIBRARIES = {
    "libnl": r"netlink/",
    "cpprest": r"(cpprest|pplx)/",
    "nlohmann": r"nlohmann/",
    "simdjson": r"simdjson\.h",
    "yaml-cpp": r"yaml-cpp/",
    "mustache": r"(kainjow/)?mustache\.hpp",
    "prometheus": r"prometheus/",
    "httplib": r"httplib\.h",
    "spdlog": r"spdlog/",
    "cli11": r"CLI/",
    "openssl": r"openssl/",
    "capng": r"cap-ng\.h",
    "boost": r"boost/",
    "curl": r"curl/",
    "nftables": r"nftables/",
}
SYSTEM = {
    "threads": r"(thread|mutex|shared_mutex|condition_variable|future|atomic|semaphore|latch|barrier|stop_token|pthread\.h)$",
    "descriptors": r"(unistd\.h|poll\.h|sys/(epoll|eventfd|timerfd|signalfd)\.h)$",
    "addresses": r"arpa/inet\.h$",
    "files": r"(fstream|iostream|ostream|istream|filesystem|cstdio|stdio\.h|fcntl\.h|dirent\.h|sys/(stat|inotify|file|mman)\.h)$",
    "sockets": r"(sys/(socket|un|uio)\.h|netinet/|net/|netdb\.h|ifaddrs\.h|linux/if_packet\.h|linux/filter\.h)",
    "netlink": r"linux/",
    "processes": r"(spawn\.h|signal\.h|csignal|sys/(wait|prctl|capability|resource|utsname|time|ioctl)\.h|pwd\.h|grp\.h|sched\.h|pthread\.h)$",
}


@dataclass(frozen=True)
class Row:
    pattern: str
    folders: frozenset
    libraries: frozenset
    system: frozenset
    pure: bool


def ticks(cell):
    return frozenset(re.findall(r"`([^`]+)`", cell))


@cache
def rows():
    """The table, in its order."""
    found = []
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 6:
            (pattern,) = ticks(cells[0])
            found.append(Row(pattern, ticks(cells[2]), ticks(cells[3]), ticks(cells[4]), cells[5] == "yes"))
    return found


def row_of(path):
    """The row a product file stands under: one with a file pattern before that of its folder."""
    name = str(path.relative_to(ROOT))
    for row in rows():
        if "*" in row.pattern and fnmatch(name, row.pattern):
            return row
    for row in rows():
        if row.pattern == str(path.parent.relative_to(ROOT)):
            return row
    return None


@cache
def tracked():
    """Every file of the project: what git knows, and what it would take."""
    listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return sorted(path for path in (ROOT / name for name in names if name) if path.is_file())
    return sorted(path for path in ROOT.rglob("*") if path.is_file() and not {"build", ".git"} & set(path.relative_to(ROOT).parts))


def cpp_files(*folders):
    return [path for path in tracked() if path.suffix in (".h", ".cpp") and path.relative_to(ROOT).parts[0] in folders]


@cache
def code(path):
    """The text of a C++ file without comments and without the content of its literals; line breaks stay."""
    text = path.read_text()
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

    def blank(match):
        kept = match.group(0)
        line_start = text.rfind("\n", 0, match.start()) + 1
        if kept.startswith('"') and text[line_start:match.start()].strip().startswith("#include"):
            return kept
        return ("''" if kept[0] == "'" else '""' if kept[0] in '"R' else "") + "\n" * kept.count("\n")

    return token.sub(blank, text)


def includes(path):
    """[(line, name, is it ours)]"""
    found = []
    for number, line in enumerate(code(path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            found.append((number, match.group(2), match.group(1) == '"'))
    return found


def name(path):
    return str(path.relative_to(ROOT))
