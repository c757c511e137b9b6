"""Messages: what was sent to whom, and whether it got there."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from analytics.alerts.admin import marks
from analytics.alerts.models import AlertMessage
from core.admin import BigTableAdmin, ReadOnlyMixin
from notifications.admin import looks

#: Alerts of one message that its page names.
SHOWN = 50


@admin.register(AlertMessage)
class AlertMessageAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by the courier. Here: read."""

    list_display = ("about", "route", "outcome", "attempts", "answer", "when")
    list_display_links = ("about",)
    list_filter = ("state", "route", "is_test")
    list_select_related = ("route",)
    actions = None
    fields = readonly_fields = (
        "about", "route", "outcome", "answer", "attempts", "alerts", "stands_in", "created_at", "sent_at", "due_at",
    )  # fmt: skip

    @admin.display(description="Message")
    def about(self, message: AlertMessage) -> str:
        return message.subject or "Not sent yet"

    @admin.display(description="State")
    def outcome(self, message: AlertMessage) -> SafeString:
        return marks.message_state(message)

    @admin.display(description="When")
    def when(self, message: AlertMessage) -> str:
        return looks.moment(message.created_at)

    @admin.display(description="Alerts")
    def alerts(self, message: AlertMessage) -> SafeString | str:
        events = message.events.select_related("alert")[:SHOWN]
        rows = [
            (reverse("admin:analytics_alert_change", args=[one.alert_id]), one.alert.title, one.get_what_display())
            for one in events
        ]
        line = '<li><a class="cr-link" href="{}">{}</a> <span class="cr-subtle">{}</span></li>'
        return format_html('<ul class="cr-told">{}</ul>', format_html_join("", line, rows)) if rows else "—"

    @admin.display(description="Instead of")
    def stands_in(self, message: AlertMessage) -> str:
        return message.instead_of.route.name if message.instead_of else "—"
