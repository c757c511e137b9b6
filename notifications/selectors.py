"""Reading the record: one notification with its timeline, and pages of many. A constant number of queries each.

Rows of the record keep no database constraint to what they name, so names are looked up by id and may be missing: a
recipient who was erased leaves notifications without one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from core import ids
from notifications.models import (
    Delivery,
    DeliveryEvent,
    Digest,
    DigestItem,
    MessageTemplate,
    Notification,
    TemplateVersion,
)
from notifications.services.acceptance import digest_in
from preferences.models import Category, Recipient

#: Events of one delivery that are read. A delivery has about five; a pathological one must not fill an answer.
MAX_EVENTS = 500
#: Deliveries of one notification that are read: four channels, twenty devices.
MAX_DELIVERIES = 100
#: Items of a digest that are read.
MAX_GATHERED = 100
#: Ids of children are made at their parent's time or later, on machines whose clocks differ by less than this. It
#: bounds the weekly partitions that are looked into.
_CLOCK_MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Names:
    """What the ids in a page of notifications stand for."""

    recipients: dict[UUID, str]
    categories: dict[int, str]
    templates: dict[int, tuple[str, int]]  # version id -> (slug, number)


@dataclass(frozen=True, slots=True)
class Detail:
    """One notification with everything that became of it; events in the order they happened."""

    notification: Notification
    deliveries: list[Delivery]
    events: dict[UUID, list[DeliveryEvent]]
    names: Names
    digest: Digest | None = None  # that gathered it
    gathered: Sequence[UUID] = ()  # what it gathered, if it is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which notifications; what is None does not restrict. Times are of acceptance, `after` inclusive."""

    recipient: str | None = None
    category: str | None = None
    template: str | None = None
    source: str | None = None
    priority: str | None = None
    status: str | None = None  # of at least one delivery
    created_after: datetime | None = None
    created_before: datetime | None = None


def detail(notification_id: UUID) -> Detail | None:
    """The whole story of one notification, or None."""
    notification = Notification.objects.filter(pk=notification_id).first()
    if notification is None:
        return None
    deliveries = deliveries_of([notification_id])[notification_id]
    events = _events_of(deliveries)
    digest_id = digest_in(event.detail for happened in events.values() for event in happened)
    return Detail(
        notification,
        deliveries,
        events,
        names([notification]),
        None if digest_id is None else Digest.objects.filter(pk=digest_id).first(),
        _gathered(notification) if notification.source.startswith("digest:") else (),
    )


def _gathered(notification: Notification) -> list[UUID]:
    rows = DigestItem.objects.filter(digest__notification_id=notification.pk).order_by("notification_id")
    return list(rows.values_list("notification_id", flat=True)[:MAX_GATHERED])


def matching(wanted: Filter) -> QuerySet[Notification]:
    """Notifications that fit, without order: the page decides. Names that do not exist match nothing."""
    rows = Notification.objects.all()
    if wanted.created_after is not None:
        rows = rows.filter(id__gte=ids.floor(wanted.created_after))
    if wanted.created_before is not None:
        rows = rows.filter(id__lt=ids.floor(wanted.created_before))
    if wanted.recipient is not None:
        found = Recipient.objects.filter(external_id=wanted.recipient).values_list("id", flat=True).first()
        rows = rows.filter(recipient_id=found) if found else rows.none()
    if wanted.category is not None:
        category = Category.objects.filter(slug=wanted.category).values_list("id", flat=True).first()
        rows = rows.filter(category_id=category) if category else rows.none()
    if wanted.template is not None:
        versions = TemplateVersion.objects.filter(template__slug=wanted.template).values_list("id", flat=True)
        rows = rows.filter(template_version_id__in=list(versions))
    if wanted.source is not None:
        rows = rows.filter(source=wanted.source)
    if wanted.priority is not None:
        rows = rows.filter(priority=wanted.priority)
    if wanted.status is not None:
        rows = rows.filter(Exists(Delivery.objects.filter(notification=OuterRef("pk"), status=wanted.status)))
    return rows


def deliveries_of(notification_ids: Sequence[UUID]) -> dict[UUID, list[Delivery]]:
    """Deliveries by notification, oldest first; every id asked for is a key."""
    found: dict[UUID, list[Delivery]] = {notification_id: [] for notification_id in notification_ids}
    if not found:
        return found
    since = ids.floor(ids.made_at(min(notification_ids)) - _CLOCK_MARGIN)
    rows = Delivery.objects.filter(notification_id__in=notification_ids, id__gte=since)
    for delivery in rows.order_by("id")[: MAX_DELIVERIES * len(found)]:
        found[delivery.notification_id].append(delivery)
    return found


def names(notifications: Sequence[Notification]) -> Names:
    """What the ids of these stand for, in three queries."""
    versions = {row.template_version_id for row in notifications if row.template_version_id is not None}
    recipients = Recipient.objects.filter(id__in={row.recipient_id for row in notifications})
    categories = Category.objects.filter(id__in={row.category_id for row in notifications})
    templates = TemplateVersion.objects.filter(id__in=versions).values_list("id", "template__slug", "number")
    return Names(
        recipients=dict(recipients.values_list("id", "external_id")),
        categories=dict(categories.values_list("id", "slug")),
        templates={id: (slug, number) for id, slug, number in templates} if versions else {},
    )


def templates() -> QuerySet[MessageTemplate]:
    """Templates with the version that is published."""
    return MessageTemplate.objects.select_related("published")


def _events_of(deliveries: Sequence[Delivery]) -> dict[UUID, list[DeliveryEvent]]:
    found: dict[UUID, list[DeliveryEvent]] = defaultdict(list)
    if not deliveries:
        return found
    since = ids.floor(ids.made_at(min(delivery.id for delivery in deliveries)) - _CLOCK_MARGIN)
    rows = DeliveryEvent.objects.filter(delivery_id__in=[delivery.id for delivery in deliveries], id__gte=since)
    for event in rows.order_by("at", "id")[: MAX_EVENTS * len(deliveries)]:
        found[event.delivery_id].append(event)
    return found
