"""A control plane of one's own for tests on this machine itself, without root: no kernel is touched here."""

import pathlib
import sys

import pytest

KUBERNETES = pathlib.Path(__file__).resolve().parents[1] / "kubernetes"
sys.path.insert(0, str(KUBERNETES))

from control_plane import ControlPlane  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=40, help="of start, watch and end")
    parser.addoption("--valgrind-rounds", type=int, default=3, help="the same under valgrind")


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    one = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        one.start()
        yield one
    finally:
        one.stop()
