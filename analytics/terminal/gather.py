"""What the terminal view shows, in one reading: the live state, the last minutes, providers, processes, alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.alerts.selectors import OpenAlert, open_alerts
from analytics.rollups import reading
from analytics.rollups.figures import Histogram, Tallies
from notifications import live
from notifications.choices import Channel, EventType
from notifications.services import events_lane, providers

#: Whole minutes of the small charts.
MINUTES = 30
#: Minutes that rates, latencies and errors are told over: the running one and so many before it.
RECENT = 5
#: Why messages did not go out, with how many such.
CAUSES = 4

QUANTILES = (0.5, 0.95, 0.99)
WENT_WRONG = (EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED, EventType.DEAD)


@dataclass(frozen=True, slots=True)
class Flow:
    """One channel of late. `sent` are whole minutes, the oldest first; the other figures are of the last RECENT
    minutes. Quantiles are seconds, None when nothing was sent."""

    channel: str
    sent: tuple[int, ...]
    per_second: float
    quantiles: tuple[float | None, ...]
    delivered: int
    skipped: int
    held: int
    retried: int
    failed: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything, as of `state.at`."""

    state: live.LiveState
    flows: tuple[Flow, ...]
    causes: tuple[tuple[str, int], ...]  # (why in words, how many) of what went wrong or waits to be tried again
    providers: providers.Overview
    alerts: tuple[OpenAlert, ...]  # the most severe first
    events: events_lane.Depth  # receipts, opens and clicks that wait to be applied


def snapshot() -> Snapshot:
    """A dozen bounded queries. Raises django.db.Error without PostgreSQL. Redis may be away: circuits are unknown then;
    the broker is never asked."""
    state = live.state()
    since = state.at - timedelta(minutes=RECENT)
    by_channel = reading.breakdown("channel", since=since)
    latencies = reading.latency(since=since, by="channel")
    sent = _minutes(state.at)
    everything = reading.tallies(since=since)
    seconds = (state.at - since.replace(second=0, microsecond=0)).total_seconds()
    return Snapshot(
        state=state,
        flows=tuple(
            _flow(channel, sent.get(channel, ()), by_channel.get(channel), latencies.get(channel), seconds)
            for channel in Channel.values
        ),
        causes=tuple((one["label"], one["count"]) for one in everything.reasons(*WENT_WRONG)[:CAUSES]),
        providers=providers.overview(),
        alerts=tuple(open_alerts()),
        events=events_lane.depth(),
    )


def _minutes(now: datetime) -> Mapping[str, tuple[int, ...]]:
    """Sent by channel in the last MINUTES whole minutes; the running one is left out, it would always look like a
    fall."""
    series = reading.series([EventType.SENT], since=now - timedelta(minutes=MINUTES), until=now, points=MINUTES)
    return {channel: tuple(line[-MINUTES:]) for channel, line in series.lines.items()}


def _flow(
    channel: str, sent: tuple[int, ...], tallies: Tallies | None, latencies: Histogram | None, seconds: float
) -> Flow:
    of = tallies or Tallies([])
    latency = latencies or Histogram()
    return Flow(
        channel=channel,
        sent=sent or (0,) * MINUTES,
        per_second=of.total(EventType.SENT) / seconds if seconds else 0.0,
        quantiles=tuple(latency.quantile(q) for q in QUANTILES),
        delivered=of.total(EventType.DELIVERED),
        skipped=of.total(EventType.SKIPPED),
        held=of.total(EventType.HELD),
        retried=of.total(EventType.DEFERRED),
        failed=of.total(EventType.BOUNCED, EventType.FAILED, EventType.DEAD),
    )
