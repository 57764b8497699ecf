"""Every clause of the VRRP standard that is built has a test."""

import subprocess

from tree import ROOT


def test_no_clause_of_rfc_9568_is_without_a_test():
    done = subprocess.run([ROOT / "tests/list_untested_clauses.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
