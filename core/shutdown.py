"""SIGTERM and SIGINT as a question a loop can ask: finish what is in hand, then leave with 0."""

import os
import select
import signal
from collections.abc import Callable
from types import FrameType


class Shutdown:
    """Installs the handlers (main thread only) and remembers that a stop was asked for.

    `on_stop` callbacks run in the signal handler: they must be quick and take no lock. For the same reason the flag is
    a pipe and not a threading.Event, whose lock the interrupted code may hold.
    """

    def __init__(self) -> None:
        self.requested = False
        self._callbacks: list[Callable[[], None]] = []
        self._read, self._write = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have it called when a stop is asked for; at once when one was asked for already, while the process was still
        starting. It may be called twice."""
        self._callbacks.append(callback)
        if self.requested:
            callback()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when a stop is asked for; whether it was."""
        if not self.requested:
            select.select([self._read], [], [], max(0.0, seconds))
        return self.requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            os.write(self._write, b"x")
            for callback in self._callbacks:
                callback()
