"""Processes that a test starts, freezes and kills: whole process groups, by id, and none survives the test."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """One running program with its children, in a process group of its own. What it says goes to `log`."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, *, user: str | None = None
    ) -> None:
        self.name, self.log = name, log
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                list(command),
                env=dict(env),
                cwd=ROOT if user is None else log.parent,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                extra_groups=None if user is None else [],
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """To the whole group."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and wait until it is gone. Children that outlive their parent are killed too."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(30)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM to the program itself, as a service manager does; the exit code. Killed when it takes too long."""
        if self.code is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def ends(self, seconds: float) -> int:
        """Wait until it ends by itself; the exit code."""
        return self._process.wait(seconds)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def wait_until(condition: Callable[[], object], seconds: float = 30.0, what: str = "it") -> None:
    """Fails with a sentence when it did not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.05)
