"""What both peers do: write the rows of a chunk, and send one notification as one task.

The body is what a careful Django engineer would write: two statements and one commit a task, nothing open while the
provider is called. What Carillon does besides and this does not: an outbox (here a crash between the commit and the
publish loses the task), a claim with a lease, deduplication, limits, suppressions, failover, counters by minute.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from benchmarks.peers.models import PeerDelivery, PeerEvent, PeerNotification, Status
from benchmarks.peers.rendering import render
from notifications.drafts import Draft
from notifications.providers.journal import ACCEPTED, Journal
from preferences.models import Category, Preference, Recipient


def accept(drafts: Sequence[Draft]) -> list[int]:
    """The rows of a chunk in one transaction, by `bulk_create`; the ids of its deliveries, which may be queued now."""
    names = [draft.recipient for draft in drafts]
    people = dict(Recipient.objects.filter(external_id__in=names).values_list("external_id", "id"))
    categories = category_ids()
    with transaction.atomic():
        notifications = PeerNotification.objects.bulk_create(
            PeerNotification(
                recipient_id=people[draft.recipient],
                category_id=categories[draft.category],
                template=draft.template or "",
                data=draft.data,
            )
            for draft in drafts
        )
        deliveries = PeerDelivery.objects.bulk_create(
            PeerDelivery(notification=notification, channel=draft.channels[0] if draft.channels else "email")
            for notification, draft in zip(notifications, drafts, strict=True)
        )
    return [delivery.pk for delivery in deliveries]


@cache
def category_ids() -> dict[str, int]:
    return dict(Category.objects.values_list("slug", "id"))


#: The recipient's word on this category and channel: the narrower row wins, no row means yes.
_WANTED = (
    Preference.objects.filter(recipient_id=OuterRef("notification__recipient_id"), channel=OuterRef("channel"))
    .filter(category_id=OuterRef("notification__category_id"))
    .values("enabled")[:1]
)
#: A delivery with its notification, recipient and preference, in one statement.
_DELIVERIES = PeerDelivery.objects.select_related("notification__recipient").annotate(wanted=Subquery(_WANTED))


def deliver(delivery_id: int) -> None:
    """The task. Run again for what has ended, it does nothing."""
    delivery: Any = _DELIVERIES.get(pk=delivery_id)
    if delivery.status != Status.QUEUED:
        return
    if delivery.wanted is False:
        record(delivery_id, Status.SKIPPED)
        return
    notification = delivery.notification
    person = notification.recipient
    context = {**notification.data, "recipient": {"name": person.name}}
    content = render(notification.template, person.locale, delivery.channel, context)
    record(delivery_id, Status.SENT, provider().send(delivery_id, person.email, content))


def record(delivery_id: int, status: Status, message_id: str = "") -> None:
    """Status and event in one transaction; a second task for the same delivery changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        queued = PeerDelivery.objects.filter(pk=delivery_id, status=Status.QUEUED)
        if queued.update(status=status, provider_message_id=message_id, sent_at=now):
            PeerEvent.objects.create(delivery_id=delivery_id, type=status)


class Provider:
    """Simulated and instant. It writes down every call, as Carillon's does in these runs."""

    def __init__(self, journal: str) -> None:
        self._journal = Journal(journal)

    def send(self, delivery_id: int, address: str, content: dict[str, str]) -> str:
        """The vendor's id of the message. Raises ValueError for what no vendor would take."""
        if not address or not all(content.values()):
            raise ValueError(f"Delivery {delivery_id} has no address or an empty field")
        self._journal.write([f"{delivery_id:032x}\t1\tpeer\t{ACCEPTED}\t0\t0\n"])
        return f"sim-{delivery_id:032x}"


@cache
def provider() -> Provider:
    return Provider(os.environ["PEER_JOURNAL"])
