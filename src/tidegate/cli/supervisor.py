"""One process per core: fork the workers, replace one that dies, stop them all together.

The supervisor runs no event loop, no thread and no database connection, so that a fork at any time
is safe. A worker learns of the supervisor's death by the end of a pipe.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

_QUICK_DEATH = 2.0
"""Seconds: a worker that dies younger than this counts as unable to start."""
_QUICK_DEATHS_LIMIT = 5

UNFIT = 3
"""Exit status of a worker that cannot serve at all: replacing it would not help."""

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)

Worker = Callable[[int, int, Callable[[], None]], None]
"""Serves until told to stop: (number, pipe that ends with the supervisor, call when ready)."""


class Supervisor:
    """Runs `count` workers until SIGTERM or SIGINT; `grace` seconds later they are killed."""

    def __init__(self, work: Worker, count: int, grace: float) -> None:
        self._work = work
        self._count = count
        self._grace = grace
        self._workers: dict[int, int] = {}  # process id -> worker number
        self._started: dict[int, float] = {}
        self._quick_deaths = 0
        self._stopping = False
        self._lifeline, self._held = os.pipe()
        self._readiness, self._ready = os.pipe()

    def run(self, ready: Callable[[], None]) -> int:
        """Serve; `ready` is called once all workers answer. Returns the exit status."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        for number in range(self._count):
            self._fork(number)
        if self._all_ready():
            ready()
        return self._watch()

    def _all_ready(self) -> bool:
        os.close(self._ready)  # the forked workers hold it: the pipe ends when the last has died
        self._ready = -1
        count = 0
        while count < self._count:
            report = os.read(self._readiness, self._count)
            if not report:
                return False
            count += len(report)
        return True

    def _watch(self) -> int:
        status = 0
        while self._workers:
            pid, wait_status = os.waitpid(-1, 0)
            number = self._workers.pop(pid, None)
            if number is None or self._stopping:
                continue
            code = os.waitstatus_to_exitcode(wait_status)
            young = time.monotonic() - self._started.pop(pid) < _QUICK_DEATH
            self._quick_deaths = self._quick_deaths + 1 if young and code > 0 else 0
            if self._quick_deaths >= _QUICK_DEATHS_LIMIT or code == UNFIT:
                status = 1
                self._stop(signal.SIGTERM, None)
                continue
            cause = signal.Signals(-code).name if code < 0 else f"status {code}"
            sys.stderr.write(f"tidegate: worker {number} ended ({cause}), starting another\n")
            if young:
                time.sleep(_QUICK_DEATH / 10)
            self._fork(number)
        signal.alarm(0)
        return status

    def _fork(self, number: int) -> None:
        # Held back meanwhile: a child must not act on a signal with the supervisor's handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        pid = os.fork()
        if pid == 0:
            self._become_worker(number)
        self._workers[pid] = number
        self._started[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        if self._stopping:
            os.kill(pid, signal.SIGTERM)

    def _become_worker(self, number: int) -> NoReturn:
        code = 1
        try:
            os.close(self._held)
            for each in _HANDLED:
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; we are told
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            self._work(number, self._lifeline, self._report_ready)
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _report_ready(self) -> None:
        if self._ready >= 0:  # nobody waits for the report of a replacement
            os.write(self._ready, b".")
            os.close(self._ready)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            signal.setitimer(signal.ITIMER_REAL, self._grace)
        self._signal_workers(signal.SIGTERM)

    def _kill(self, _signal: int, _frame: FrameType | None) -> None:
        self._signal_workers(signal.SIGKILL)

    def _signal_workers(self, which: signal.Signals) -> None:
        for pid in self._workers:
            try:
                os.kill(pid, which)
            except ProcessLookupError:
                continue
