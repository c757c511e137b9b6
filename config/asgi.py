"""The web process: HTTP through Django, WebSockets through Channels."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup(set_prefix=False)  # before anything that imports models

from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from channels_app.routing import websocket_urlpatterns


class ThreadedASGIHandler(ASGIHandler):
    """Runs a request's middleware and view in one thread, as what they are: synchronous.

    Django's own handler crosses between the event loop and a thread at every middleware that knows only one of the two
    (WhiteNoise's). That costs time, and a stop in such a moment leaves a thread that waits for a loop which is gone:
    the process then never exits.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


application = ProtocolTypeRouter({"http": ThreadedASGIHandler(), "websocket": URLRouter(websocket_urlpatterns)})
