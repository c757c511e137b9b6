"""The span in figures: what happened, by channel and by reason, beside the period before it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from analytics.dashboard.asked import Asked
from analytics.dashboard.links import Links
from analytics.rollups import reading
from analytics.rollups.reading import Histogram, Tallies
from notifications.choices import Channel, EventType, FailureCode, HoldReason, SkipReason
from notifications.models.dead_letter import DeadCause

#: What is counted, in the order of a message's life, and the filter of the list of deliveries that shows it.
OUTCOMES: dict[str, str] = {
    "accepted": "",
    "queued": "",
    EventType.SENT: "sent",
    EventType.DELIVERED: "delivered",
    EventType.OPENED: "opened",
    EventType.CLICKED: "clicked",
    EventType.SKIPPED: "skipped",
    EventType.DEFERRED: "retried",
    EventType.HELD: "held",
    EventType.BOUNCED: "bounced",
    EventType.FAILED: "failed",
    EventType.DEAD: "dead",
    EventType.COMPLAINED: "",
    EventType.RESCUED: "",
    EventType.RECLAIMED: "",
}
#: Those that the panel "What went wrong" gathers. A try that failed is in it too: it is why messages are late.
ERRORS = (EventType.DEFERRED, EventType.BOUNCED, EventType.COMPLAINED, EventType.FAILED, EventType.DEAD)
QUANTILES = (0.5, 0.95, 0.99)
#: Reasons shown of a kind.
MOST_REASONS = 12

_WORDS: dict[str, str] = {
    word: str(label)
    for vocabulary in (DeadCause, SkipReason, HoldReason, FailureCode)
    for word, label in vocabulary.choices
}
_BARE: dict[str, str] = {
    EventType.BOUNCED: "Bounced",
    EventType.COMPLAINED: "Marked as spam",
    EventType.DEAD: "Gave up: every try failed",
    EventType.DEFERRED: "Failed for now",
    EventType.FAILED: "Refused for good",
}
_TRIED_AGAIN, _GIVEN_UP = "to be tried again", "given up"


def figures(asked: Asked, links: Links) -> dict[str, Any]:
    """Totals now and before, how long sending took, the table by channel, and the reasons."""
    before_since, before_until = asked.before
    now = reading.tallies(since=asked.since, until=asked.until, where=asked.where)
    before = reading.tallies(since=before_since, until=before_until, where=asked.where)
    speed = _speed(asked, asked.since, asked.until, by="channel")
    return {
        "span": {
            "since": asked.since.isoformat(),
            "until": asked.until.isoformat(),
            "before": before_since.isoformat(),
            "elapsed": asked.elapsed,
            "length": asked.length.total_seconds(),
            "live": asked.is_live,
        },
        "totals": {
            outcome: {"now": now.total(outcome), "before": before.total(outcome), "url": _url(asked, links, outcome)}
            for outcome in OUTCOMES
        },
        "success": {"now": success(now), "before": success(before)},
        "latency": {
            "now": _quantiles(_together(speed)),
            "before": _quantiles(_together(_speed(asked, before_since, before_until, by="channel"))),
        },
        "channels": _by_channel(asked, links, now, speed),
        "skips": _reasons(asked, links, now, before, [EventType.SKIPPED]),
        "errors": _reasons(asked, links, now, before, ERRORS),
        "holds": _reasons(asked, links, now, before, [EventType.HELD]),
    }


def success(tallies: Tallies, channel: str = "") -> float | None:
    """Of the messages that were tried to the end, the share that a provider took and that did not bounce. What was
    skipped was not tried. None when nothing was."""
    sent = tallies.total(EventType.SENT, channel=channel)
    lost = tallies.total(EventType.FAILED, EventType.DEAD, channel=channel)
    if not sent + lost:
        return None
    return max(0, sent - tallies.total(EventType.BOUNCED, channel=channel)) / (sent + lost)


def _speed(asked: Asked, since: datetime, until: datetime, *, by: reading.By) -> dict[str, Histogram]:
    return reading.latency(since=since, until=until, by=by, where=asked.where)


def _together(histograms: dict[str, Histogram]) -> Histogram:
    return sum(histograms.values(), Histogram())


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    return {f"p{q * 100:g}": histogram.quantile(q) for q in QUANTILES}


def _by_channel(asked: Asked, links: Links, now: Tallies, speed: dict[str, Histogram]) -> list[dict[str, Any]]:
    shown = [asked.where.channel] if asked.where.channel else Channel.values
    return [
        {
            "key": channel,
            "label": str(Channel(channel).label),
            "success": success(now, channel),
            "p95": speed[channel].quantile(0.95) if channel in speed else None,
            "counts": {
                outcome: {"now": now.total(outcome, channel=channel), "url": _url(asked, links, outcome, channel)}
                for outcome in OUTCOMES
                if outcome != "accepted"
            },
        }
        for channel in shown
    ]


def _url(asked: Asked, links: Links, outcome: str, channel: str = "") -> str:
    if outcome == "accepted":
        return links.notifications(asked)
    if outcome == "queued" or OUTCOMES[outcome]:
        return links.deliveries(asked, outcome=OUTCOMES[outcome], channel=channel)
    return ""


def _reasons(
    asked: Asked, links: Links, now: Tallies, before: Tallies, outcomes: Sequence[str]
) -> list[dict[str, Any]]:
    counts, earlier = _by_reason(now, outcomes), _by_reason(before, outcomes)
    ranked = sorted(counts, key=lambda key: (-counts[key], key))[:MOST_REASONS]
    return [
        {
            "label": words(*key),
            "now": counts[key],
            "before": earlier.get(key, 0),
            "url": links.deliveries(asked, outcome=OUTCOMES[key[0]], reason=_filterable(*key)),
        }
        for key in ranked
    ]


def _by_reason(tallies: Tallies, outcomes: Sequence[str]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for row in tallies.rows:
        if row.outcome in outcomes:
            key = (row.outcome, row.reason)
            found[key] = found.get(key, 0) + row.count
    return found


def words(outcome: str, reason: str) -> str:
    """A reason as one would say it; an outcome without one stands for itself."""
    said = _WORDS.get(reason, reason) or _BARE.get(outcome, outcome)
    if outcome == EventType.DEFERRED:
        return f"{said}, {_TRIED_AGAIN}"
    if outcome == EventType.BOUNCED and reason:
        return f"{_BARE[outcome]}: {said[:1].lower()}{said[1:]}"
    return f"{said}, {_GIVEN_UP}" if outcome == EventType.DEAD and reason else said


def _filterable(outcome: str, reason: str) -> str:
    """The reason, where a delivery keeps it: not of a hold, and only the last error of one that goes on."""
    return "" if outcome in {EventType.HELD, EventType.DEFERRED} else reason
