"""When a campaign goes out. Pure: values in, aware moments in UTC out."""

import calendar
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.choices import Recurrence

#: Days looked ahead for the next occurrence: any rule has one within a month.
_LOOK_AHEAD = 62
#: Where a day begins first on earth, and last.
FIRST_ZONE, LAST_ZONE = "Pacific/Kiritimati", "Etc/GMT+12"


def zone(name: str) -> tzinfo:
    """The zone of this IANA name; UTC for one that does not exist (any more)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def local_moment(day: date, at: time, zone_name: str) -> datetime:
    """The moment a wall clock of this zone shows `at` on this day.

    Where the clock jumps over it, it moves on by as much as was left out (02:30 becomes 03:30); where it shows it
    twice, the first time counts. PEP 495 with fold=0 means just that.
    """
    return datetime.combine(day, at.replace(tzinfo=None, fold=0), tzinfo=zone(zone_name)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence: at `at` o'clock of `zone`; `on` are days of the week (Monday is 1) or of the month, where a day
    that a month lacks is its last."""

    recurrence: str
    on: Collection[int]
    at: time
    zone: str
    until: date | None = None

    def next(self, after: datetime) -> datetime | None:
        """The first occurrence later than `after`; None when there is none any more."""
        day = after.astimezone(zone(self.zone)).date() - timedelta(days=1)
        for _ in range(_LOOK_AHEAD):
            if self.until is not None and day > self.until:
                return None
            if self._falls_on(day) and (moment := local_moment(day, self.at, self.zone)) > after:
                return moment
            day += timedelta(days=1)
        return None

    def _falls_on(self, day: date) -> bool:
        if self.recurrence == Recurrence.DAILY:
            return True
        if self.recurrence == Recurrence.WEEKLY:
            return day.isoweekday() in self.on
        last = calendar.monthrange(day.year, day.month)[1]
        return day.day in {min(one, last) for one in self.on}
