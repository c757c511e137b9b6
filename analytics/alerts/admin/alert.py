"""Alerts: those that are open, as cards that move by themselves, and those that were."""

from django.contrib import admin
from django.utils.safestring import SafeString

from analytics.alerts.admin import marks
from analytics.alerts.models import Alert
from core.admin import BigTableAdmin, ReadOnlyMixin
from notifications.admin import looks


@admin.register(Alert)
class AlertAdmin(ReadOnlyMixin, BigTableAdmin):
    list_display = ("title", "weight", "state", "opened", "ended")
    list_display_links = ("title",)
    list_filter = ("phase", "severity", "channel")

    @admin.display(description="Severity")
    def weight(self, row: Alert) -> SafeString:
        return marks.severity(row.severity)

    @admin.display(description="State")
    def state(self, row: Alert) -> SafeString:
        return marks.state(row)

    @admin.display(description="Opened")
    def opened(self, row: Alert) -> str:
        return looks.moment(row.opened_at)

    @admin.display(description="Resolved")
    def ended(self, row: Alert) -> str:
        return looks.moment(row.resolved_at)
