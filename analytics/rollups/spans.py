"""Time in the figures: cells, even steps for a chart, and which cells add up to a span. Pure.

A cell is named by its minutes. Cells of every size begin on the hour, at midnight or on a Monday, in UTC, so each lies
in one of every larger size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
#: A Monday, before anything was counted.
ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)
#: The end of a span that has none.
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)

#: The sizes that figures are kept by, in minutes.
CELLS = (1, 10, 60, 1440, 10_080)
#: Steps of a chart, in minutes, and no others: all but the smallest are made of whole cells of some larger size.
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 180, 360, 720, 1440, 10_080, 40_320, 131_040)
#: Points of a panel's chart, about, and cells that a line of it is made of: two hours of minutes, of which each has
#: shards, two weeks of hours, a year of days. More takes longer than anyone waits for a panel.
USUAL, MAX_MINUTES, MAX_CELLS = 60, 120, 400


def floor(moment: datetime, minutes: int = 1) -> datetime:
    """The beginning of the cell or step that a moment lies in."""
    return moment - (moment - ORIGIN) % timedelta(minutes=minutes)


def ceiling(moment: datetime, minutes: int) -> datetime:
    """The first beginning of a cell at or after a moment."""
    return floor(moment + timedelta(minutes=minutes) - timedelta(microseconds=1), minutes)


@dataclass(frozen=True, slots=True)
class Marks:
    """How far the tiers are: cells before `rolled` are complete, cells since `kept` are all still there. A size without
    a mark has no cell yet, or has lost none."""

    rolled: Mapping[int, datetime] = field(default_factory=dict)
    kept: Mapping[int, datetime] = field(default_factory=dict)

    def finest(self, moment: datetime, sizes: Sequence[int]) -> int:
        """The smallest of these sizes whose cells are still there at a moment; the largest when none is."""
        return next((n for n in sizes if n not in self.kept or moment >= self.kept[n]), sizes[-1])

    def window(self, since: datetime, until: datetime, sizes: Sequence[int]) -> tuple[datetime, datetime]:
        """The span that can be told exactly: both ends put back to where a cell begins that is still there. So spans
        that meet still meet. What would be empty by that is one cell."""
        since, until = (min(max(moment, ORIGIN), FOREVER) for moment in (since, until))
        size = self.finest(since, sizes)
        low, high = floor(since, size), floor(until, self.finest(until, sizes))
        if high <= low and floor(since) < floor(until):
            high = low + timedelta(minutes=size)
        return low, high


@dataclass(frozen=True, slots=True)
class Piece:
    """The cells of one size in [since, until)."""

    size: int
    since: datetime
    until: datetime


def pieces(since: datetime, until: datetime, marks: Marks, sizes: Sequence[int]) -> list[Piece]:
    """A window cut into cells, the largest there are: every moment of it is in exactly one. `sizes` ascend from 1."""
    if since >= until:
        return []
    *smaller, size = sizes
    if not smaller:
        return [Piece(size, since, until)]
    low = ceiling(since, size)
    high = min(floor(until, size), marks.rolled.get(size, since))
    if low >= high:
        return pieces(since, until, marks, smaller)
    return [
        *pieces(since, low, marks, smaller),
        Piece(size, low, high),
        *pieces(high, until, marks, smaller),
    ]


def step_for(
    since: datetime, until: datetime, points: int, sizes: Sequence[int], finest: int, *, minutes: int = MAX_MINUTES
) -> int:
    """The smallest step in minutes that draws a span in no more than `points`, and one more where it begins within a
    step. It is made of whole cells of the size `finest`, and of so large ones that so many `minutes`, or MAX_CELLS, are
    enough, or in proportion more where more than USUAL points are asked for: a day by half hours must not be read
    minute by minute, nor a month by half days hour by hour. The largest step when none draws it."""
    length, more = until - since, max(1, points // USUAL)
    for step in STEPS:
        size = max(size for size in sizes if step % size == 0)
        cells = length / timedelta(minutes=size)
        fits = step % finest == 0 and cells <= more * (minutes if size == 1 else MAX_CELLS)
        if fits and until <= floor(since, step) + (points + 1) * timedelta(minutes=step):
            return step
    return STEPS[-1]


def beginnings(since: datetime, until: datetime, step: int) -> Iterator[datetime]:
    """When each step of a span begins; the first may begin before `since`."""
    at = floor(since, step)
    while at < until:
        yield at
        at += timedelta(minutes=step)
