"""SIGTERM and SIGINT as a question a loop can ask: finish what is in hand, then leave with 0."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Shutdown:
    """Installs the handlers (main thread only) and remembers that a stop was asked for. `on_stop` callbacks run in the
    signal handler: they must be quick and must not block."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when a stop is asked for; whether it was."""
        return self._event.wait(seconds)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._event.set()
        for callback in self._callbacks:
            callback()
