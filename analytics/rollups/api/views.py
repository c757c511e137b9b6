"""The dashboard's numbers for programs: totals, latency, series and rankings over any span."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.rollups import reading, spans
from analytics.rollups.api.shapes import (
    LatencySeriesQuery,
    SeriesQuery,
    Stats,
    StatsCount,
    StatsLatency,
    StatsLatencySeries,
    StatsQuery,
    StatsRank,
    StatsSeries,
    StatsTop,
    TopQuery,
)
from analytics.rollups.reading import Histogram, Where
from core.api import validation
from core.api.openapi import call
from core.api.problems import FieldProblem, Invalid
from core.moments import database_now
from core.statements import StatementTooSlow, bounded
from notifications.choices import Channel, EventType
from notifications.models.api_key import Scope
from notifications.services.engagement import PEOPLE
from preferences.services import PreferencesService

#: What may be asked for by name, beside what happens to a delivery.
OUTCOMES = ("accepted", "queued", *EventType.values, *PEOPLE.values(), "receipt")
QUANTILES = (0.5, 0.95, 0.99)
DAY = timedelta(days=1)
#: A question that takes longer is given up. From complete cells even a year takes a fiftieth of this.
TIMEOUT_MS = 5_000

_SPAN = (
    OpenApiParameter("since", datetime, description="From the minute of this moment on; a day ago when not given"),
    OpenApiParameter("until", datetime, description="Before the minute of this moment; now when not given"),
    OpenApiParameter("channel", str, enum=Channel.values, description="On one channel"),
    OpenApiParameter("category", str, description="Of one category, by its slug"),
    OpenApiParameter("provider", str, description="Through one provider: then nothing from before a provider is known"),
    OpenApiParameter("source", str, description="Of one source: `api:<key prefix>`, `campaign:<number>`"),
)
_OUTCOME = OpenApiParameter(
    "outcome", str, description=f"One or several, separated by commas; `sent` when not given. Of: {', '.join(OUTCOMES)}"
)
_POINTS = OpenApiParameter("points", int, description="Steps, about, 1 to 500; 60 when not given")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A span and what of it, as the reading functions take it."""

    since: datetime
    until: datetime | None
    where: Where
    slugs: dict[str, str]

    @property
    def span(self) -> dict[str, Any]:
        return {"since": self.since, "until": self.until, "where": self.where}


class StatsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.STATS_READ}

    @call("getStats", "Read what happened in a span, and how long it took", answers={200: Stats}, parameters=_SPAN)
    def get(self, request: Request) -> Response:
        """Totals by outcome, counts by outcome, channel and reason, and the latency of what was sent."""
        asked = _asked(validation.read_query(request.query_params, StatsQuery))
        with _in_time():
            since, until = reading.window(**asked.span)
            tallies = reading.tallies(**asked.span)
            speed = reading.latency(by="channel", **asked.span)
        totals: dict[str, int] = {}
        for row in tallies.rows:
            totals[row.outcome] = totals.get(row.outcome, 0) + row.count
        counts = sorted(tallies.rows, key=lambda row: (row.outcome, row.channel, row.reason))
        return Response(
            Stats(
                since=since,
                until=until,
                totals=dict(sorted(totals.items())),
                counts=[StatsCount(r.outcome, r.channel or None, r.reason or None, r.count) for r in counts],
                latency=_latency(sum(speed.values(), Histogram())),
                latency_by_channel={channel: _latency(one) for channel, one in sorted(speed.items())},
            )
        )


