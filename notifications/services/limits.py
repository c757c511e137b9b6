"""The limits as they are asked, kept in the process for a moment: they are few, seldom change and are asked always."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import structlog
from django.db import Error as DatabaseError

from notifications.models.limits import RateLimit

log = structlog.get_logger(__name__)

#: A change in the admin is in force everywhere after this long, and costs one query a process.
KEEP_SECONDS = 2.0


class Limit(NamedTuple):
    """At most `max` in any `seconds`."""

    max: int
    seconds: int


Limits = Mapping[tuple[str, str], Limit]


class LimitCache:
    """The limits that are on, by (scope, target), re-read when older than KEEP_SECONDS."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._limits: Limits | None = None

    def all(self) -> Limits:
        """Without PostgreSQL the last known ones: an outage must lift no limit. Raises django.db.Error when there are
        none known yet."""
        now = time.monotonic()
        if self._limits is None or now - self._read_at >= KEEP_SECONDS:
            try:
                rows = list(RateLimit.objects.filter(is_on=True).values_list("scope", "target", "max", "per_seconds"))
                self._limits = {(scope, target): Limit(max, seconds) for scope, target, max, seconds in rows}
            except DatabaseError:
                if self._limits is None:
                    raise
                log.warning("limits_not_read", kept=len(self._limits))
            self._read_at = now
        return self._limits

    def forget(self, **_: object) -> None:
        """Read again at the next call. Receives RateLimit's signals, so that a process sees its own writes."""
        self._read_at = float("-inf")


#: Shared by every RateLimiter of the process.
limit_cache = LimitCache()
