"""How each metric is read: a table from its name to a function of a look and of what a rule asks for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from analytics.alerts.choices import Metric
from analytics.alerts.look import Ask, Look
from analytics.alerts.muting import Scope
from analytics.rollups.reading import Tallies, Tally
from notifications.choices import DECLINED, Channel, EventType, FailureCode
from notifications.live import LaneState
from notifications.providers.failover import ITS_FAULT
from notifications.services.providers import Standing, State

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value. None: it could not be read. `traffic`: how many messages it speaks of, None where that is no question.
    `note` says more, in words."""

    scope: Scope
    value: float | None
    traffic: int | None = None
    note: str = ""


Read = Callable[[Look, Ask], list[Sample]]


def channel_of(provider: str) -> str:
    """The channel that a provider serves; empty for one of several channels, or of none."""
    serving = [channel for channel, chain in settings.PROVIDER_CHAINS.items() if provider in chain]
    return serving[0] if len(serving) == 1 else ""


# --- counts and shares --------------------------------------------------------------------------------------------

_ENDED_BADLY = frozenset({EventType.DEFERRED, EventType.FAILED, EventType.DEAD})
_REPORTED = frozenset({EventType.DELIVERED, EventType.BOUNCED, EventType.COMPLAINED})


def _sent(row: Tally) -> bool:
    return row.outcome == EventType.SENT


def _not_sent(row: Tally) -> bool:
    """An attempt that did not get out. An address that does not exist is nobody's failure."""
    return row.outcome in _ENDED_BADLY and row.reason != FailureCode.INVALID_ADDRESS


def _attempt(row: Tally) -> bool:
    return _sent(row) or _not_sent(row)


def _its_fault(row: Tally) -> bool:
    """An error of a provider's own, whether or not the next one in the chain took the message then."""
    return (row.outcome in _ENDED_BADLY or row.outcome == DECLINED) and row.reason in ITS_FAULT


def _answered(row: Tally) -> bool:
    return _sent(row) or row.outcome in _ENDED_BADLY or row.outcome == DECLINED


def _outcome(*outcomes: str) -> Callable[[Tally], bool]:
    return lambda row: row.outcome in outcomes


def _scopes(found: Mapping[str, Tallies], ask: Ask) -> Iterator[tuple[Scope, Tallies]]:
    """What was found, by what it is about. Nothing at all is a finding too, unless it is asked for apart."""
    if not ask.by:
        yield Scope(ask.channel, ask.provider), found.get("", Tallies([]))
        return
    for key, tallies in sorted(found.items()):
        if key:
            yield _scope(key, ask), tallies


def _scope(key: str, ask: Ask) -> Scope:
    return Scope(key, ask.provider) if ask.by == "channel" else Scope(channel_of(key) or ask.channel, key)


def _sum(tallies: Tallies, fits: Callable[[Tally], bool]) -> int:
    return sum(row.count for row in tallies.rows if fits(row))


def _share(part: Callable[[Tally], bool], whole: Callable[[Tally], bool]) -> Read:
    def read(look: Look, ask: Ask) -> list[Sample]:
        samples = []
        for scope, tallies in _scopes(look.counts(ask), ask):
            of = _sum(tallies, whole)
            samples.append(Sample(scope, _sum(tallies, part) / of if of else None, of))
        return samples

    return read


def _count(outcome: str) -> Read:
    def read(look: Look, ask: Ask) -> list[Sample]:
        return [
            Sample(scope, float(_sum(tallies, _outcome(outcome)))) for scope, tallies in _scopes(look.counts(ask), ask)
        ]

    return read


def _accepted(look: Look, ask: Ask) -> list[Sample]:
    """Held against what came in the same window a day ago; in the first day of all, against the mean of what there was.
    Where nothing much was to be expected, its absence says nothing."""
    every = Ask(ask.window, source=ask.source)
    accepted = _outcome("accepted")

    def total(found: Mapping[str, Tallies]) -> int:
        return sum(_sum(tallies, accepted) for tallies in found.values())

    if total(look.counts(every, ago=DAY, over=DAY)):
        expected = total(look.counts(every, ago=DAY, over=ask.window))
    else:
        expected = int(total(look.counts(every, ago=ask.window, over=DAY)) * (ask.window / DAY))
    return [Sample(Scope(), float(total(look.counts(every))), expected)]


def _to_be_reported(row: Tally) -> bool:
    return _sent(row) and row.channel != Channel.IN_APP


def _reported(row: Tally) -> bool:
    """By a provider. What is delivered in the feed was opened there: it says who looked, not that a receipt came."""
    return row.outcome in _REPORTED and row.channel != Channel.IN_APP


def _receipt_rate(look: Look, ask: Ask) -> list[Sample]:
    """Only of those that were heard of in the day before: some providers never report."""
    before = {scope: _sum(one, _reported) for scope, one in _scopes(look.counts(ask, ago=ask.window, over=DAY), ask)}
    samples = []
    for scope, tallies in _scopes(look.counts(ask), ask):
        sent = _sum(tallies, _to_be_reported) if before.get(scope) else 0
        samples.append(Sample(scope, _sum(tallies, _reported) / sent if sent else None, sent))
    return samples


