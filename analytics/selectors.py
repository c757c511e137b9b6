"""What the pages ask for: figures from the counters, and how much is waiting."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet, Sum
from django.db.models.functions import Now

from analytics.rollups import reading
from analytics.rollups.figures import Tallies, Tally, Where
from core.moments import database_now
from notifications.choices import Channel, EventType
from notifications.models import DeadLetter, OutboxMessage

__all__ = ["BARS", "COUNTED", "Tallies", "Tally", "backlog", "database_now", "last_sent", "sent_series", "tallies"]

#: Rows of the outbox and of the dead letters that are counted; above that the page says "or more".
COUNTED = 10_000
#: Bars of a chart, at most.
BARS = 60


def tallies(*, since: datetime, until: datetime | None = None, source: str = "") -> Tallies:
    """Everything that happened from the minute of `since` on, before that of `until`; of one source, or of all."""
    return reading.tallies(since=since, until=until, where=Where(source=source))


def sent_series(since: datetime, until: datetime, *, source: str = "") -> dict[str, Any]:
    """Messages sent over a span, ends included, in at most BARS even steps, gaps as zeros: what `live.js` draws."""
    sent = reading.series(
        [EventType.SENT], since=since, until=until + timedelta(minutes=1), where=Where(source=source), points=BARS
    )
    none = [0] * len(sent.at)
    return {
        "step": int(sent.step / timedelta(minutes=1)),
        "minutes": [at.isoformat() for at in sent.at],
        "series": [
            {"key": channel.value, "label": channel.label, "counts": sent.lines.get(channel, none)}
            for channel in Channel
        ],
    }


def last_sent(source: str, *, since: datetime) -> datetime | None:
    """The minute in which a source was last sent for."""
    return reading.last_at(EventType.SENT, since=since, where=Where(source=source))


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
