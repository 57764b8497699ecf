"""A worker: a forked child that does one thing on its own (probe, serve, watch) and hands back one value when stopped.

A process and not a thread, so that the test's own work does not delay it. It dies with its parent.
"""

import ctypes
import os
import pickle
import signal
import traceback


class Worker:
    """Runs `function(stop)` in a child, where `stop` is a file descriptor that turns readable when it is time to return."""

    def __init__(self, function):
        stop_reader, self._stop = os.pipe()
        self._result, result_writer = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            os.close(stop_reader)
            os.close(result_writer)
            return
        try:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os._exit(1)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
            os.close(self._stop)
            try:
                outcome = (True, function(stop_reader))
            except BaseException:
                outcome = (False, traceback.format_exc())
            with open(result_writer, "wb") as pipe:
                pickle.dump(outcome, pipe)
        finally:
            os._exit(0)

    def finish(self):
        """Tells it to stop, waits, and returns what the function returned; what it raised is raised here."""
        self._hang_up()
        with open(self._result, "rb") as pipe:
            raw = pipe.read()
        os.waitpid(self.pid, 0)
        self.pid = None
        if not raw:
            raise RuntimeError("a worker of the lab died")
        good, value = pickle.loads(raw)
        if not good:
            raise RuntimeError(f"a worker of the lab failed:\n{value}")
        return value

    def kill(self):
        """Ends it without asking for its result."""
        if self.pid is not None:
            self._hang_up()
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
            os.close(self._result)

    def _hang_up(self):
        if self._stop is not None:
            os.write(self._stop, b"!")  # closing alone would not do: workers forked later hold copies of this end
            os.close(self._stop)
            self._stop = None
