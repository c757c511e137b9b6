"""The outbox: what is due, what is held, lane by lane."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.admin import BigTableAdmin, ReadOnlyMixin
from notifications.admin import looks
from notifications.choices import Channel, Priority
from notifications.lanes import CHANNELS, label
from notifications.models import OutboxMessage

#: Rows whose messages are counted per lane at most; beyond it a card adds a "+".
COUNT_CAP = 1_000
#: Due for longer than this, a lane is behind: the relay publishes within 0.1 s, a busy lane within seconds.
BEHIND = timedelta(seconds=60)

_LANES = f"""
    SELECT lane.channel, lane.priority, due.messages, due.n, due.oldest, later.messages, later.n, later.next
      FROM (SELECT channel, priority FROM unnest(%(channels)s::text[]) channel, unnest(%(priorities)s::text[]) priority)
           AS lane
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(size), 0) AS messages, count(*) AS n, min(due_at) AS oldest FROM (
               SELECT due_at, size FROM notifications_outbox o
                WHERE o.channel = lane.channel AND o.priority = lane.priority AND o.due_at <= now()
                ORDER BY due_at LIMIT {COUNT_CAP}) few) due
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(size), 0) AS messages, count(*) AS n, min(due_at) AS next FROM (
               SELECT due_at, size FROM notifications_outbox o
                WHERE o.channel = lane.channel AND o.priority = lane.priority AND o.due_at > now()
                ORDER BY due_at LIMIT {COUNT_CAP}) few) later
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel and priority: messages due and messages for later, of COUNT_CAP rows each, and their first times."""

    channel: str
    priority: str
    due: int
    due_rows: int
    oldest: datetime | None
    later: int
    later_rows: int
    next: datetime | None

    @property
    def title(self) -> str:
        return f"{label(self.channel)} · {Priority(self.priority).label}"

    @property
    def icon(self) -> str:
        return looks.ICONS.get(self.channel, "webhook")

    @property
    def is_behind(self) -> bool:
        return self.oldest is not None and timezone.now() - self.oldest > BEHIND

    @property
    def due_words(self) -> str:
        return _capped(self.due, self.due_rows)

    @property
    def later_words(self) -> str:
        return _capped(self.later, self.later_rows)

    @property
    def age(self) -> str:
        return looks.offset(self.oldest, timezone.now()).lstrip("+") if self.oldest else ""


def _capped(messages: int, rows: int) -> str:
    return f"{messages:,}+" if rows >= COUNT_CAP else f"{messages:,}"


def lanes() -> list[Lane]:
    """Every lane with work in it, by one query that reads at most COUNT_CAP rows of the index per lane and side."""
    with connection.cursor() as cursor:
        cursor.execute(_LANES, {"channels": list(CHANNELS), "priorities": list(Priority.values)})
        return [lane for row in cursor.fetchall() if (lane := Lane(*row)).due_rows or lane.later_rows]


@admin.register(OutboxMessage)
class OutboxAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by the pipeline and emptied by the relay or the workers. Here: read."""

    list_display = ("lane", "state", "size", "takes", "made")
    list_display_links = ("lane",)
    list_filter = ("channel", "priority")
    list_before_template = "admin/notifications/outboxmessage/lanes.html"
    fields = readonly_fields = ("channel", "priority", "due_at", "created_at", "takes", "deliveries")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), "lanes": lanes()}
        return super().changelist_view(request, context)  # type: ignore[no-any-return]  # untyped base

    @admin.display(description="Lane")
    def lane(self, row: OutboxMessage) -> SafeString:
        return format_html("{} · {}", looks.channel(row.channel), row.get_priority_display())

    @admin.display(description="Due")
    def state(self, row: OutboxMessage) -> SafeString:
        now = timezone.now()
        tone = "blue" if row.due_at > now else "amber" if now - row.due_at > BEHIND else "green"
        return format_html("{} {}", looks.badge("held" if row.due_at > now else "due", tone), looks.moment(row.due_at))

    @admin.display(description="Deliveries")
    def size(self, row: OutboxMessage) -> int:
        return len(row.delivery_ids)

    @admin.display(description="Made")
    def made(self, row: OutboxMessage) -> str:
        return looks.moment(row.created_at)

    @admin.display(description="Deliveries")
    def deliveries(self, row: OutboxMessage) -> SafeString:
        shown: Sequence[Any] = row.delivery_ids[:50]
        if row.channel not in Channel.values:  # another app's work, with pages of its own
            return format_html_join("", "<div><code>{}</code></div>", ((id,) for id in shown))
        links = format_html_join(
            "",
            '<li><a class="cr-link" href="{}"><code>{}</code></a></li>',
            ((reverse("admin:notifications_delivery_change", args=[id]), id) for id in shown),
        )
        rest = len(row.delivery_ids) - len(shown)
        return format_html('<ul class="cr-ids">{}</ul>{}', links, f"and {rest:,} more" if rest else "")
