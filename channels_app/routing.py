"""The socket's address; `config.asgi` mounts it."""

from django.urls import URLPattern, path

from channels_app.consumer import FeedConsumer

websocket_urlpatterns: list[URLPattern] = [path("ws/feed/", FeedConsumer.as_asgi())]
