"""The span over time: what was sent by channel, how long that took, and the small lines of the tiles."""

from datetime import timedelta
from typing import Any

from analytics.dashboard.asked import Asked
from analytics.dashboard.figures import QUANTILES
from analytics.rollups import reading
from analytics.rollups.reading import Series
from notifications.choices import Channel, EventType

#: Steps of a chart, at most: enough for a wide screen, few enough that each is a bar one can point at.
POINTS = 90
#: What the tiles show as a small line.
_LINES = (
    "accepted",
    EventType.SENT,
    EventType.DELIVERED,
    EventType.SKIPPED,
    EventType.BOUNCED,
    EventType.FAILED,
    EventType.DEAD,
    EventType.DEFERRED,
)


def charts(asked: Asked) -> dict[str, Any]:
    """All series over the same steps. The last step may be running; `partial` is the share of it that is over."""
    span: dict[str, Any] = {"since": asked.since, "until": asked.until, "where": asked.where, "points": POINTS}
    sent = reading.series([EventType.SENT], by="channel", **span)
    outcomes = reading.series(_LINES, by="outcome", **span)
    speed = reading.latency_series(quantiles=QUANTILES, **span)
    return {
        "step": sent.step.total_seconds(),
        "at": [int(at.timestamp()) for at in sent.at],
        "partial": _partial(asked, sent),
        "sent": [
            {"key": channel.value, "label": str(channel.label), "values": _line(sent, channel.value)}
            for channel in Channel
            if not asked.where.channel or channel == asked.where.channel
        ],
        "before": _before(asked, len(sent.at)),
        "latency": {f"p{q * 100:g}": speed.lines[f"{q:g}"] for q in QUANTILES},
        "outcomes": {outcome: _line(outcomes, outcome) for outcome in _LINES},
    }


def _line(series: Series[int], name: str) -> list[int]:
    return series.lines.get(name) or [0] * len(series.at)


def _before(asked: Asked, points: int) -> list[int]:
    """What was sent in the period before, in all, step for step beside this one."""
    since, until = asked.before
    earlier = reading.series([EventType.SENT], since=since, until=until, by="", where=asked.where, points=POINTS)
    return (_line(earlier, "") + [0] * points)[:points]


def _partial(asked: Asked, series: Series[int]) -> float:
    over = (asked.now - series.at[-1]) / series.step if asked.is_live else 1.0
    return min(1.0, max(over, 1 / (series.step / timedelta(seconds=1))))
