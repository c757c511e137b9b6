"""Questions to the counters. Each is one query over a bounded span of minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, QuerySet, Sum
from django.db.models.functions import Now

from analytics.models import MinuteCount
from notifications.choices import Channel, EventType, FailureCode, HoldReason, SkipReason
from notifications.models import DeadLetter, OutboxMessage
from notifications.models.dead_letter import DeadCause

#: Rows of the outbox and of the dead letters that are counted; above that the page says "or more".
COUNTED = 10_000
#: Bars of a chart, at most, and the minutes one of them may stand for: from a minute to a week.
BARS = 60
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 10_080)
_WORDS: dict[str, str] = {
    word: str(label)
    for vocabulary in (EventType, DeadCause, SkipReason, HoldReason, FailureCode)
    for word, label in vocabulary.choices
}


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

    def reasons(self, *outcomes: str) -> list[dict[str, Any]]:
        """Why these outcomes came about, in words: [{"label", "count"}], the most frequent first. An outcome without a
        reason stands for itself."""
        found: dict[str, int] = {}
        for row in self.rows:
            if row.outcome in outcomes:
                label = _WORDS.get(row.reason) or _WORDS.get(row.outcome) or row.reason or row.outcome
                found[label] = found.get(label, 0) + row.count
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [{"label": label, "count": count} for label, count in ranked]


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


def sent_series(since: datetime, until: datetime, *, source: str = "") -> dict[str, Any]:
    """Messages sent over a span, ends included, in at most BARS even steps, gaps as zeros: what `live.js` draws."""
    first, last = _minute(since), _minute(until)
    step = next(s for s in _STEPS if (last - first) < timedelta(minutes=s * BARS) or s == _STEPS[-1])
    bars = min(BARS, int((last - first) / timedelta(minutes=step)) + 1)
    counts: list[dict[str, int]] = [{} for _ in range(bars)]
    sent = by_minute(EventType.SENT, since=first, until=last + timedelta(minutes=1), source=source)
    for minute, by_channel in sent.items():
        bar = counts[min(bars - 1, int((minute - first) / timedelta(minutes=step)))]
        for channel, count in by_channel.items():
            bar[channel] = bar.get(channel, 0) + count
    return {
        "step": step,
        "minutes": [(first + timedelta(minutes=step * n)).isoformat() for n in range(bars)],
        "series": [
            {"key": channel.value, "label": channel.label, "counts": [bar.get(channel, 0) for bar in counts]}
            for channel in Channel
        ],
    }


def last_sent(source: str, *, since: datetime) -> datetime | None:
    """The minute in which a source was last sent for."""
    sent = _counts(since, None, source).filter(outcome=EventType.SENT)
    latest: datetime | None = sent.aggregate(at=Max("minute"))["at"]
    return latest


def backlog() -> dict[str, Any]:
    """The outbox as it stands: messages that are due and that wait for a later moment, the age of the oldest due in
    seconds (null: none), and dead letters nobody has replayed; each count with whether there may be more."""
    due = OutboxMessage.objects.filter(due_at__lte=Now())
    oldest = due.aggregate(at=Min("due_at"))["at"]
    dead = DeadLetter.objects.filter(replayed_at=None)[:COUNTED].count()
    return {
        "due": _messages(due),
        "oldest": None if oldest is None else max(0.0, (database_now() - oldest).total_seconds()),
        "later": _messages(OutboxMessage.objects.filter(due_at__gt=Now())),
        "dead": {"count": dead, "more": dead >= COUNTED},
    }


def _messages(rows: QuerySet[OutboxMessage]) -> dict[str, Any]:
    """How many messages the first COUNTED of these rows carry: a row of the outbox holds up to 500."""
    counted = rows.order_by()[:COUNTED].aggregate(rows=Count("pk"), messages=Sum("size"))
    return {"count": counted["messages"] or 0, "more": counted["rows"] >= COUNTED}


def _counts(since: datetime, until: datetime | None, source: str) -> QuerySet[MinuteCount]:
    counts = MinuteCount.objects.filter(minute__gte=_minute(since))
    if until is not None:
        counts = counts.filter(minute__lt=until)
    return counts.filter(source=source) if source else counts


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
