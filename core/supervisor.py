"""Several processes in one terminal: fork each, bring a dead one back, stop them all together.

Unix only. The parent must have no thread that matters when `run` is called: a fork copies the calling thread alone.
"""

import ctypes
import os
import random
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType

import structlog
from django.core.management.base import CommandError
from django.db import connections

log = structlog.get_logger(__name__)

#: First wait before a dead child is started again; it doubles with each death, up to the longest.
BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
#: A child that lived this long has recovered: its next death counts as the first.
STEADY_SECONDS = 60.0
#: A second signal that comes later than this means: at once.
PATIENCE_SECONDS = 1.0

_PR_SET_PDEATHSIG = 1  # prctl(2)


def backoff(deaths: int) -> float:
    """Seconds to wait after the n-th death in a row: exponential, with jitter over its upper half, so that children
    that die of one cause don't come back in step."""
    window = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(deaths - 1, 16))
    return window * random.uniform(0.5, 1.0)


@dataclass(slots=True)
class _Child:
    """One name of the mapping; `pid` is 0 while it waits for `start_at` (monotonic seconds)."""

    name: str
    target: Callable[[], object]
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0


class _Signals:
    """SIGTERM, SIGINT and SIGCHLD as something to wait for; the previous handlers come back on leaving."""

    def __init__(self) -> None:
        self.stops = 0
        self._last = 0.0
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def __enter__(self) -> "_Signals":
        self._before = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._stop),
            signal.SIGINT: signal.signal(signal.SIGINT, self._stop),
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda number, frame: None),
        }
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Count it, unless it follows on the heels of another: terminals and supervisors often send two at once."""
        now = time.monotonic()
        if not self.stops or now - self._last > PATIENCE_SECONDS:
            self.stops += 1
        self._last = now

    def wait(self, seconds: float) -> None:
        """Until a signal comes or the time is over."""
        if select.select([self._read], [], [], max(seconds, 0.0))[0]:
            os.read(self._read, 4096)


def run(children: Mapping[str, Callable[[], object]], *, drain_seconds: float) -> int:
    """Run every child in a process of its own until SIGTERM or SIGINT, then stop them; returns the exit code, 0.

    A child is expected to run until SIGTERM. One that ends earlier, for whatever reason, is started again after
    `backoff`. The first signal is passed on once, as SIGTERM; after `drain_seconds`, or at a second signal, what is
    still alive is killed and named in the log. Children die with the parent, however it dies.
    """
    family = [_Child(name, target) for name, target in children.items()]
    with _Signals() as signals:
        try:
            while not signals.stops:
                _start_due(family)
                signals.wait(_next_wait(family))
                _reap(family)
            _stop(family, signals, drain_seconds)
        finally:
            _kill(family)
    return 0


def _start_due(family: list[_Child]) -> None:
    now = time.monotonic()
    for child in family:
        if not child.pid and child.start_at <= now:
            child.pid, child.started_at = _fork(child), now


def _next_wait(family: list[_Child]) -> float:
    """Seconds until a child is due again; SIGCHLD wakes us earlier, a minute is only the upper bound."""
    now = time.monotonic()
    return min((child.start_at - now for child in family if not child.pid), default=60.0)


def _reap(family: list[_Child], *, stopping: bool = False) -> None:
    """Take note of the children that ended. Only our own pids are waited for, never somebody else's child."""
    now = time.monotonic()
    for child in family:
        if not child.pid:
            continue
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if not pid:
            continue
        child.pid = 0
        if stopping:
            continue
        child.deaths = 1 if now - child.started_at > STEADY_SECONDS else child.deaths + 1
        pause = backoff(child.deaths)
        child.start_at = now + pause
        code = os.waitstatus_to_exitcode(status)
        log.warning("child_ended", child=child.name, code=code, restart_in_s=round(pause, 1))


def _stop(family: list[_Child], signals: _Signals, drain_seconds: float) -> None:
    """Pass the signal on and wait for the children to finish what they have in hand."""
    for child in family:
        if child.pid:
            os.kill(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + drain_seconds
    while any(child.pid for child in family) and signals.stops < 2:
        left = deadline - time.monotonic()
        if left <= 0:
            return
        signals.wait(min(left, 1.0))
        _reap(family, stopping=True)


def _kill(family: list[_Child]) -> None:
    """The last resort, by process group, so that a child's own children go with it."""
    for child in family:
        if child.pid:
            log.error("child_killed", child=child.name, pid=child.pid, why="it had not stopped yet")
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:  # died before it could found its group
                os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            child.pid = 0


def _fork(child: _Child) -> int:
    """Start a child. Connections are closed first: a socket shared by two processes would mix their answers."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # A signal between the fork and the reset below would run the parent's handler in the child and be lost.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    pid = os.fork()
    if not pid:
        _be_child(child, parent, held)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    return pid


def _be_child(child: _Child, parent: int, mask: set[int]) -> None:
    """The child's life; never returns. `os._exit` keeps it from running the parent's exit handlers."""
    code = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C in the terminal reaches the parent alone, which passes it on once
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        random.seed()
        _die_with(parent)
        child.target()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except CommandError as error:
        log.error("child_failed", child=child.name, error=str(error))  # noqa: TRY400  the sentence is the message
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """SIGTERM to ourselves when the parent is gone, so that no orphan holds a port or a lease."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
