"""What the pages of campaigns ask for: figures from the counters."""

from datetime import datetime, timedelta
from typing import Any

from analytics.rollups import reading
from analytics.rollups.figures import Tallies, Tally, Where
from core.moments import database_now
from notifications.choices import Channel, EventType

__all__ = ["BARS", "Tallies", "Tally", "database_now", "last_sent", "sent_series", "tallies"]

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
