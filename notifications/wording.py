"""Times, spans and lists as they stand in a sentence."""

from collections.abc import Sequence
from datetime import datetime, timedelta

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def day(at: datetime | None) -> str:
    """`27 Nov 2026, 14:03:07 UTC`."""
    return "an unknown day" if at is None else f"{at:%-d %b %Y, %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """`5 minutes`, `1 day`, `90 seconds`: the largest unit that leaves no rest."""
    whole = max(0, round(seconds))
    size, unit = next((one for one in _UNITS if whole and whole % one[0] == 0), _UNITS[-1])
    count = whole // size
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def soon(seconds: float) -> str:
    """How long something waits, roughly: `in 4 seconds`, `in 12 minutes`."""
    if seconds < 90:
        return f"in {span(max(1.0, seconds))}"
    if seconds < 5400:
        return f"in {span(round(seconds / 60) * 60)}"
    hours = round(seconds / 3600)
    return f"in {span(hours * 3600)}" if hours < 48 else f"in {timedelta(seconds=seconds).days} days"


def listed(things: Sequence[str], last: str = "and") -> str:
    """`email`, `email and SMS`, `email, SMS and push`."""
    if len(things) < 2:
        return "".join(things)
    return f"{', '.join(things[:-1])} {last} {things[-1]}"
