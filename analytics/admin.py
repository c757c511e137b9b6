"""The admin pages of analytics, by part."""

from analytics.alerts.admin import AlertAdmin, AlertMessageAdmin, AlertRouteAdmin, AlertRuleAdmin, SilenceAdmin
from analytics.webhooks.admin import WebhookEndpointAdmin, WebhookMessageAdmin

__all__ = [
    "AlertAdmin",
    "AlertMessageAdmin",
    "AlertRouteAdmin",
    "AlertRuleAdmin",
    "SilenceAdmin",
    "WebhookEndpointAdmin",
    "WebhookMessageAdmin",
]
