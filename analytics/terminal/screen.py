"""The view that goes on: reads every few seconds, follows the size of the window, ends at `q` or Ctrl-C."""

import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, close_old_connections
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from analytics.terminal import draw
from analytics.terminal.gather import Snapshot, snapshot

#: How late a key or another window size is noticed.
TICK_SECONDS = 0.2
QUIT = frozenset("qQ\x03\x04\x1b")


class Screen:
    """What is shown, and whether it could be read anew. Without PostgreSQL the last figures stay, and say how old they
    are."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown: Snapshot | None = None
        self.trouble = ""

    def read(self) -> None:
        try:
            self.shown = snapshot()
            self.trouble = ""
        except Error as error:
            self.trouble = f"PostgreSQL does not answer ({type(error).__name__})."
        finally:
            close_old_connections()

    def page(self) -> RenderableType:
        if self.shown is None:
            return Text(f"! {self.trouble}" if self.trouble else "Reading…", style="bold red")
        width, plain = self.console.width, self.console.options.ascii_only
        return draw.whole(self.shown, width=width, plain=plain, trouble=self.trouble)

    def run(self, seconds: float) -> None:
        """Until a key ends it."""
        with _keys() as pressed, Live(console=self.console, screen=True, auto_refresh=False) as view:
            while True:
                self.read()
                view.update(self.page(), refresh=True)
                if self._wait(seconds, view, pressed):
                    return

    def _wait(self, seconds: float, view: Live, pressed: "_Keys") -> bool:
        """Whether a key ended it meanwhile."""
        until, size = time.monotonic() + seconds, self.console.size
        while (left := until - time.monotonic()) > 0:
            if pressed.any_of(QUIT, within=min(left, TICK_SECONDS)):
                return True
            if self.console.size != size:
                size = self.console.size
                view.update(self.page(), refresh=True)
        return False


class _Keys:
    """The keyboard, one key at a time; without one, just the time."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def any_of(self, keys: frozenset[str], *, within: float) -> bool:
        if self._fd is None:
            time.sleep(within)
            return False
        if not select.select([self._fd], [], [], within)[0]:
            return False
        pressed = sys.stdin.read(1)
        return not pressed or pressed in keys  # nothing: the terminal is gone


@contextmanager
def _keys() -> Iterator[_Keys]:
    """Keys come as they are pressed, and are not shown; afterwards the terminal is as it was."""
    if not sys.stdin.isatty():
        yield _Keys(None)
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield _Keys(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
