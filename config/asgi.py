"""The web process: HTTP through Django, WebSockets through Channels."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup(set_prefix=False)  # before anything that imports models

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import get_resolver

from analytics.engagement.quick import QuickLinks
from channels_app.routing import websocket_urlpatterns
from config.processes import web_is_present
from core import collector
from core.asgi import ThreadedASGIHandler, lighten_daphne
from notifications.api.express import Express
from notifications.api.express_webhooks import ExpressWebhooks

lighten_daphne(listening=web_is_present)
django_handler = ThreadedASGIHandler()
application = ProtocolTypeRouter(
    {
        "http": QuickLinks(ExpressWebhooks(Express(django_handler), django_handler), django_handler),
        "websocket": URLRouter(websocket_urlpatterns),
    }
)

_ = get_resolver().url_patterns  # imports every view, as the first request would
collector.relax(collector.REQUESTS)
