"""The first root of an emulated guest, in memory: busybox, the modules that reach the host's files, and a script. (cpio, newc)"""

import pathlib
import stat

# The parameters lab_* come as environment, here as in init.sh.
SCRIPT = """#!/bin/busybox sh
for module in {modules}; do /bin/busybox insmod /modules/$module || exit 1; done
/bin/busybox mount -t virtiofs -o ro root /host || exit 1
/bin/busybox mount -t devtmpfs dev /host/dev || exit 1
exec /bin/busybox switch_root /host "$lab_init"
"""


def build(busybox, modules):
    """`modules`: their files, in the order in which they can be loaded."""
    modules = [pathlib.Path(module) for module in modules]
    directory, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    entries = [(folder, directory, b"", 0) for folder in ("bin", "dev", "modules", "host")]
    entries.append(("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
    entries.append(("bin/busybox", program, pathlib.Path(busybox).read_bytes(), 0))
    entries += [(f"modules/{module.name}", program, module.read_bytes(), 0) for module in modules]
    entries.append(("init", program, SCRIPT.format(modules=" ".join(module.name for module in modules)).encode(), 0))
    entries.append(("TRAILER!!!", 0, b"", 0))
    return b"".join(entry(number, *each) for number, each in enumerate(entries, 1))


def entry(number, name, mode, content, device):
    name = name.encode() + b"\0"
    major, minor = device or (0, 0)
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return padded(head) + padded(content)


def padded(data):
    return data + b"\0" * (-len(data) % 4)