class StatsSeriesView(APIView):
    required_scopes: ClassVar = {"GET": Scope.STATS_READ}

    @call(
        "getStatsSeries",
        "Read how often something happened, over time",
        answers={200: StatsSeries},
        parameters=[
            *_SPAN,
            _OUTCOME,
            OpenApiParameter(
                "by", str, enum=["channel", "outcome", "provider", "reason", "none"],
                description="What each line stands for; `channel` when not given. `none`: one line",
            ),
            _POINTS,
        ],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Steps lie evenly in the day (UTC): the first begins at or before `since` and counts all that happened in it,
        the last ends with the span."""
        query = validation.read_query(request.query_params, SeriesQuery)
        asked, outcomes = _asked(query), _outcomes(query.outcome)
        by: reading.By = "" if query.by == "none" else query.by
        with _in_time():
            found = reading.series(outcomes, by=by, points=query.points, **asked.span)
        return Response(StatsSeries(int(found.step.total_seconds()), found.at, found.lines))


class StatsLatencyView(APIView):
    required_scopes: ClassVar = {"GET": Scope.STATS_READ}

    @call(
        "getStatsLatency",
        "Read how long sending took, over time",
        answers={200: StatsLatencySeries},
        parameters=[*_SPAN, _POINTS],
    )
    def get(self, request: Request) -> Response:
        """Steps as in the series of counts."""
        query = validation.read_query(request.query_params, LatencySeriesQuery)
        asked = _asked(query)
        with _in_time():
            found = reading.latency_series(quantiles=QUANTILES, points=query.points, **asked.span)
        lines = [found.lines[f"{q:g}"] for q in QUANTILES]
        return Response(StatsLatencySeries(int(found.step.total_seconds()), found.at, *lines))


class StatsTopView(APIView):
    required_scopes: ClassVar = {"GET": Scope.STATS_READ}

    @call(
        "getStatsTop",
        "Rank sources, categories, providers or reasons",
        answers={200: StatsTop},
        parameters=[
            *_SPAN,
            _OUTCOME,
            OpenApiParameter(
                "by", str, enum=["source", "category", "provider", "reason"],
                description="What is ranked; `source` when not given",
            ),
            OpenApiParameter("limit", int, description="Places, 1 to 100; 10 when not given"),
        ],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """By how often any of the outcomes happened."""
        query = validation.read_query(request.query_params, TopQuery)
        asked, outcomes = _asked(query), _outcomes(query.outcome)
        with _in_time():
            since, until = reading.window(by=query.by, **asked.span)
            found = reading.top(query.by, outcomes, limit=query.limit, **asked.span)
        names = asked.slugs if query.by == "category" else {}
        return Response(StatsTop(since, until, [StatsRank(names.get(name, name) or None, n) for name, n in found]))


def _asked(query: StatsQuery) -> _Asked:
    """The question of a query; raises Invalid for a category that does not exist and for a span of no time."""
    slugs = {info.id: slug for slug, info in PreferencesService().categories([query.category or ""]).items()}
    category_id = next((id for id, slug in slugs.items() if slug == query.category), None)
    if query.category and category_id is None:
        raise _invalid("category", "unknown_category", f"There is no category {query.category!r}.")
    now = database_now()
    until = max(query.until, spans.ORIGIN) if query.until is not None and query.until < now else None
    since = max(query.since or (until or now) - DAY, spans.ORIGIN)
    if since >= (until or now):
        raise _invalid("since", "range", "`since` must be earlier than `until`, and in the past.")
    where = Where(query.source or "", category_id, query.channel or "", query.provider or "")
    return _Asked(since, until, where, {str(id): slug for id, slug in slugs.items()})


def _outcomes(words: str) -> Sequence[str]:
    outcomes = list(dict.fromkeys(words.split(",")))
    for outcome in outcomes:
        if outcome not in OUTCOMES:
            raise _invalid("outcome", "unknown_outcome", f"There is no outcome {outcome!r}.")
    return outcomes


def _latency(histogram: Histogram) -> StatsLatency:
    return StatsLatency(histogram.count, *(histogram.quantile(q) for q in QUANTILES))


def _invalid(parameter: str, code: str, detail: str) -> Invalid:
    return Invalid([FieldProblem("", code, detail, parameter=parameter)])


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        with bounded(TIMEOUT_MS):
            yield
    except StatementTooSlow:
        raise _invalid("since", "too_slow", "That took too long. Ask for a shorter span.") from None
