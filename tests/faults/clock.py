"""A process whose clock is wrong: `time.time`, `datetime.now` and the time in its new ids, all by the same offset."""

import datetime as standard
import sys
import time
from typing import Any
from uuid import UUID

_Real = standard.datetime
#: Packages whose clocks are shifted: ours, and Django, which makes many of our times.
_PACKAGES = ("core", "preferences", "notifications", "channels_app", "analytics", "campaigns", "django.utils.timezone")


class _Kind(type(_Real)):  # type: ignore[misc]
    """A plain datetime, as PostgreSQL's driver makes them, is still one."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)


def shift(seconds: float) -> None:
    """From now on this process is `seconds` ahead of everybody else (negative: behind)."""
    offset = standard.timedelta(seconds=seconds)
    real_time, real_time_ns = time.time, time.time_ns

    class Shifted(_Real, metaclass=_Kind):
        @classmethod
        def now(cls, tz: Any = None) -> _Real:  # type: ignore[override]
            return _Real.now(tz) + offset

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)  # of which the keys of batches are made
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGES) and getattr(module, "datetime", None) is _Real:
            module.datetime = Shifted  # type: ignore[attr-defined]
    _shift_ids(int(seconds * 1000))


def _shift_ids(milliseconds: int) -> None:
    from core import ids

    made = ids._uuid.uuid7

    class Wrong:
        @staticmethod
        def uuid7() -> UUID:
            return UUID(int=made().int + (milliseconds << 80))

    ids._uuid = Wrong  # type: ignore[assignment]
