"""The dashboard: one page, and the figures it asks for every few seconds."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from analytics import selectors
from notifications.choices import EventType

#: Minutes the dashboard looks back.
WINDOW = 60
#: Outcomes in the order of a message's life; the page shows them so.
_OUTCOMES = [
    ("accepted", "Accepted", "Notifications taken"),
    ("queued", "Queued", "Messages to send"),
    (EventType.SENT.value, "Sent", "Taken by a provider"),
    (EventType.DELIVERED.value, "Delivered", "Confirmed by the provider"),
    (EventType.OPENED.value, "Opened", ""),
    (EventType.CLICKED.value, "Clicked", ""),
    (EventType.SKIPPED.value, "Skipped", "For a reason"),
    (EventType.HELD.value, "Held", "No provider or limit allowed it then"),
    (EventType.DEFERRED.value, "Tried again", "Failed for now"),
    (EventType.BOUNCED.value, "Bounced", ""),
    (EventType.FAILED.value, "Failed", "Refused for good"),
    (EventType.DEAD.value, "Given up", "All tries failed"),
]


def snapshot() -> dict[str, Any]:
    """The last hour in figures."""
    now = selectors.database_now()
    since = now - timedelta(minutes=WINDOW - 1)
    tallies = selectors.tallies(since=since)
    return {
        "at": now.isoformat(),
        "outcomes": [
            {"key": key, "label": label, "hint": hint, "count": tallies.total(key)} for key, label, hint in _OUTCOMES
        ],
        "sent": selectors.sent_series(since, now),
        "skips": tallies.reasons(EventType.SKIPPED),
        "errors": tallies.reasons(EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED, EventType.DEAD),
        "backlog": selectors.backlog(),
    }


def dashboard(request: HttpRequest) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Dashboard",
        "snapshot": snapshot(),
        "live_url": reverse("analytics-dashboard-live"),
    }
    return TemplateResponse(request, "analytics/dashboard.html", context)


def dashboard_live(request: HttpRequest) -> HttpResponse:
    return JsonResponse(snapshot(), headers={"Cache-Control": "no-store"})
