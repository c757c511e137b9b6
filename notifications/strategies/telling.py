"""What is told of steps: why one is not needed, and what a waiting one waits for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models.functions import Now

from notifications.choices import Channel, Status, Unless
from notifications.models import Delivery, Notification
from notifications.services import quiet
from notifications.strategies import standing
from notifications.strategies.deciding import Decision, Found, Leg, Sign, Times, decide, is_hopeless
from notifications.strategies.lulls import lull_between
from notifications.strategies.plan import Plan, of_json
from notifications.wording import day, listed, soon
from preferences.models import Recipient
from preferences.quiet_hours import QuietHours
from preferences.services import PreferencesService, quiet_of


class Outlook(NamedTuple):
    """Of a step that waits: `until` when, `unless` what comes to pass by then, and both in a sentence. `found`: it has
    come to pass, and the step will not go out."""

    until: datetime | None
    unless: str
    says: str
    found: Found | None = None


def says(found: Found) -> str:
    """`Read in the inbox on 28 Nov 2026, 10:42:07 UTC.`"""
    if found.channel == Channel.IN_APP:
        where = "to the inbox" if found.sign in (Sign.DELIVERED, Sign.TAKEN) else "in the inbox"
    else:
        where = f"by {Channel(found.channel).label}" if found.sign in (Sign.DELIVERED, Sign.TAKEN) else (
            f"in the {Channel(found.channel).label} message"
        )  # fmt: skip
    when = f" on {day(found.at)}" if found.at is not None else ""
    return f"{found.sign.label} {where}{when}."


def condition(plan: Plan, channel: str) -> str:
    """What keeps this step from going out: an `Unless`, or empty."""
    position = plan.position(channel)
    if plan.is_first:
        return Unless.DELIVERED.value if position else ""
    return plan.steps[position].unless


def promise(plan: Plan, channel: str, until: datetime, now: datetime) -> str:
    """`Email in 52 minutes, unless it is read by then.`"""
    label = Channel(channel).label
    when = soon((until - now).total_seconds())
    if not plan.is_first:
        return f"{label} {when}, unless it is {condition(plan, channel)} by then."
    before = [str(Channel(step.channel).label) for step in plan.steps[: plan.position(channel)]]
    return f"{label} {when}, unless {listed(before, 'or')} has delivered by then; at once where that fails."


def outlook(notification: Notification, deliveries: Sequence[Delivery]) -> Mapping[UUID, Outlook]:
    """Of each step of a notification that waits for its turn; nothing for one without a plan."""
    plan = of_json(notification.plan)
    waiting = [one for one in deliveries if one.status == Status.QUEUED]
    if plan is None or not waiting:
        return {}
    now = Notification.objects.filter(pk=notification.pk).values_list(Now(), flat=True).first()
    if now is None:
        return {}
    start = max(notification.created_at, notification.send_at or notification.created_at)
    legs = [_leg(one) for one in deliveries]
    inbox, hours = standing.inbox(legs), _hours(notification)
    lull = lull_between(hours, start, now)
    found = {}
    for one in waiting:
        decision = decide(plan, one.channel, legs, inbox, Times(start, now, lull, one.holds))
        if (told := _outlook(plan, one.channel, legs, decision, now)) is not None:
            found[one.pk] = _after_quiet(told, one.channel, hours, notification.expires_at)
    return found


def _after_quiet(told: Outlook, channel: str, hours: QuietHours | None, expires_at: datetime | None) -> Outlook:
    """With what quiet hours make of its time."""
    if told.until is None or hours is None or channel == quiet.SILENT:
        return told
    held = quiet.hold(hours, told.until, expires_at, 0.0)
    return told if held is None else told._replace(until=held.until, says=f"{told.says} {held.says}.")


def _hours(notification: Notification) -> QuietHours | None:
    """Those that this message waits for."""
    category = PreferencesService().categories_by_id({notification.category_id}).get(notification.category_id)
    if category is None or not quiet.waits(category, notification.priority, is_test=notification.is_test):
        return None
    person = Recipient.objects.filter(pk=notification.recipient_id).first()
    if person is None:
        return None
    return quiet_of(person.quiet_start, person.quiet_end, person.timezone, never=person.quiet_never)


def _outlook(plan: Plan, channel: str, legs: Sequence[Leg], decision: Decision, now: datetime) -> Outlook | None:
    unless = condition(plan, channel)
    if decision.found is not None:
        return Outlook(None, unless, f"It will not go out: {says(decision.found)}", decision.found)
    if decision.until is None or not plan.position(channel):
        return None
    before = {step.channel for step in plan.steps[: plan.position(channel)]}
    if is_hopeless(before, legs):
        return None
    until = decision.latest or decision.until
    return Outlook(until, unless, promise(plan, channel, until, now))


def _leg(one: Delivery) -> Leg:
    moments = (one.sent_at, one.delivered_at, one.opened_at, one.clicked_at)
    return standing.leg_of((one.pk.bytes, one.channel, one.status, one.tries, one.provider), moments)
