"""Which kind of guest: LAB=guest (User Mode Linux, the default) or LAB=emulation (Debian's own kernel, emulated)."""

import os

from emulation import Emulation
from guest import GuestError
from uml import UserModeLinux

KINDS = {"guest": UserModeLinux, "emulation": Emulation}


def chosen():
    name = os.environ.get("LAB", "guest")
    if name not in KINDS:
        raise GuestError(f"LAB={name}: {' or '.join(KINDS)}, please")
    return KINDS[name]
