"""Deliveries: one channel, one address, one outcome."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html

from core.admin_filters import CreatedFilter
from notifications.admin import looks, timeline
from notifications.admin.delivery_filters import CategoryFilter, OutcomeFilter, ProviderFilter, ReasonFilter
from notifications.admin.record import RecordAdmin, as_uuid
from notifications.models import Delivery, Notification
from preferences.admin import recipient_id
from preferences.models import Recipient

#: Searching by recipient goes by way of their newest notifications: deliveries have no index on the person.
MAX_NOTIFICATIONS = 200


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin):
    """Written by NotificationService and DeliveryTracker alone. Here: read."""

    list_display = ("short", "way", "to", "state", "tries", "provider", "when")
    list_display_links = ("short",)
    list_filter = (CreatedFilter, "channel", "status", OutcomeFilter, ReasonFilter, ProviderFilter, CategoryFilter)
    indexed_filters = frozenset({"created_from"})
    search_help_text = "Delivery id, notification id, or recipient's external id"
    detail_template = "admin/notifications/delivery/detail.html"

    def exact_query(self, term: str) -> Q | None:
        wanted = Q()
        if (key := as_uuid(term)) is not None:
            wanted |= Q(pk=key) | Q(notification_id=key)
        if (person := recipient_id(term)) is not None:
            newest = Notification.objects.filter(recipient_id=person).order_by("-id")[:MAX_NOTIFICATIONS]
            wanted |= Q(notification_id__in=list(newest.values_list("pk", flat=True)))
        return wanted or None

    @admin.display(description="Delivery")
    def short(self, row: Delivery) -> str:
        return looks.short_id(row.pk)

    @admin.display(description="Channel")
    def way(self, row: Delivery) -> str:
        return looks.channel(row.channel)

    @admin.display(description="Status")
    def state(self, row: Delivery) -> str:
        why = row.get_skip_reason_display() if row.skip_reason else row.get_error_code_display()
        return format_html('{} <span class="cr-subtle">{}</span>', looks.status_badge(row.status), why or "")

    def detail(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        notification = Notification.objects.filter(pk=row.notification_id).first()
        recipient = Recipient.objects.filter(pk=row.recipient_id).first()
        cards = timeline.cards(notification, recipient, only=row.pk) if notification else []
        return {"delivery": row, "notification": notification, "recipient": recipient, "cards": cards}
