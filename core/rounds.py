"""Work in rounds, for ever: what a round meets is waited out, and a stop is heard between two."""

from collections.abc import Callable
from typing import Protocol

import structlog
from django.db import connection

from core.faults import where

log = structlog.get_logger(__name__)


class Stop(Protocol):
    """Of `core.shutdown.Shutdown`, what a loop needs."""

    @property
    def requested(self) -> bool: ...

    def wait(self, seconds: float) -> bool: ...


def repeat(
    name: str, step: Callable[[], bool], stop: Stop, *, idle: Callable[[], float], pause: Callable[[int], float]
) -> None:
    """Call `step` until a stop is asked for; it says whether there was as much to do as it can, and then comes again at
    once, otherwise after `idle()` seconds.

    PostgreSQL's absence, and whatever else a step meets, is waited out for `pause(failures in a row)` seconds, with a
    word in the log (`<name>.waiting`, `<name>.resumed`) at the first failure and at the end of them.
    """
    failures = 0
    while not stop.requested:
        try:
            busy = step()
        except Exception as error:
            failures += 1
            if failures == 1:
                log.warning(f"{name}.waiting", error=type(error).__name__, at=where(error))
            connection.close()
            stop.wait(pause(failures))
            continue
        if failures:
            log.warning(f"{name}.resumed", after_failures=failures)
            failures = 0
        if not busy:
            stop.wait(idle())
