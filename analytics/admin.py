"""The admin pages of analytics, by part."""

from analytics.alerts.admin import AlertAdmin, AlertRuleAdmin

__all__ = ["AlertAdmin", "AlertRuleAdmin"]
