"""Whose quiet hours count: a person's own, or for who has none those of the installation."""

from datetime import time
from functools import lru_cache

from django.conf import settings

from preferences.quiet_hours import QuietHours, minutes, parsed


def quiet_of(start: time | None, end: time | None, timezone: str, *, never: bool) -> QuietHours | None:
    """The quiet hours of somebody with these of their own, both or neither given, in this time zone; None without, and
    for who `never` wants any."""
    if never:
        return None
    if start is not None and end is not None:
        return QuietHours(minutes(start), minutes(end), timezone)
    window = of_everybody()
    return None if window is None else QuietHours(*window, timezone)


def of_everybody() -> tuple[int, int] | None:
    """settings.QUIET_HOURS in minutes after midnight; None without. A start-up check refuses what is neither."""
    return _parsed(settings.QUIET_HOURS) if settings.QUIET_HOURS else None


_parsed = lru_cache(maxsize=8)(parsed)