def _latency(quantile: float) -> Read:
    def read(look: Look, ask: Ask) -> list[Sample]:
        return [
            Sample(_scope(key, ask) if ask.by else Scope(ask.channel, ask.provider), one.quantile(quantile), one.count)
            for key, one in sorted(look.latency(ask).items())
            if key or not ask.by
        ]

    return read


# --- what stands and waits ----------------------------------------------------------------------------------------


def _lanes(look: Look, ask: Ask) -> Iterator[tuple[Scope, list[LaneState]]]:
    """The lanes that are asked for, apart by channel or together."""
    lanes = [
        lane for lane in look.live.lanes if ask.channel in {"", lane.channel} and ask.priority in {"", lane.priority}
    ]
    if ask.by != "channel":
        yield Scope(ask.channel), lanes
        return
    for channel in dict.fromkeys(lane.channel for lane in lanes):
        yield Scope(channel), [lane for lane in lanes if lane.channel == channel]


def _oldest(ages: Iterable[float | None]) -> float:
    return max((age for age in ages if age is not None), default=0.0)


def _oldest_due(look: Look, ask: Ask) -> list[Sample]:
    return [Sample(scope, _oldest(lane.oldest_seconds for lane in lanes)) for scope, lanes in _lanes(look, ask)]


def _outbox_lag(look: Look, ask: Ask) -> list[Sample]:
    return [Sample(scope, _oldest(lane.oldest_due_seconds for lane in lanes)) for scope, lanes in _lanes(look, ask)]


def _events_lag(look: Look, ask: Ask) -> list[Sample]:
    return [Sample(Scope(), look.events.oldest_seconds)]


def _workers(look: Look, ask: Ask) -> list[Sample]:
    """Those of a channel; its traffic is what waits for them. A queue whose depth nobody knows may hold something."""
    samples = []
    for scope, lanes in _lanes(look, ask):
        alive = sum(n for channel, n in look.live.workers_alive.items() if scope.channel in {"", channel})
        unknown = 1 if look.live.uses_broker else 0
        waiting = sum(
            lane.due + lane.taken + (unknown if lane.broker_depth is None else lane.broker_depth) for lane in lanes
        )
        samples.append(Sample(scope, float(alive), waiting))
    return samples


#: Kinds of processes that an installation runs besides its workers; the relay only with a broker.
KINDS = ("web", "campaigns", "events")


def _processes_missing(look: Look, ask: Ask) -> list[Sample]:
    kinds = (*KINDS, "relay") if look.live.uses_broker else KINDS
    missing = [kind for kind in kinds if not look.live.alive(kind)]
    return [Sample(Scope(), float(len(missing)), note=", ".join(missing))]


# --- providers ----------------------------------------------------------------------------------------------------


def _breaker_open(look: Look, ask: Ask) -> list[Sample]:
    return [
        Sample(Scope(chain.channel, one.name), _yes(one, State.OPEN, State.HALF_OPEN))
        for chain in look.providers.chains
        for one in chain.providers
        if ask.channel in {"", chain.channel} and ask.provider in {"", one.name}
    ]


def _yes(one: Standing, *states: State) -> float | None:
    return None if one.state == State.UNKNOWN else float(one.state in states)


def _nobody_serves(look: Look, ask: Ask) -> list[Sample]:
    samples = []
    for chain in look.providers.chains:
        if ask.channel in {"", chain.channel}:
            unknown = any(one.state == State.UNKNOWN for one in chain.providers)
            value = 0.0 if chain.serving else None if unknown else 1.0
            samples.append(Sample(Scope(chain.channel), value))
    return samples


def _redis_away(look: Look, ask: Ask) -> list[Sample]:
    return [Sample(Scope(), float(look.providers.redis_away))]


METRICS: Mapping[str, Read] = {
    Metric.DELIVERY_RATE: _share(_sent, _attempt),
    Metric.FAILURE_RATE: _share(_not_sent, _attempt),
    Metric.PROVIDER_ERRORS: _share(_its_fault, _answered),
    Metric.BOUNCE_RATE: _share(_outcome(EventType.BOUNCED), _sent),
    Metric.COMPLAINT_RATE: _share(_outcome(EventType.COMPLAINED), _outcome(EventType.DELIVERED)),
    Metric.RECEIPT_RATE: _receipt_rate,
    Metric.LATENCY_P50: _latency(0.5),
    Metric.LATENCY_P99: _latency(0.99),
    Metric.OLDEST_DUE: _oldest_due,
    Metric.OUTBOX_LAG: _outbox_lag,
    Metric.EVENTS_LAG: _events_lag,
    Metric.ACCEPTED: _accepted,
    Metric.SENT: _count(EventType.SENT),
    Metric.FAILED: _count(EventType.FAILED),
    Metric.DEAD: _count(EventType.DEAD),
    Metric.RESCUED: _count(EventType.RESCUED),
    Metric.BREAKER_OPEN: _breaker_open,
    Metric.NOBODY_SERVES: _nobody_serves,
    Metric.WORKERS: _workers,
    Metric.PROCESSES_MISSING: _processes_missing,
    Metric.REDIS_AWAY: _redis_away,
}
