"""What became of a notification, as cards: one per delivery, its events in order, told in words.

Reads a constant number of times per notification, each by an index and only in the partitions it can be in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import timezone

from core import ids
from notifications import summaries
from notifications.admin import looks
from notifications.choices import Channel, EventType, Status
from notifications.explain.past import Next, due
from notifications.models import Delivery, DeliveryEvent, Notification
from notifications.services.deduplication import first_of
from notifications.strategies import telling
from notifications.strategies.plan import of_json
from notifications.strategies.telling import Outlook
from preferences.models import DeviceToken, Recipient

MAX_DELIVERIES = 100  # one per channel and one per device; a recipient has 20 devices at most
MAX_EVENTS = 2000
#: Deliveries are made with their notification, events later: the slack covers clocks that disagree.
SLACK = timedelta(hours=1)
#: What a provider answered to being asked; and what may happen many times without anything new.
_ATTEMPTS = frozenset({EventType.SENT, EventType.DEFERRED, EventType.FAILED, EventType.DEAD})
_REPEATING = frozenset({EventType.HELD, EventType.REOPENED, EventType.RECLICKED, EventType.MACHINE})


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a timeline. `tone` colours its dot; `offset` counts from acceptance. `asked` is what a provider was
    handed, of an attempt; `times` how often the same happened in a row, the last time at `last`."""

    title: str
    tone: str
    at: datetime | None
    offset: str = ""
    detail: str = ""
    meta: str = ""
    reference: str = ""  # the provider's name for the message
    duplicate_of: UUID | None = None
    asked: str = ""
    times: int = 1
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One delivery: where it went, how it stands, and each step on the way."""

    delivery: Delivery
    icon: str
    channel: str
    address: str
    status: str
    tone: str
    steps: list[Step] = field(default_factory=list)


def cards(notification: Notification, recipient: Recipient | None, *, only: UUID | None = None) -> list[Card]:
    """The deliveries of a notification (or `only` one of them), in the order of their turns, or else their channels."""
    deliveries = deliveries_of([notification])
    if only is not None:
        deliveries = [delivery for delivery in deliveries if delivery.pk == only]
    events: dict[UUID, list[DeliveryEvent]] = {}
    for event in _events(notification, [delivery.pk for delivery in deliveries]):
        events.setdefault(event.delivery_id, []).append(event)
    devices = DeviceToken.objects.in_bulk([d.device_token_id for d in deliveries if d.device_token_id])
    asked, next_time = summaries.requests(deliveries), due(deliveries)
    paused = {id for id, scheduled in next_time.items() if scheduled.held_by}
    outlooks = telling.outlook(notification, deliveries if only is None else deliveries_of([notification]))
    plan = of_json(notification.plan)
    order = {c.value: (plan.position(c.value) if plan else 0, position) for position, c in enumerate(Channel)}
    deliveries.sort(key=lambda delivery: (order[delivery.channel], delivery.pk))
    return [
        Card(
            delivery=delivery,
            icon=looks.ICONS[delivery.channel],
            channel=str(Channel(delivery.channel).label),
            address=_address(delivery, recipient, devices.get(delivery.device_token_id)),
            status=str(Status(delivery.status).label),
            tone=looks.TONES[delivery.status],
            steps=[
                *_steps(notification, delivery, events.get(delivery.pk, []), str(asked.get(delivery.pk, ""))),
                *(
                    _turn(outlooks[delivery.pk])
                    if delivery.pk in outlooks and delivery.pk not in paused
                    else _waiting(notification, delivery, next_time.get(delivery.pk), events.get(delivery.pk, []))
                ),
            ],
        )
        for delivery in deliveries
    ]


def deliveries_of(notifications: Sequence[Notification]) -> list[Delivery]:
    """The deliveries of a page of notifications with one query, in the partitions they can be in."""
    if not notifications:
        return []
    made = [ids.made_at(notification.pk) for notification in notifications]
    return list(
        Delivery.objects.filter(
            notification_id__in=[notification.pk for notification in notifications],
            id__gte=ids.floor(min(made) - SLACK),
            id__lt=ids.floor(max(made) + SLACK),
        )[: MAX_DELIVERIES * len(notifications)]
    )


def _events(notification: Notification, delivery_ids: Sequence[UUID]) -> list[DeliveryEvent]:
    if not delivery_ids:
        return []
    since = ids.floor(ids.made_at(notification.pk) - SLACK)
    return list(DeliveryEvent.objects.filter(delivery_id__in=delivery_ids, id__gte=since).order_by("id")[:MAX_EVENTS])


def _address(delivery: Delivery, recipient: Recipient | None, device: DeviceToken | None) -> str:
    if delivery.channel == Channel.PUSH:
        if device is None:
            return "device no longer known" if delivery.device_token_id else "no device"
        return f"{device.get_platform_display()} · {device.label or device.token_hash[:8]}"
    if recipient is None:
        return "erased recipient"
    if delivery.channel == Channel.EMAIL:
        return looks.redacted_email(recipient.email) if recipient.email else "no email address"
    if delivery.channel == Channel.SMS:
        return looks.redacted_phone(recipient.phone) if recipient.phone else "no phone number"
    return "feed"


def _steps(notification: Notification, delivery: Delivery, events: Sequence[DeliveryEvent], asked: str) -> list[Step]:
    start = notification.created_at
    steps = [Step("Accepted", "grey", start, meta=f"priority {delivery.get_priority_display().lower()}")]
    if notification.send_at is not None and notification.send_at > start:
        steps.append(Step("Scheduled", "grey", notification.send_at, looks.offset(start, notification.send_at)))
    for event, *again in _runs(events):
        meta = [f"attempt {event.attempt}"] if event.attempt else []
        meta += [event.provider] if event.provider else []
        said = [looks.words(event.code)] if event.code else []
        first = first_of([event.detail])
        said += [event.detail] if event.detail and event.detail not in said and not first else []
        steps.append(
            Step(
                title=str(EventType(event.type).label),
                tone=looks.EVENT_TONES[EventType(event.type)],
                at=event.at,
                offset=looks.offset(start, max(start, event.at)),
                detail=": ".join(text.rstrip(".") for text in said) + "." if said else "",
                meta=" · ".join(meta),
                reference=event.provider_message_id,
                duplicate_of=first,
                asked=asked if event.provider and event.type in _ATTEMPTS else "",
                times=1 + len(again),
                last=again[-1].at if again else None,
            )
        )
    return steps


def _runs(events: Sequence[DeliveryEvent]) -> list[list[DeliveryEvent]]:
    """The events in order; of what happens again and again in the same way, those that follow each other together."""
    runs: list[list[DeliveryEvent]] = []
    for event in events:
        before = runs[-1][0] if runs else None
        if before is not None and event.type in _REPEATING and _same(before, event):
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def _same(one: DeliveryEvent, other: DeliveryEvent) -> bool:
    return (one.type, one.code, one.provider, one.detail) == (other.type, other.code, other.provider, other.detail)


def _turn(outlook: Outlook) -> list[Step]:
    """A later step that waits for its turn, or will have none."""
    return [Step("Not needed any more" if outlook.found else "Waiting for its turn", "live", None, detail=outlook.says)]


def _waiting(
    notification: Notification, delivery: Delivery, scheduled: Next | None, events: Sequence[DeliveryEvent]
) -> list[Step]:
    """What a delivery that has not ended is doing now."""
    if delivery.status == Status.SENDING:
        return [Step("With a worker", "live", None, detail="Claimed; waiting for the provider's answer.")]
    if delivery.status != Status.QUEUED:
        return []
    title, detail = _why(notification, delivery, scheduled, events)
    return [Step(title, "live", None, detail=detail)]


def _why(
    notification: Notification, delivery: Delivery, scheduled: Next | None, events: Sequence[DeliveryEvent]
) -> tuple[str, str]:
    """What a queued delivery waits for: a title, and more about it."""
    if scheduled and scheduled.held_by:
        return "Paused", f"It leaves when {scheduled.held_by} goes on."
    held = bool(events) and events[-1].type == EventType.HELD
    if notification.send_at is not None and notification.send_at > timezone.now() and not held:
        return "Waiting for its time", ""
    at = scheduled.at if scheduled else None
    when = f"Due {naturaltime(at)}, at {at:%H:%M:%S}. " if at and at > timezone.now() else ""
    if delivery.tries:
        return "Waiting to be tried again", when
    if delivery.holds or held:
        return "Held back", f"{when}It goes on by itself; no attempt is used up."
    return "Waiting for a worker", when
