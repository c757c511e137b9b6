from django.urls import URLPattern, URLResolver, path

from analytics.webhooks.api.views import (
    ReplayWebhookView,
    RotateWebhookView,
    TestWebhookView,
    WebhookMessagesView,
    WebhooksView,
    WebhookView,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("webhooks/endpoints/", WebhooksView.as_view()),
    path("webhooks/endpoints/<uuid:id>/", WebhookView.as_view()),
    path("webhooks/endpoints/<uuid:id>/rotate/", RotateWebhookView.as_view()),
    path("webhooks/endpoints/<uuid:id>/test/", TestWebhookView.as_view()),
    path("webhooks/endpoints/<uuid:id>/messages/", WebhookMessagesView.as_view()),
    path("webhooks/endpoints/<uuid:id>/replay/", ReplayWebhookView.as_view()),
]
