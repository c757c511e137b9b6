"""The events lane: receipts, opens and clicks that came and are not applied yet. Nearly always there are none."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin import BigTableAdmin, ReadOnlyMixin
from notifications.admin import looks
from notifications.choices import EventType
from notifications.models import ReceivedEvent
from notifications.services import events_lane
from preferences.keywords import Keyword

#: Waiting for longer than this, events are late: `run_events` takes them within a second.
LATE_SECONDS = 60.0


@admin.register(ReceivedEvent)
class ReceivedEventAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by webhooks and hits, emptied by `run_events`. Here: read; what was set aside is tried again, or given
    up by deleting it."""

    list_display = ("what", "origin", "delivery", "state", "received")
    list_display_links = ("what",)
    list_before_template = "admin/notifications/receivedevent/before.html"
    actions = ("try_again",)
    fields = readonly_fields = (
        "what", "origin", "delivery", "state", "received", "event_id", "code", "machine",
    )  # fmt: skip  # and not the vendor's own words: they may hold an address

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        depth = events_lane.depth()
        context = {
            **(extra_context or {}),
            "depth": depth,
            "is_capped": depth.due >= events_lane.COUNTED,
            "is_late": depth.oldest_seconds > LATE_SECONDS,
        }
        return super().changelist_view(request, context)  # type: ignore[no-any-return]  # untyped base

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("notifications.delete_receivedevent"))

    @admin.action(description="Try again now", permissions=["act"])
    def try_again(self, request: HttpRequest, rows: QuerySet[ReceivedEvent]) -> None:
        moved = events_lane.retry(rows.values_list("pk", flat=True))
        words = (
            f"{moved:,} event{'' if moved == 1 else 's'} will be tried again now." if moved else "None was for later."
        )
        self.message_user(request, words, messages.SUCCESS if moved else messages.WARNING)

    @admin.display(description="Event")
    def what(self, row: ReceivedEvent) -> SafeString:
        if row.type in Keyword.values:
            return looks.badge(f"replied {Keyword(row.type).label}", "blue")
        known = row.type in EventType.values
        tone = looks.EVENT_TONES.get(EventType(row.type), "grey") if known else "grey"
        return looks.badge(EventType(row.type).label if known else row.type, tone)

    @admin.display(description="Delivery")
    def delivery(self, row: ReceivedEvent) -> SafeString:
        if row.delivery_id == events_lane.NO_DELIVERY:
            return looks.badge("none", "grey")
        address = reverse("admin:notifications_delivery_change", args=[row.delivery_id])
        return format_html('<a class="cr-link" href="{}">{}</a>', address, looks.short_id(row.delivery_id))

    @admin.display(description="Due")
    def state(self, row: ReceivedEvent) -> SafeString:
        now = timezone.now()
        if row.due_at > now:
            label, tone = "later", "blue"
        else:
            label, tone = "due", "amber" if (now - row.due_at).total_seconds() > LATE_SECONDS else "green"
        return format_html("{} {}", looks.badge(label, tone), looks.moment(row.due_at))

    @admin.display(description="Received")
    def received(self, row: ReceivedEvent) -> str:
        return looks.moment(row.received_at)
