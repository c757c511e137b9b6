"""Whether a step goes out now: not yet, not any more, or yes. Pure: values in, values out, and takes `now`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from django.db.models import TextChoices

from core.ids import Key
from notifications.attention import Attention
from notifications.choices import Channel, Status, Unless
from notifications.strategies.plan import Plan

#: A step is due this much sooner than planned: what was accepted and what was sent is set down at moments of its own.
SLACK_SECONDS = 5.0
#: How long, at least, `first` goes on waiting past its time for a channel that is still queued or being sent: in the
#: hands of a slow provider, or held back. Then the next goes out, and this one does not any more.
PATIENCE_SECONDS = 120.0
#: How often it looks while it waits for that.
LOOK_SECONDS = 15.0
#: A channel finds a later one being sent at this moment: whoever is in the provider's hands must answer first.
BLINK_SECONDS = 3.0

_IN_APP = Channel.IN_APP.value
_SENDING, _SENT, _DELIVERED = Status.SENDING.value, Status.SENT.value, Status.DELIVERED.value
_UNREACHED = frozenset({Status.SKIPPED.value, Status.BOUNCED.value, Status.FAILED.value, Status.DEAD.value})
_UNSETTLED = frozenset({Status.QUEUED.value, _SENDING})


class Leg(msgspec.Struct, frozen=True, gc=False):
    """One delivery of a notification as it stands. `reports`: its provider says later what became of it; one that does
    not has said all it will when it took the message."""

    id: Key
    channel: str
    status: str
    tries: int
    reports: bool
    sent_at: datetime | None
    delivered_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None


class Sign(TextChoices):
    """What speaks for having been reached."""

    TAKEN = "taken", "Sent"
    DELIVERED = "delivered", "Delivered"
    SEEN = "seen", "Seen"
    READ = "read", "Read"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"


class Found(NamedTuple):
    """Why a step is not needed any more: what happened, where, and when."""

    sign: Sign
    channel: str
    at: datetime | None


class Decision(NamedTuple):
    """Without anything: it goes out. `until`: not before then. `found`: not any more."""

    until: datetime | None = None
    found: Found | None = None


_GO = Decision()


def decide(
    plan: Plan, channel: str, legs: Sequence[Leg], inbox: Mapping[Key, Attention], *, start: datetime, now: datetime
) -> Decision:
    """For the step of `channel`: `legs` are all deliveries of the notification, `inbox` what is known of those in the
    feed, `start` when its first step was due."""
    if plan.is_first:
        return _of_first(plan, channel, legs, inbox, start, now)
    position = plan.position(channel)
    if not position:
        return _GO
    step, before = plan.steps[position], plan.steps[:position]
    if found := reached(step.unless, [leg for leg in legs if leg.channel != channel], inbox):
        return Decision(found=found)
    due = start + timedelta(seconds=step.after)
    if now >= due - timedelta(seconds=SLACK_SECONDS) or is_hopeless({one.channel for one in before}, legs):
        return _GO
    return Decision(until=due)


def is_hopeless(channels: Collection[str], legs: Iterable[Leg]) -> bool:
    """Whether nothing sent by these channels can reach anybody any more."""
    return all(leg.status in _UNREACHED for leg in legs if leg.channel in channels)


def reached(unless: str, legs: Iterable[Leg], inbox: Mapping[Key, Attention]) -> Found | None:
    """The first sign of what `unless` names, or of more: who has read it has seen it, and who has seen it was
    delivered to."""
    found: list[Found] = []
    for leg in legs:
        attention = inbox.get(leg.id)
        _add(found, Sign.CLICKED, leg, leg.clicked_at)
        _add(found, Sign.OPENED if leg.channel != _IN_APP else Sign.READ, leg, leg.opened_at)
        _add(found, Sign.READ, leg, attention and attention.read_at)
        if unless != Unless.READ:
            _add(found, Sign.SEEN, leg, attention and attention.seen_at)
        if unless == Unless.DELIVERED and leg.status == _DELIVERED:
            found.append(Found(Sign.DELIVERED, leg.channel, leg.delivered_at))
    return min(found, key=lambda one: (one.at is None, one.at), default=None)


def _add(found: list[Found], sign: Sign, leg: Leg, at: datetime | None) -> None:
    if at is not None:
        found.append(Found(sign, leg.channel, at))


def _of_first(
    plan: Plan, channel: str, legs: Sequence[Leg], inbox: Mapping[Key, Attention], start: datetime, now: datetime
) -> Decision:
    others = [leg for leg in legs if leg.channel != channel]
    if found := reached(Unless.DELIVERED.value, others, inbox) or _taken(leg for leg in others if not leg.reports):
        return Decision(found=found)
    position = plan.position(channel)
    later = [leg for leg in others if plan.position(leg.channel) > position]
    if any(leg.status == _SENDING for leg in later):
        return Decision(until=now + timedelta(seconds=BLINK_SECONDS))
    if found := _taken(later):
        return Decision(found=found)
    earlier = [leg for leg in others if plan.position(leg.channel) < position and leg.status not in _UNREACHED]
    until = _turn(plan, earlier, legs, start, now) if earlier else now
    return Decision(until=until) if until > now else _GO


def _taken(legs: Iterable[Leg]) -> Found | None:
    return next((Found(Sign.TAKEN, leg.channel, leg.sent_at) for leg in legs if leg.status == _SENT), None)


def _turn(plan: Plan, earlier: Sequence[Leg], legs: Sequence[Leg], start: datetime, now: datetime) -> datetime:
    """When the next channel goes out, while earlier ones may still deliver: a moment past means now."""
    wait = timedelta(seconds=plan.wait)
    slack = timedelta(seconds=min(SLACK_SECONDS, plan.wait / 2))
    if not any(leg.status in _UNSETTLED for leg in earlier):
        until = max(leg.sent_at or start for leg in earlier) + wait
        return until if until - slack > now else now
    last = max(plan.position(leg.channel) for leg in earlier)
    tried = {leg.channel for leg in legs if plan.position(leg.channel) <= last and leg.status != Status.SKIPPED}
    due = start + len(tried) * wait
    if due - slack > now:
        return due
    patience = max(wait, timedelta(seconds=PATIENCE_SECONDS))
    return min(now + timedelta(seconds=LOOK_SECONDS), max(now, due + patience))
