from django.urls import URLPattern, URLResolver, path

from preferences.api.categories import CategoriesView, CategoryView
from preferences.api.device_tokens import DeviceTokensView, DeviceTokenView
from preferences.api.digests import DigestsView
from preferences.api.links import PreferencesLinkView
from preferences.api.preferences import PreferencesView
from preferences.api.recipients import BulkRecipientsView, RecipientLookupView, RecipientsView, RecipientView
from preferences.api.suppressions import (
    LiftSuppressionView,
    SuppressionLookupView,
    SuppressionsView,
    SuppressionView,
)

# An external id may hold slashes; what hangs below a recipient therefore comes before the recipient itself.
urlpatterns: list[URLPattern | URLResolver] = [
    path("categories/", CategoriesView.as_view()),
    path("categories/<slug:slug>/", CategoryView.as_view()),
    path("suppressions/", SuppressionsView.as_view()),
    path("suppressions/lookup/", SuppressionLookupView.as_view()),
    path("suppressions/<int:id>/", SuppressionView.as_view()),
    path("suppressions/<int:id>/lift/", LiftSuppressionView.as_view()),
    path("recipients/", RecipientsView.as_view()),
    path("recipients/bulk/", BulkRecipientsView.as_view()),
    path("recipients/lookup/", RecipientLookupView.as_view()),
    path("recipients/<path:external_id>/preferences/digests/", DigestsView.as_view()),
    path("recipients/<path:external_id>/preferences/", PreferencesView.as_view()),
    path("recipients/<path:external_id>/preferences-link/", PreferencesLinkView.as_view()),
    path("recipients/<path:external_id>/device-tokens/", DeviceTokensView.as_view()),
    path("recipients/<path:external_id>/device-tokens/<uuid:id>/", DeviceTokenView.as_view()),
    path("recipients/<path:external_id>/", RecipientView.as_view()),
]
