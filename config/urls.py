"""Where each app's pages and calls hang. Apps bring their own urls; this file only mounts them."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation

from config.start import start
from core import health, metrics_page
from notifications.api import webhooks

urlpatterns = [
    path("", start, name="start"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics_page.page),
    path("", include("analytics.engagement.urls")),  # /t/c/, /t/o/: links and pixels of messages
    path("", include("preferences.unsubscribing.urls")),  # /u/: the way out of a kind of message
    path("", include("preferences.centre.urls")),  # /preferences/: what people want
    path("admin/", include("analytics.urls")),  # pages inside the admin come before its catch-all
    path("admin/", include("campaigns.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("notifications.api.urls")),
    path("api/v1/", include("analytics.rollups.api.urls")),
    path("api/v1/", include("analytics.webhooks.api.urls")),
    path("api/v1/", include("campaigns.api.urls")),
    path("api/v1/", include("campaigns.segments.api.urls")),
    path("webhooks/<str:provider>/", webhooks.receive, name="webhook"),
    path("", include("channels_app.urls")),  # /inbox/, /api/v1/feed/, and what it hangs below a recipient
    path("api/v1/", include("preferences.api.urls")),  # last: an external id may hold slashes
    path(
        "api/schema/",  # YAML, or JSON by Accept or ?format=json
        SpectacularAPIView.as_view(
            authentication_classes=[], permission_classes=[], content_negotiation_class=DefaultContentNegotiation
        ),
        name="schema",
    ),
    path(
        "api/docs/",  # its script comes as a file of its own: no page runs an inline one
        SpectacularSwaggerSplitView.as_view(url_name="schema", authentication_classes=[], permission_classes=[]),
        name="docs",
    ),
]
