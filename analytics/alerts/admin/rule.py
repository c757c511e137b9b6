"""Rules: when an alert opens."""

from django.contrib import admin

from analytics.alerts.models import AlertRule
from core.admin import BaseModelAdmin


@admin.register(AlertRule)
class AlertRuleAdmin(BaseModelAdmin):
    list_display = ("name", "severity", "metric", "standing", "seen", "is_on")
