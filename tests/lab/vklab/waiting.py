"""Waiting for conditions. Tests never sleep for a fixed time and hope."""

import time


def wait_until(condition, timeout, what, pause=0.004):
    """Returns the first true value of `condition()`; an AssertionError that names `what` and the last value after `timeout` s.

    A condition may raise OSError or AssertionError to say "not yet" (a socket that is not there, a file half made). `pause`: seconds
    between two looks, more where a look is dear.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, AssertionError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s; last seen: {last!r}")
        time.sleep(pause)


def holds_for(condition, seconds, what, pause=0.01):
    """Fails as soon as `condition()` is not true, within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"{what}: no longer so"
        time.sleep(pause)
