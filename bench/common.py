"""What the benchmarks share: the lab, statistics, and the files README quotes (bench/results)."""

import json
import os
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
REPOSITORY = BENCH.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))
sys.dont_write_bytecode = True
WHERE = {"guest": "User Mode Linux guest, one CPU", "emulation": "emulated, one CPU", None: "namespaces on the host"}


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def milliseconds(seconds):
    """Three significant digits, as a reader wants them."""
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def table(header, rows):
    """A Markdown table, padded so that it reads well as plain text too."""
    lines = [header, *rows]
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(header))]
    text = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text) + "\n"


def versions():
    """What was compared, on what."""
    from vklab.node import vipkeeper_program
    keepalived = subprocess.run(["keepalived", "--version"], capture_output=True, text=True).stderr.splitlines()[0]
    ours = subprocess.run([vipkeeper_program(), "version"], capture_output=True, text=True).stdout.strip()
    where = WHERE[os.environ.get("LAB_INSIDE")]
    return f"{ours.splitlines()[0]}; {keepalived}; kernel {os.uname().release}, {where}"


def templates_without_checks(directory):
    from vklab.manifests import templates_without_checks as write
    return write(REPOSITORY / "templates", directory)


def leave_results(name, markdown, data, about=None):
    """Prints the table and leaves it, with the single measurements, where bench/run picks them up.

    `about`: what was compared on what, where that is not keepalived in the lab."""
    about = about or versions()
    text = f"{markdown}\n{about}.\n"
    print("\n" + text, flush=True)
    directory = pathlib.Path(os.environ.get("LAB_OUT") or BENCH / "results")
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.md").write_text(text)
    (directory / f"{name}.json").write_text(json.dumps({"about": about, **data}, indent=1) + "\n")


def in_the_lab(name):
    """Whether we are inside the lab; if not, goes there by way of bench/run and does not come back."""
    if not os.environ.get("LAB_INSIDE"):
        os.execv(BENCH / "run", [str(BENCH / "run"), name, *(["--", *sys.argv[1:]] if sys.argv[1:] else [])])
