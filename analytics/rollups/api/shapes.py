"""What the statistics calls read and answer with."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from notifications.choices import Channel

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class StatsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A span and what of it: `since` a day ago and `until` now where they are not given."""

    since: Moment | None = None
    until: Moment | None = None
    channel: Channel | None = None
    category: Name | None = None
    provider: Name | None = None
    source: Name | None = None


class SeriesQuery(StatsQuery, forbid_unknown_fields=True, kw_only=True):
    outcome: Words = "sent"
    by: Literal["channel", "outcome", "provider", "reason", "none"] = "channel"
    points: Annotated[int, msgspec.Meta(ge=1, le=500)] = 60


class LatencySeriesQuery(StatsQuery, forbid_unknown_fields=True, kw_only=True):
    points: Annotated[int, msgspec.Meta(ge=1, le=500)] = 60


class TopQuery(StatsQuery, forbid_unknown_fields=True, kw_only=True):
    by: Literal["source", "category", "provider", "reason"] = "source"
    outcome: Words = "sent"
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class StatsCount(msgspec.Struct):
    """How often an outcome happened. `channel` is null for `accepted`, which has none; `reason` where there is none."""

    outcome: str
    channel: str | None
    reason: str | None
    count: int


class StatsLatency(msgspec.Struct):
    """Seconds from acceptance, or from a later `send_at`, to the provider's yes, that so many of the `count` messages
    sent did not exceed; null when none was. Off by a quarter at most, mostly by a few percent."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Stats(msgspec.Struct):
    """The figures of [since, until): whole minutes, or larger steps where the minutes are no longer kept."""

    since: datetime
    until: datetime
    totals: dict[str, int]
    counts: list[StatsCount]
    latency: StatsLatency
    latency_by_channel: dict[str, StatsLatency]


class StatsSeries(msgspec.Struct):
    """Counts over even steps: `at` is when each begins, a line has a count for each. A line that is nought throughout
    is left out."""

    step_seconds: int
    at: list[datetime]
    lines: dict[str, list[int]]


class StatsLatencySeries(msgspec.Struct):
    """Quantiles in seconds over even steps; null where nothing was sent."""

    step_seconds: int
    at: list[datetime]
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]


class StatsRank(msgspec.Struct):
    """A place in a ranking; `name` is null where there is no such thing: an outcome without a reason."""

    name: str | None
    count: int


class StatsTop(msgspec.Struct):
    """The most frequent first."""

    since: datetime
    until: datetime
    results: list[StatsRank]
