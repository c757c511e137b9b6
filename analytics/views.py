"""The dashboard: one page, and the figures it asks for every few seconds."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from analytics import selectors
from notifications.choices import EventType, FailureCode, SkipReason

#: Minutes the dashboard looks back.
WINDOW = 60
_REASONS = {**dict(SkipReason.choices), **dict(FailureCode.choices)}
#: Outcomes in the order of a message's life; the page shows them so.
_OUTCOMES = [
    ("accepted", "Accepted", "Notifications taken"),
    ("queued", "Queued", "Messages put in the queue"),
    (EventType.SENT.value, "Sent", "Taken by a provider"),
    (EventType.DELIVERED.value, "Delivered", "Confirmed by the provider"),
    (EventType.OPENED.value, "Opened", ""),
    (EventType.CLICKED.value, "Clicked", ""),
    (EventType.SKIPPED.value, "Skipped", "Not sent, for a reason"),
    (EventType.DEFERRED.value, "Tried again", "Failed for now"),
    (EventType.BOUNCED.value, "Bounced", ""),
    (EventType.FAILED.value, "Failed", "Refused for good"),
    (EventType.DEAD.value, "Given up", "Every attempt failed"),
]


def snapshot() -> dict[str, Any]:
    """The last hour in figures."""
    now = selectors.database_now()
    tallies = selectors.tallies(since=now - timedelta(minutes=WINDOW - 1))
    return {
        "at": now.isoformat(),
        "outcomes": [
            {"key": key, "label": label, "hint": hint, "count": tallies.total(key)} for key, label, hint in _OUTCOMES
        ],
        "sent": selectors.sent_series(now, WINDOW),
        "skips": reasons(tallies, EventType.SKIPPED),
        "errors": reasons(tallies, EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED, EventType.DEAD),
        "backlog": selectors.backlog(),
    }


def reasons(tallies: selectors.Tallies, *outcomes: str) -> list[dict[str, Any]]:
    """Reasons in words, the most frequent first."""
    return [
        {"label": _REASONS.get(reason) or reason.replace("_", " ").capitalize() or "No reason given", "count": count}
        for reason, count in tallies.reasons(*outcomes).items()
    ]


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
