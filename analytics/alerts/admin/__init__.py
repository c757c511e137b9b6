"""Alerts in the admin: what is wrong now, the rules, the ways to people, and who asked for quiet."""

from analytics.alerts.admin.alert import AlertAdmin
from analytics.alerts.admin.rule import AlertRuleAdmin

__all__ = ["AlertAdmin", "AlertRuleAdmin"]
