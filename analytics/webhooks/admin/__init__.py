from analytics.webhooks.admin.endpoint import WebhookEndpointAdmin
from analytics.webhooks.admin.message import WebhookMessageAdmin

__all__ = ["WebhookEndpointAdmin", "WebhookMessageAdmin"]
