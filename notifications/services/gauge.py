"""How full a table is, for those who must ask before every call: counted now and then, never by two at once."""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

#: How old the figure may be: at 16,000 notifications a second it is then a twelfth of the outbox's bound behind.
REFRESH_SECONDS = 1.0
#: And this many times longer than counting took (0.2 s for 200,000 rows): overload is no time to burden PostgreSQL.
REST = 20


class Gauge:
    """Whether a table has more rows than its bound, counted once a second in a process at most: one caller counts, the
    others go by the figure before.

    `count` is told how many to count at most, and may raise django.db.Error; a bound of 0 is none.
    """

    def __init__(self, name: str, count: Callable[[int], int], bound: Callable[[], int]) -> None:
        self._name = name
        self._count = count
        self._bound = bound
        self._counting = threading.Lock()
        self._count_at = float("-inf")
        self._found = 0

    def is_full(self) -> bool:
        """Whether there are more rows than the bound. Raises what `count` raises."""
        bound = self._bound()
        if not bound:
            return False
        if time.monotonic() >= self._count_at and self._counting.acquire(blocking=False):
            try:
                self._refresh(bound)
            finally:
                self._counting.release()
        return self._found > bound

    def _refresh(self, bound: int) -> None:
        was_full, began = self._found > bound, time.monotonic()
        self._found = self._count(bound + 1)
        ended = time.monotonic()
        self._count_at = ended + max(REFRESH_SECONDS, REST * (ended - began))
        if was_full != (self._found > bound):
            log.warning("overload_ended" if was_full else "overload_began", table=self._name, bound=bound)

    def forget(self) -> None:
        """Count again at the next call."""
        self._count_at, self._found = float("-inf"), 0
