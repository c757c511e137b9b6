"""Time in the figures: whole minutes, and even steps for a chart."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
#: A Monday: steps of a week begin on one, all others on the hour or at midnight, in UTC.
ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)

#: Steps of a chart, in minutes, and no others: each lies evenly in the next larger cell that figures are kept by.
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 180, 360, 720, 1440, 10_080, 40_320, 131_040)


def floor(moment: datetime, step: timedelta = MINUTE) -> datetime:
    """The beginning of the step that a moment lies in."""
    return moment - (moment - ORIGIN) % step


def step_for(since: datetime, until: datetime, points: int) -> timedelta:
    """The smallest step that draws a span in no more than `points`, and one more where it begins within a step; the
    largest when none does."""
    for minutes in STEPS:
        step = timedelta(minutes=minutes)
        if until <= floor(since, step) + (points + 1) * step:
            return step
    return timedelta(minutes=STEPS[-1])


def beginnings(since: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    """When each step of a span begins; the first may begin before `since`."""
    at = floor(since, step)
    while at < until:
        yield at
        at += step
