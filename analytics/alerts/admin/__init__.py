"""Alerts in the admin: what is wrong now, the rules, the ways to people, and who asked for quiet."""

from analytics.alerts.admin.alert import AlertAdmin
from analytics.alerts.admin.message import AlertMessageAdmin
from analytics.alerts.admin.route import AlertRouteAdmin
from analytics.alerts.admin.rule import AlertRuleAdmin
from analytics.alerts.admin.silence import SilenceAdmin

__all__ = ["AlertAdmin", "AlertMessageAdmin", "AlertRouteAdmin", "AlertRuleAdmin", "SilenceAdmin"]
