"""This moment: the verdict, each channel, what waits where, who works, which providers serve, which limits press."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from analytics.alerts import selectors as alert_selectors
from analytics.alerts.choices import Severity
from analytics.alerts.selectors import OpenAlert
from analytics.dashboard import providers, verdict
from analytics.dashboard.figures import success
from analytics.dashboard.links import Links
from analytics.dashboard.verdict import Known
from analytics.rollups import reading
from notifications import lanes, live
from notifications.choices import Channel, EventType, Priority
from notifications.live import LaneState, LiveState, ProcessState
from notifications.services import events_lane
from notifications.services import providers as provider_service

#: Minutes that the verdict and the channels' figures are about, and those of their small lines.
RECENT, LINE = 5, 30
#: Open alerts shown; the rest are counted.
MOST_ALERTS = 6
_ALERT_TONES: Mapping[str, str] = {
    Severity.CRITICAL: verdict.BAD,
    Severity.WARNING: verdict.WARN,
    Severity.INFO: verdict.QUIET,
}
_HOUR = (EventType.RESCUED, EventType.RECLAIMED, EventType.DEAD, EventType.DEFERRED, EventType.HELD, EventType.REPLAYED)


def now(links: Links) -> dict[str, Any]:
    """Read anew at each call: some twenty small queries and two calls of Redis, whatever the installation's size."""
    state = live.state()
    overview = provider_service.overview()
    minute = state.at.replace(second=0, microsecond=0)
    recent = reading.tallies(since=minute - timedelta(minutes=RECENT - 1))
    hour = reading.tallies(since=minute - timedelta(minutes=59))
    alerts = alert_selectors.open_alerts()
    known = Known(
        live=state,
        overview=overview,
        recent=recent,
        minutes=RECENT,
        dead_in_hour=hour.total(EventType.DEAD),
        alerts=[(_ALERT_TONES[alert.severity], alert.channel) for alert in alerts if alert.is_loud],
        alerting=not alert_selectors.health().is_stale or not state.alive("maintenance"),
    )
    found = verdict.verdict(known)
    return {
        "at": state.at.isoformat(),
        "verdict": {
            "tone": found.tone,
            "title": found.title,
            "sentence": found.sentence,
            "findings": [{"tone": f.tone, "about": f.about, "words": f.words} for f in found.findings],
        },
        "alerts": _alerts(alerts, state, links),
        "channels": _channels(known, state),
        "lanes": [_lane(lane, links) for lane in state.lanes if _is_busy(lane)],
        "broker": {"used": state.uses_broker, "known": state.depths_known},
        "backlog": _backlog(state, links),
        "hour": {outcome: hour.total(outcome) for outcome in _HOUR},
        "processes": _processes(state),
        "workers": dict(state.workers_alive),
        "providers": providers.chains(overview, links) if links.may("notifications.providerswitch") else None,
        "redis_away": overview.redis_away,
        "limits": providers.limits(links) if links.may("notifications.ratelimit") else None,
    }


def _alerts(alerts: Sequence[OpenAlert], state: LiveState, links: Links) -> dict[str, Any]:
    """Those that ask for somebody, the most severe first; the rest, which somebody knows of or which another explains,
    are counted."""
    loud = [alert for alert in alerts if alert.is_loud]
    may_open = links.may("analytics.alert")
    return {
        "loud": [
            {
                "tone": _ALERT_TONES[alert.severity],
                "title": alert.title,
                "summary": alert.summary,
                "open_for": max(0.0, (state.at - alert.opened_at).total_seconds()),
                "url": alert.url if may_open else "",
            }
            for alert in loud[:MOST_ALERTS]
        ],
        "more": max(0, len(loud) - MOST_ALERTS),
        "muted": len(alerts) - len(loud),
        "url": links.list("analytics.alert"),
    }


def _channels(known: Known, state: LiveState) -> list[dict[str, Any]]:
    since = state.at.replace(second=0, microsecond=0) - timedelta(minutes=LINE - 1)
    sent = reading.series([EventType.SENT], since=since, by="channel", points=LINE)
    speed = reading.latency(since=since + timedelta(minutes=LINE - RECENT), by="channel")
    serving = {chain.channel: chain for chain in known.overview.chains}
    return [
        {
            "key": channel.value,
            "label": str(channel.label),
            "tone": verdict.of_channel(known, channel),
            "serving": providers.serving_words(serving[channel]) if channel in serving else "",
            "sent": sent.lines.get(channel.value) or [0] * len(sent.at),
            "minute": int(sent.at[-1].timestamp()),
            "success": success(known.recent, channel),
            "p95": speed[channel].quantile(0.95) if channel in speed else None,
            "workers": state.workers_alive.get(channel) if state.processes else None,
            **_waiting([lane for lane in state.lanes if lane.channel == channel]),
        }
        for channel in Channel
    ]


def _waiting(states: Sequence[LaneState]) -> dict[str, Any]:
    ages = [lane.oldest_seconds for lane in states if lane.oldest_seconds is not None]
    return {
        "due": sum(lane.due for lane in states),
        "later": sum(lane.later for lane in states),
        "more": any(lane.capped for lane in states),
        "oldest": max(ages, default=None),
    }


def _is_busy(lane: LaneState) -> bool:
    return bool(lane.due or lane.later or lane.taken or lane.broker_depth)


def _lane(lane: LaneState, links: Links) -> dict[str, Any]:
    query = {"channel__exact": lane.channel, "priority__exact": lane.priority}
    return {
        "channel": lane.channel,
        "label": lanes.label(lane.channel),
        "priority": str(Priority(lane.priority).label),
        "due": lane.due,
        "oldest": lane.oldest_seconds,
        "taken": lane.taken,
        "later": lane.later,
        "more": lane.capped,
        "depth": lane.broker_depth,
        "url": links.list("notifications.outboxmessage", **query),
    }


def _backlog(state: LiveState, links: Links) -> dict[str, Any]:
    events = events_lane.depth()
    return {
        "due": sum(lane.due for lane in state.lanes),
        "later": sum(lane.later for lane in state.lanes),
        "taken": sum(lane.taken for lane in state.lanes),
        "more": any(lane.capped for lane in state.lanes),
        "lag": state.outbox_lag_seconds,
        "oldest": state.oldest_seconds,
        "dead": state.dead_letters,
        "dead_more": state.dead_letters >= live.COUNTED,
        "receipts": events.due,
        "receipts_more": events.due >= events_lane.COUNTED,
        "receipts_oldest": events.oldest_seconds if events.due else None,
        "url": links.list("notifications.outboxmessage"),
        "dead_url": links.list("notifications.deadletter"),
    }


def _processes(state: LiveState) -> list[dict[str, Any]]:
    """By kind, those that live and those that were lost within the hour."""
    kinds: dict[str, list[ProcessState]] = {}
    for process in state.processes:
        kinds.setdefault(process.kind, []).append(process)
    return [
        {
            "kind": kind,
            "alive": sum(process.alive for process in processes),
            "lost": sum(not process.alive for process in processes),
            "each": [
                {
                    "name": process.name,
                    "host": process.host,
                    "pid": process.pid,
                    "alive": process.alive,
                    "age": process.age,
                    "up": process.up,
                    "memory": process.stats.get("memory"),
                }
                for process in sorted(processes, key=lambda one: (one.alive, one.name))[:50]
            ],
        }
        for kind, processes in sorted(kinds.items())
    ]
