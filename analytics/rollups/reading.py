"""Reading the figures: the one way in for pages, alerts, the API and commands.

A span is of whole minutes of the database's clock: the minute of `since` is in it, that of `until` is not, so spans
that meet count nothing twice. `until=None` is everything up to now, the running minute included. A figure is exact: it
is the sum of the counters that committed with what they count.

Minutes are kept for days, larger cells for longer (see the settings COUNTS_...). Where an end of a span lies so far
back that its minute is gone, it is put back to where a cell begins that is still there: `window` says which span is
told.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from analytics.rollups import spans
from analytics.rollups.figures import EVERYTHING, Histogram, Series, Tallies, Tally, Where
from analytics.rollups.queries import By, View
from core.moments import database_now
from notifications import latency as latencies

__all__ = [
    "EVERYTHING", "By", "Histogram", "Series", "Tallies", "Tally", "Where",
    "breakdown", "database_now", "last_at", "latency", "latency_series", "series", "tallies", "top", "totals", "window",
]  # fmt: skip

#: Steps of a series at most, and entries of a ranking.
MAX_POINTS = 1000
MAX_TOP = 1000


def window(
    *, since: datetime, until: datetime | None = None, by: By = "", where: Where = EVERYTHING
) -> tuple[datetime, datetime]:
    """The span that figures of this span are told of."""
    return View([by], where).window(since, until or database_now() + spans.MINUTE)


def tallies(*, since: datetime, until: datetime | None = None, where: Where = EVERYTHING) -> Tallies:
    """Everything that happened in a span, by channel, outcome and reason."""
    view = View(["channel", "outcome", "reason"], where)
    return Tallies([Tally(*row) for row in view.sums(*view.window(since, until))])


def breakdown(
    by: By,
    *,
    since: datetime,
    until: datetime | None = None,
    where: Where = EVERYTHING,
    outcomes: Sequence[str] = (),
) -> dict[str, Tallies]:
    """The same apart for each source, category, provider...: {"simulated_email": Tallies, ...}. `outcomes`: these
    alone."""
    view = View([by, "channel", "outcome", "reason"], where)
    return _apart((key, Tally(*tally)) for key, *tally in view.sums(*view.window(since, until), outcomes))


def totals(
    by: By, outcomes: Sequence[str], *, since: datetime, until: datetime | None = None, where: Where = EVERYTHING
) -> dict[str, Tallies]:
    """The same of these outcomes, whatever their channel and their reason, which are left empty. That much can be told
    from an index alone, also over a year."""
    view = View([by, "outcome"], where)
    found = view.sums(*view.window(since, until), outcomes)
    return _apart((key, Tally("", outcome, "", count)) for key, outcome, count in found)


def _apart(found: Iterable[tuple[str, Tally]]) -> dict[str, Tallies]:
    rows: dict[str, list[Tally]] = {}
    for key, tally in found:
        rows.setdefault(key, []).append(tally)
    return {key: Tallies(tallies) for key, tallies in rows.items()}


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
    view = View([by], where)
    step, at, end = _steps(view, since, until, points)
    lines: dict[str, list[int]] = {}
    place = {moment: n for n, moment in enumerate(at)}
    for moment, key, count in view.sums(at[0], end, outcomes, step=step):
        lines.setdefault(key, [0] * len(at))[place[moment]] += count
    return Series(timedelta(minutes=step), at, dict(sorted(lines.items())))


def latency(
    *, since: datetime, until: datetime | None = None, by: By = "", where: Where = EVERYTHING
) -> dict[str, Histogram]:
    """How long messages took from acceptance to the provider's yes, those sent in the span: {"email": Histogram, ...},
    or {"": Histogram} without `by`, empty where nothing was sent."""
    view = View([by, "reason"], where)
    found: dict[str, list[tuple[str, int]]] = {} if by else {"": []}
    for key, bucket, count in view.sums(*view.window(since, until), [latencies.OUTCOME]):
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
    view = View(["reason"], where)
    step, at, end = _steps(view, since, until, points)
    found: dict[datetime, list[tuple[str, int]]] = {}
    for moment, bucket, count in view.sums(at[0], end, [latencies.OUTCOME], step=step):
        found.setdefault(moment, []).append((bucket, count))
    histograms = [Histogram.of(found.get(moment, ())) for moment in at]
    return Series(timedelta(minutes=step), at, {f"{q:g}": [one.quantile(q) for one in histograms] for q in quantiles})


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
    view = View([by], where)
    found: list[tuple[str, int]] = [(key, count) for key, count in view.sums(*view.window(since, until), outcomes)]
    return sorted(found, key=lambda item: (-item[1], item[0]))[: min(limit, MAX_TOP)]


def last_at(outcome: str, *, since: datetime, where: Where = EVERYTHING) -> datetime | None:
    """When the last minute with such an outcome began, or a larger cell where its minute is gone; None when there is
    none."""
    return View([], where).last(since, [outcome])


def _steps(view: View, since: datetime, until: datetime | None, points: int) -> tuple[int, list[datetime], datetime]:
    """The step of a series in minutes, when each begins, and the end of the last; a span without a minute has one."""
    points = max(1, min(points, MAX_POINTS))
    since, until = view.window(since, until or database_now() + spans.MINUTE)
    until = max(until, since + spans.MINUTE)
    step = view.step(since, until, points)
    return step, list(spans.beginnings(since, until, step))[-points - 1 :], until
