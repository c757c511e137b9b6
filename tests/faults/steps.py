"""The checks of notifications that go out step by step, against the providers' journal and the record. They raise
AssertionError with what they found, know the rules as they are documented, and none of the product's code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tests.faults.books import Call, Delivery, Event, Record

#: Ways to end that reach nobody.
_IN_VAIN = frozenset({"skipped", "bounced", "failed", "dead"})
_READ = frozenset({"opened", "clicked"})
#: A step may be this early: what was accepted and what was sent is set down at moments of its own.
SLACK = 5.0
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """What was asked for: the channels in their order. Under `first` each has `wait` seconds; else a channel is due
    `after` so many seconds from the start, unless another was opened or clicked, or, with `delivered`, delivered."""

    channels: tuple[str, ...]
    wait: float = 0.0
    after: Mapping[str, float] = field(default_factory=dict)
    delivered: frozenset[str] = frozenset()

    @property
    def is_first(self) -> bool:
        return not self.after


@dataclass(slots=True)
class _Leg:
    """One channel of a notification: when providers were asked, and what the record tells of it."""

    delivery: Delivery
    calls: list[float]
    events: Sequence[Event]

    def at(self, *types: str) -> float | None:
        """When one of these was told first."""
        return min((event.at.timestamp() for event in self.events if event.type in types), default=None)


def every_step_kept_its_rule(
    rules: Mapping[str, Rule], record: Record, calls: Sequence[Call], *, under_way: float
) -> int:
    """`rules` by notification; `under_way`: seconds for which a claim may be acted on. The number of steps that were
    spared because of what came before."""
    asked: dict[str, list[float]] = {}
    for call in calls:
        asked.setdefault(call.delivery, []).append(call.at)
    wrong: list[str] = []
    spared = 0
    for notification, rule in rules.items():
        legs = {one.channel: _leg(one, asked, record) for one in record.of(notification)}
        assert legs.keys() == set(rule.channels), f"{notification}: {sorted(legs)}"
        spared += sum(leg.delivery.reason == "not_needed" for leg in legs.values())
        wrong += [f"{notification}: {fault}" for fault in _faults(notification, rule, legs, under_way)]
    assert not wrong, f"{len(wrong)} steps broke their rule: " + "; ".join(wrong[:SHOWN])
    return spared


def _leg(one: Delivery, asked: Mapping[str, list[float]], record: Record) -> _Leg:
    leg = _Leg(one, sorted(asked.get(one.id, ())), record.events.get(one.id, ()))
    if one.channel == "in_app" and (stored := leg.at("sent")) is not None:  # the feed keeps no journal
        leg.calls.append(stored)
    return leg


def _faults(notification: str, rule: Rule, legs: Mapping[str, _Leg], under_way: float) -> Iterator[str]:
    started = (UUID(notification).int >> 80) / 1000
    for position, channel in enumerate(rule.channels):
        leg, before = legs[channel], [legs[one] for one in rule.channels[:position]]
        later = [legs[one] for one in rule.channels[position + 1 :]]
        needless = any(_reached(rule, channel, legs, one) for one in legs) or any(one.at("sent") for one in later)
        if leg.delivery.reason == "not_needed" and not needless:
            yield f"{channel} was spared for nothing"
        if not leg.calls:
            continue
        if position or rule.is_first:
            ends = [end for other in legs if (end := _reached(rule, channel, legs, other)) is not None]
            if ends and leg.calls[-1] > min(ends) + under_way:
                yield f"{channel} was sent {leg.calls[-1] - min(ends):.1f} s after they were reached"
        if position and (early := _due(rule, channel, before, started) - leg.calls[0]) > 0:
            yield f"{channel} was sent {early:.1f} s too early"
        if rule.is_first and any(one.calls and one.calls[0] > leg.calls[0] for one in before):
            yield f"{channel} overtook another"


def _reached(rule: Rule, channel: str, legs: Mapping[str, _Leg], other: str) -> float | None:
    """When another channel made this one needless."""
    if other == channel:
        return None
    if rule.is_first or channel in rule.delivered:
        return legs[other].at("delivered", *_READ)
    return legs[other].at(*_READ)


def _due(rule: Rule, channel: str, before: Sequence[_Leg], started: float) -> float:
    """The earliest moment for this channel, by what had become of those before when it was sent."""
    calls_at = [(one, one.at(*_IN_VAIN)) for one in before]
    alive = [one for one, ended in calls_at if ended is None]
    ends = [ended for _, ended in calls_at if ended is not None]
    if not rule.is_first:
        own = started + rule.after[channel] - SLACK
        return own if alive else min(own, max(ends))
    waits = [(one.at("sent") or started) + rule.wait - min(SLACK, rule.wait / 2) for one in alive]
    # One that ended in vain after its wait was over had been waited for by then.
    waits += [min(ended, (one.at("sent") or ended) + rule.wait - SLACK) for one, ended in calls_at if ended is not None]
    return max(waits, default=started)
