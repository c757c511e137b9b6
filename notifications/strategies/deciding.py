"""Whether a step goes out now: not yet, not any more, or yes. Pure: values in, values out, and takes `now`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from django.db.models import TextChoices

from core.ids import Key
from notifications.attention import Attention
from notifications.choices import Channel, Status, Unless
from notifications.strategies.lulls import Lull
from notifications.strategies.plan import Plan

#: A step is due this much sooner than planned: what was accepted and what was sent is set down at moments of its own.
SLACK_SECONDS = 5.0
#: How long, at least, `first` goes on waiting past its time for a channel that is still queued or being sent: in the
#: hands of a slow provider, or held back. Then the next goes out, and this one does not any more.
PATIENCE_SECONDS = 120.0
#: How soon it looks again while it waits for that: after so long, and then after as long as it waited already, but no
#: longer than one wait. So a channel that is stuck for an hour is looked at some ten times.
LOOK_SECONDS = 15.0
#: Quiet hours move a step by this at most: one night. Who is not free for as long as a step waits gets it the next.
LULL_SHIFT = timedelta(hours=26)
#: A channel finds a later one being sent at this moment: whoever is in the provider's hands must answer first. Twice as
#: long each time: its worker may be lost, and nobody may be serving its lane.
BLINK_SECONDS, LONGEST_BLINK_SECONDS = 3.0, 60.0

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
    """Without anything: it goes out. `until`: not before then, when it is asked again. `found`: not any more. `latest`:
    it goes out then whatever becomes of the channel before it; None where that is `until`, or nobody can tell."""

    until: datetime | None = None
    found: Found | None = None
    latest: datetime | None = None


_GO = Decision()


class Times(NamedTuple):
    """`start`: when the first step was due. `lull`: quiet hours since then, whose end brings several steps at once.
    `holds`: how often this one was held already."""

    start: datetime
    now: datetime
    lull: Lull | None
    holds: int


def decide(
    plan: Plan,
    channel: str,
    legs: Sequence[Leg],
    inbox: Mapping[Key, Attention],
    times: Times,
) -> Decision:
    """For the step of `channel`: `legs` are all deliveries of the notification, `inbox` what is known of those in the
    feed."""
    if plan.is_first:
        return _of_first(plan, channel, legs, inbox, times)
    position = plan.position(channel)
    if not position:
        return _GO
    step, before = plan.steps[position], plan.steps[:position]
    if found := reached(step.unless, [leg for leg in legs if leg.channel != channel], inbox):
        return Decision(found=found)
    planned = times.start + timedelta(seconds=step.after)
    due = max(planned, min(_after_lull(plan, position, legs, times), planned + LULL_SHIFT))
    if times.now >= due - timedelta(seconds=SLACK_SECONDS) or is_hopeless({one.channel for one in before}, legs):
        return _GO
    return Decision(until=due)


def _after_lull(plan: Plan, position: int, legs: Sequence[Leg], times: Times) -> datetime:
    """When a step of an escalation is due whose time lay in quiet hours: as long after the one before it as planned,
    where those held that back as well. Else both would come at once, and nobody could see the one in time to be spared
    the other."""
    if times.lull is None:
        return times.start
    for before in reversed(plan.steps[:position]):
        alive = [leg for leg in legs if leg.channel == before.channel and leg.status not in _UNREACHED]
        if not alive or before.channel == _IN_APP:  # the feed makes no noise, and waits for no hours
            continue
        gap = timedelta(seconds=plan.steps[position].after - before.after)
        if any(leg.status in _UNSETTLED for leg in alive):
            return times.lull.cleared + gap
        sent = max(leg.sent_at or times.start for leg in alive)
        return sent + gap if sent >= times.lull.ended else times.start
    return times.start


def is_hopeless(channels: Collection[str], legs: Iterable[Leg]) -> bool:
    """Whether nothing sent by these channels can reach anybody any more."""
    return all(leg.status in _UNREACHED for leg in legs if leg.channel in channels)


def is_needless(plan: Plan, channels: Collection[str], legs: Sequence[Leg], inbox: Mapping[Key, Attention]) -> bool:
    """Whether a message that waits on these channels, gathered with others, need not be told there any more: by what
    became of it on the channels where it did not wait."""
    told = [leg for leg in legs if leg.channel not in channels]
    if plan.is_first:
        taken = _taken(one for one in told if not one.reports)
        return taken is not None or reached(Unless.DELIVERED.value, told, inbox) is not None
    gathered = [step for step in plan.steps if step.channel in channels]
    return bool(gathered) and all(step.unless and reached(step.unless, told, inbox) for step in gathered)


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


def _of_first(plan: Plan, channel: str, legs: Sequence[Leg], inbox: Mapping[Key, Attention], times: Times) -> Decision:
    others = [leg for leg in legs if leg.channel != channel]
    if found := reached(Unless.DELIVERED.value, others, inbox) or _taken(leg for leg in others if not leg.reports):
        return Decision(found=found)
    position = plan.position(channel)
    later = [leg for leg in others if plan.position(leg.channel) > position]
    if any(leg.status == _SENDING for leg in later):
        blink = min(LONGEST_BLINK_SECONDS, BLINK_SECONDS * 2.0 ** min(times.holds, 5))
        return Decision(until=times.now + timedelta(seconds=blink))
    if found := _taken(later):
        return Decision(found=found)
    earlier = [leg for leg in others if plan.position(leg.channel) < position and leg.status not in _UNREACHED]
    until, latest = _turn(plan, earlier, legs, times) if earlier else (times.now, None)
    return Decision(until=until, latest=latest) if until > times.now else _GO


def _taken(legs: Iterable[Leg]) -> Found | None:
    return next((Found(Sign.TAKEN, leg.channel, leg.sent_at) for leg in legs if leg.status == _SENT), None)


def _turn(plan: Plan, earlier: Sequence[Leg], legs: Sequence[Leg], times: Times) -> tuple[datetime, datetime | None]:
    """When the next channel goes out, or is asked again, while earlier ones may still deliver: a moment past means now;
    and, where it is asked again, when it goes at the latest."""
    start, now = times.start, times.now
    wait = timedelta(seconds=plan.wait)
    slack = timedelta(seconds=min(SLACK_SECONDS, plan.wait / 2))
    unsettled = {leg.channel for leg in earlier if leg.status in _UNSETTLED}
    if not unsettled:
        until = max(leg.sent_at or start for leg in earlier) + wait
        return (until if until - slack > now else now), None
    last = max(plan.position(leg.channel) for leg in earlier)
    tried = {leg.channel for leg in legs if plan.position(leg.channel) <= last and leg.status != Status.SKIPPED}
    due = start + len(tried) * wait
    if times.lull is not None:  # what it held back is given its time from there
        due = max(due, min(times.lull.cleared + len(unsettled) * wait, due + LULL_SHIFT))
    if due - slack > now:
        return due, None
    least = timedelta(seconds=PATIENCE_SECONDS)
    over = due + max(wait, least)
    if over <= now and not times.holds:
        return now + least, None  # all of it comes late: held with its source, or behind a backlog
    pause = max(timedelta(seconds=LOOK_SECONDS), min(now - due, wait))
    return min(now + pause, max(now, over)), over
