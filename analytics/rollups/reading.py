"""Reading the figures: the one way in for pages, alerts, the API and commands.

A span is of whole minutes of the database's clock: the minute of `since` is in it, that of `until` is not, so spans
that meet count nothing twice. `until=None` is everything up to now, the running minute included. A figure is exact: it
is the sum of the counters that committed with what they count.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from analytics.rollups import spans
from analytics.rollups.figures import EVERYTHING, Histogram, Series, Tallies, Tally, Where
from analytics.rollups.queries import sums
from core.moments import database_now
from notifications import latency as latencies

__all__ = [
    "EVERYTHING", "Histogram", "Series", "Tallies", "Tally", "Where",
    "breakdown", "database_now", "last_at", "latency", "latency_series", "series", "tallies", "top",
]  # fmt: skip

#: What counts may be broken down by. A category is told by its id, in digits; "" is no breakdown, under the name "".
By = Literal["", "source", "category", "channel", "provider", "outcome", "reason"]
#: Steps of a series at most, and entries of a ranking.
MAX_POINTS = 1000
MAX_TOP = 1000


def tallies(*, since: datetime, until: datetime | None = None, where: Where = EVERYTHING) -> Tallies:
    """Everything that happened in a span, by channel, outcome and reason."""
    return Tallies([Tally(*row) for row in sums(["channel", "outcome", "reason"], since, until, where)])


def breakdown(
    by: By, *, since: datetime, until: datetime | None = None, where: Where = EVERYTHING
) -> dict[str, Tallies]:
    """The same apart for each source, category, provider...: {"simulated_email": Tallies, ...}."""
    found: dict[str, list[Tally]] = {}
    for key, *tally in sums([by, "channel", "outcome", "reason"], since, until, where):
        found.setdefault(key, []).append(Tally(*tally))
    return {key: Tallies(rows) for key, rows in found.items()}


def series(
    outcomes: Sequence[str],
    *,
    since: datetime,
    until: datetime | None = None,
    by: By = "channel",
    where: Where = EVERYTHING,
    points: int = 60,
) -> Series[int]:
    """How often any of these outcomes happened, over even steps: at most `points` and a begun one, whatever the span.

    Steps lie evenly in the day: the first begins at or before `since` and counts all that happened in it, the last ends
    with the span. A line that is nought throughout is left out.
    """
    until = until or database_now() + spans.MINUTE
    step, at = _steps(since, until, points)
    lines: dict[str, list[int]] = {}
    place = {moment: n for n, moment in enumerate(at)}
    for moment, key, count in sums([by], at[0], until, where, outcomes, step=step):
        lines.setdefault(key, [0] * len(at))[place[moment]] += count
    return Series(step, at, dict(sorted(lines.items())))


def latency(
    *, since: datetime, until: datetime | None = None, by: By = "", where: Where = EVERYTHING
) -> dict[str, Histogram]:
    """How long messages took from acceptance to the provider's yes, those sent in the span: {"email": Histogram, ...},
    or {"": Histogram} without `by`, empty where nothing was sent."""
    found: dict[str, list[tuple[str, int]]] = {} if by else {"": []}
    for key, bucket, count in sums([by, "reason"], since, until, where, [latencies.OUTCOME]):
        found.setdefault(key, []).append((bucket, count))
    return {key: Histogram.of(buckets) for key, buckets in found.items()}


def latency_series(
    *,
    since: datetime,
    until: datetime | None = None,
    quantiles: Sequence[float] = (0.5, 0.95, 0.99),
    where: Where = EVERYTHING,
    points: int = 60,
) -> Series[float | None]:
    """Quantiles of the latency in seconds over even steps, as `series` makes them: lines "0.5", "0.95"... None where
    nothing was sent."""
    until = until or database_now() + spans.MINUTE
    step, at = _steps(since, until, points)
    found: dict[datetime, list[tuple[str, int]]] = {}
    for moment, bucket, count in sums(["reason"], at[0], until, where, [latencies.OUTCOME], step=step):
        found.setdefault(moment, []).append((bucket, count))
    histograms = [Histogram.of(found.get(moment, ())) for moment in at]
    return Series(step, at, {f"{q:g}": [one.quantile(q) for one in histograms] for q in quantiles})


def top(
    by: By,
    outcomes: Sequence[str],
    *,
    since: datetime,
    until: datetime | None = None,
    where: Where = EVERYTHING,
    limit: int = 10,
) -> list[tuple[str, int]]:
    """The sources, categories, providers or reasons with most of these outcomes, the greatest first. Where there is no
    such thing (an outcome without a reason) the name is ""."""
    found: list[tuple[str, int]] = [(key, count) for key, count in sums([by], since, until, where, outcomes)]
    return sorted(found, key=lambda item: (-item[1], item[0]))[: min(limit, MAX_TOP)]


def last_at(outcome: str, *, since: datetime, where: Where = EVERYTHING) -> datetime | None:
    """When the last minute with such an outcome began; None when there is none."""
    step = spans.MINUTE
    return max((at for at, _ in sums([], since, None, where, [outcome], step=step)), default=None)


def _steps(since: datetime, until: datetime, points: int) -> tuple[timedelta, list[datetime]]:
    """The step of a series and when each begins; a span without a minute has one step."""
    points = max(1, min(points, MAX_POINTS))
    since, until = spans.floor(since), max(spans.floor(until), spans.floor(since) + spans.MINUTE)
    step = spans.step_for(since, until, points)
    return step, list(spans.beginnings(since, until, step))[-points - 1 :]
