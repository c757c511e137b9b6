"""The admin pages of analytics, by part."""

from analytics.alerts.admin import AlertAdmin, AlertRuleAdmin
from analytics.webhooks.admin import WebhookEndpointAdmin, WebhookMessageAdmin

__all__ = ["AlertAdmin", "AlertRuleAdmin", "WebhookEndpointAdmin", "WebhookMessageAdmin"]
