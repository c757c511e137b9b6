"""Questions to the counters. Each is one query over a bounded span of minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Min, QuerySet, Sum
from django.db.models.functions import Now

from analytics.models import MinuteCount
from notifications.choices import Channel, EventType
from notifications.models import DeadLetter, OutboxMessage

#: Rows of the outbox and of the dead letters that are counted; above that the page says "or more".
COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Tally:
    """How often an outcome happened on a channel, for a reason ("" where there is none)."""

    channel: str
    outcome: str
    reason: str
    count: int


class Tallies:
    """Tallies with the sums a page asks for."""

    def __init__(self, rows: Sequence[Tally]) -> None:
        self.rows = rows

    def total(self, *outcomes: str, channel: str = "") -> int:
        """All of these outcomes, on one channel or on all."""
        return sum(r.count for r in self.rows if r.outcome in outcomes and (not channel or r.channel == channel))

    def has(self, channel: str) -> bool:
        """Whether anything at all happened on a channel."""
        return any(row.channel == channel for row in self.rows)

    def reasons(self, *outcomes: str) -> dict[str, int]:
        """Reason -> count over all channels, the most frequent first."""
        found: dict[str, int] = {}
        for row in self.rows:
            if row.outcome in outcomes:
                found[row.reason] = found.get(row.reason, 0) + row.count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def database_now() -> datetime:
    """The clock the counters go by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
        return now


def tallies(*, since: datetime, until: datetime | None = None, source: str = "") -> Tallies:
    """Everything that happened from the minute of `since` on, before `until`; of one source, or of all."""
    rows = _counts(since, until, source).values("channel", "outcome", "reason").annotate(sum=Sum("count"))
    return Tallies([Tally(r["channel"], r["outcome"], r["reason"], int(r["sum"])) for r in rows.order_by()])


def by_minute(
    outcome: str, *, since: datetime, until: datetime | None = None, source: str = ""
) -> dict[datetime, dict[str, int]]:
    """Minute -> channel -> how often; minutes without any are left out."""
    rows = _counts(since, until, source).filter(outcome=outcome).values("minute", "channel").annotate(sum=Sum("count"))
    series: dict[datetime, dict[str, int]] = {}
    for row in rows.order_by("minute"):
        series.setdefault(row["minute"], {})[row["channel"]] = int(row["sum"])
    return series


def sent_series(now: datetime, minutes: int, *, source: str = "") -> dict[str, Any]:
    """Messages sent per minute and channel over the last `minutes`, the running one last, gaps as zeros: what
    `live.js` draws."""
    newest = now.replace(second=0, microsecond=0)
    axis = [newest - timedelta(minutes=n) for n in reversed(range(minutes))]
    counts = by_minute(EventType.SENT, since=axis[0], source=source)
    return {
        "minutes": [moment.isoformat() for moment in axis],
        "series": [
            {"key": channel.value, "label": channel.label, "counts": [counts.get(m, {}).get(channel, 0) for m in axis]}
            for channel in Channel
        ],
    }


def backlog() -> dict[str, Any]:
    """The outbox as it stands: rows and deliveries that are due, the age of the oldest in seconds (null: none), rows
    that wait for a later moment, and dead letters nobody has replayed. Counts stop at COUNTED."""
    due = OutboxMessage.objects.filter(due_at__lte=Now())
    oldest = due.aggregate(at=Min("due_at"))["at"]
    return {
        "due": due[:COUNTED].count(),
        "oldest": None if oldest is None else max(0.0, (database_now() - oldest).total_seconds()),
        "later": OutboxMessage.objects.filter(due_at__gt=Now())[:COUNTED].count(),
        "dead": DeadLetter.objects.filter(replayed_at=None)[:COUNTED].count(),
        "at_most": COUNTED,
    }


def _counts(since: datetime, until: datetime | None, source: str) -> QuerySet[MinuteCount]:
    counts = MinuteCount.objects.filter(minute__gte=since.replace(second=0, microsecond=0))
    if until is not None:
        counts = counts.filter(minute__lt=until)
    return counts.filter(source=source) if source else counts
