"""The hours in which a person is not to be disturbed. Pure: values in, values out, `now` among them.

It is quiet whenever the clock on that person's wall shows a time in the window: from its start on, and before its end.
So where clocks are put forward, a window that would end in the hour that is left out ends when that hour would have
begun, one that would start in it starts there, and one that lies in it is left out as well. Where they are put back,
a window is quiet each time its hours come round: until 02:30, and again from the second 02:00 to the second 02:30.
A window of nearly a whole day may lose all of the rest to the hour that is left out; then the first minute after it
counts as free, so that nobody waits for two days.
"""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

_MINUTE, _DAY, _MINUTES = 60, 24 * 3600, 24 * 60
#: Clocks are put forward by an hour, and have been by two.
_LONGEST_TURN = 2 * 3600
_WRITTEN = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s?[-\u2013]\s?([01]?[0-9]|2[0-3]):([0-5][0-9])")


class QuietHours(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A window on each day, in minutes after midnight: `start` is in it, `end` is not; a start after the end passes
    midnight. `timezone` is an IANA name; one that this machine does not know counts as UTC."""

    start: int
    end: int
    timezone: str

    def __str__(self) -> str:
        return f"{written(self.start, self.end)} {self.timezone}"


def parsed(text: str) -> tuple[int, int] | None:
    """`22:00-07:30` in minutes after midnight; None for what is no window, one of no length or of a whole day among
    it."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, end_hours, end_minutes = map(int, match.groups())
    start, end = hours * 60 + minutes, end_hours * 60 + end_minutes
    return None if start == end else (start, end)


def written(start: int, end: int) -> str:
    """`22:00-07:30`."""
    return f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


def minutes(at: time) -> int:
    """Minutes after midnight."""
    return at.hour * 60 + at.minute


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """The zone of this name; UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of names
        return UTC


@lru_cache(maxsize=4096)
def quiet_until(hours: QuietHours, now: datetime) -> datetime | None:
    """When it is quiet no longer, in UTC: always later than `now`, and at most about a day and an hour. None when it is
    not quiet at `now`, which is aware. Remembered, because a batch asks the same for many people."""
    place = zone(hours.timezone)
    at = now.astimezone(UTC).replace(microsecond=0)
    left = _left(hours, at, place)
    if not left:
        return None
    while left:
        end = at + timedelta(seconds=left)
        turned = _turned(place, at, end)
        if turned is None:
            return end
        at, left = turned, _left(hours, turned, place)
    return at


def quiet_ended(hours: QuietHours, now: datetime) -> datetime | None:
    """When it was quiet last before `now`, at which it is not: the end of that window. None where clocks were put
    forward past all of it, and past the one before."""
    place = zone(hours.timezone)
    today = now.astimezone(place).date()
    for days in range(3):  # one that began yesterday may have ended today
        day = datetime.combine(today - timedelta(days=days), time(*divmod(hours.start, 60)), tzinfo=place)
        ended = quiet_until(hours, day.astimezone(UTC))
        if ended is not None and ended <= now:
            return ended
    return None


def _left(hours: QuietHours, at: datetime, place: tzinfo) -> int:
    """Seconds until the end of the window by the clock on the wall; 0 outside it."""
    second = _second(at, place)
    since = (second - hours.start * _MINUTE) % _DAY
    length = (hours.end - hours.start) * _MINUTE % _DAY
    if since >= length or (_DAY - length <= _LONGEST_TURN and _is_left_out(hours, at, second, place)):
        return 0
    return length - since


def _is_left_out(hours: QuietHours, at: datetime, second: int, place: tzinfo) -> bool:
    """Whether clocks were put forward within this minute, past all of the time between two windows."""
    following = _second(at - timedelta(minutes=1), place) // _MINUTE + 1
    skipped = (second // _MINUTE - following) % _MINUTES
    free_from, free = (hours.end - following) % _MINUTES, (hours.start - hours.end) % _MINUTES
    return skipped <= _LONGEST_TURN // _MINUTE and free_from + free <= skipped


def _second(at: datetime, place: tzinfo) -> int:
    """Of the day, by the clock on the wall."""
    wall = at.astimezone(place)
    return wall.hour * 3600 + wall.minute * _MINUTE + wall.second


def _turned(place: tzinfo, since: datetime, until: datetime) -> datetime | None:
    """When clocks are put forward or back, after `since` and not after `until`; None when they are not."""
    before = since.astimezone(place).utcoffset()
    if until.astimezone(place).utcoffset() == before:
        return None
    low, high = int(since.timestamp()), int(until.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, place).utcoffset() == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def told(until: datetime, timezone: str) -> str:
    """`Quiet until 07:30 Europe/Berlin (06:30 UTC)`."""
    place = zone(timezone)
    utc = f"{until.astimezone(UTC):%H:%M} UTC"
    return (
        f"Quiet until {utc}"
        if place is UTC or timezone == "UTC"
        else f"Quiet until {until.astimezone(place):%H:%M} {timezone} ({utc})"
    )
