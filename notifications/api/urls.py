from django.urls import URLPattern, URLResolver, path

from notifications.api import security  # noqa: F401  the OpenAPI document finds the key's scheme once it is loaded
from notifications.api.explaining import ExplainView
from notifications.api.notifications import (
    BulkNotificationsView,
    CancelNotificationView,
    NotificationsView,
    NotificationView,
)
from notifications.api.sandbox import SandboxCallsView, SandboxProvidersView, SandboxProviderView
from notifications.api.template_trying import PreviewTemplateView, TestTemplateView
from notifications.api.template_versions import (
    CheckTemplateView,
    DiffTemplateView,
    PublishTemplateVersionView,
    RollBackTemplateView,
    TemplateVersionsView,
    TemplateVersionView,
)
from notifications.api.templates import TemplatesView, TemplateView

urlpatterns: list[URLPattern | URLResolver] = [
    path("notifications/", NotificationsView.as_view()),
    path("notifications/bulk/", BulkNotificationsView.as_view()),
    path("notifications/explain/", ExplainView.as_view()),
    path("notifications/<uuid:id>/", NotificationView.as_view()),
    path("notifications/<uuid:id>/cancel/", CancelNotificationView.as_view()),
    path("sandbox/", SandboxProvidersView.as_view()),
    path("sandbox/calls/", SandboxCallsView.as_view()),
    path("sandbox/<slug:provider>/", SandboxProviderView.as_view()),
    path("templates/", TemplatesView.as_view()),
    path("templates/<slug:slug>/", TemplateView.as_view()),
    path("templates/<slug:slug>/preview/", PreviewTemplateView.as_view()),
    path("templates/<slug:slug>/check/", CheckTemplateView.as_view()),
    path("templates/<slug:slug>/test/", TestTemplateView.as_view()),
    path("templates/<slug:slug>/diff/", DiffTemplateView.as_view()),
    path("templates/<slug:slug>/roll-back/", RollBackTemplateView.as_view()),
    path("templates/<slug:slug>/versions/", TemplateVersionsView.as_view()),
    path("templates/<slug:slug>/versions/<int:number>/", TemplateVersionView.as_view()),
    path("templates/<slug:slug>/versions/<int:number>/publish/", PublishTemplateVersionView.as_view()),
]
