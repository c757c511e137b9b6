"""The feed API, and /inbox/. Mounted at the root."""

from django.urls import URLPattern, URLResolver, path

from channels_app import views
from channels_app.api import views as api

_SUMMARIES = {
    "seen": "Mark an item as seen",
    "read": "Mark an item as read",
    "unread": "Mark an item as unread",
    "archive": "Archive an item",
    "unarchive": "Take an item out of the archive",
}

urlpatterns: list[URLPattern | URLResolver] = [
    path("inbox/", views.inbox, name="inbox"),
    path("inbox/sign-in/", views.sign_in, name="inbox-sign-in"),
    path("inbox/sign-out/", views.sign_out, name="inbox-sign-out"),
    path("api/v1/feed/", api.FeedListView.as_view(), name="feed"),
    path("api/v1/feed/counts/", api.FeedCountsView.as_view(), name="feed-counts"),
    path("api/v1/feed/categories/", api.FeedCategoriesView.as_view(), name="feed-categories"),
    path("api/v1/feed/socket-ticket/", api.SocketTicketView.as_view(), name="feed-socket-ticket"),
    path("api/v1/feed/read-all/", api.FeedReadAllView.as_view(), name="feed-read-all"),
    path("api/v1/feed/<uuid:item_id>/snooze/", api.FeedSnoozeView.as_view(), name="feed-snooze"),
    path("api/v1/recipients/<path:external_id>/feed-token/", api.FeedTokenView.as_view(), name="feed-token"),
    *(
        path(
            f"api/v1/feed/<uuid:item_id>/{action}/",
            api.action_view(action, summary),
            name=f"feed-{action}",
        )
        for action, summary in _SUMMARIES.items()
    ),
]
