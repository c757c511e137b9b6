"""The page, the wall screen, and what both ask for every few seconds: one address per group of panels."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from analytics.dashboard import charts, figures, now, tops
from analytics.dashboard.asked import DEFAULT, RANGES, Asked, BadQuestion
from analytics.dashboard.links import Links
from core.moments import database_now
from notifications.choices import Channel
from preferences.models import Category

#: A panel that takes longer is not shown: the next refresh would come before the answer.
TIMEOUT_MS = 4_000
#: Seconds between two looks at this moment.
EVERY = 3
#: Categories the filter offers.
MOST_CATEGORIES = 200

Panel = Callable[[HttpRequest, Links], dict[str, Any]]


def _answers(panel: Panel) -> Callable[[HttpRequest], HttpResponse]:
    """A panel's figures as JSON; what cannot be shown is a status and a sentence for its place on the page."""

    @wraps(panel)
    def view(request: HttpRequest) -> HttpResponse:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
                answer, status = panel(request, Links(request.user)), 200
        except BadQuestion as error:
            answer, status = {"problem": str(error)}, 400
        except DatabaseError:
            answer, status = {"problem": "These figures could not be read: the database is away or too busy."}, 503
        return JsonResponse(answer, status=status, headers={"Cache-Control": "no-store"})

    return view


def _asked(request: HttpRequest) -> Asked:
    return Asked.of(request.GET.dict(), database_now())


@_answers
def live(request: HttpRequest, links: Links) -> dict[str, Any]:
    return now.now(links)


@_answers
def span_figures(request: HttpRequest, links: Links) -> dict[str, Any]:
    return figures.figures(_asked(request), links)


@_answers
def span_charts(request: HttpRequest, links: Links) -> dict[str, Any]:
    return charts.charts(_asked(request))


@_answers
def span_tops(request: HttpRequest, links: Links) -> dict[str, Any]:
    return tops.tops(_asked(request), links)


def dashboard(request: HttpRequest) -> HttpResponse:
    """The page without a figure in it: those come as soon as it stands."""
    return TemplateResponse(request, "analytics/dashboard.html", {**admin.site.each_context(request), **_page()})


def wall(request: HttpRequest) -> HttpResponse:
    """The same for a screen on a wall: nothing to press, to be read from across the room."""
    return TemplateResponse(request, "analytics/wall.html", {**admin.site.each_context(request), **_page()})


def _page() -> dict[str, Any]:
    return {
        "title": "Dashboard",
        "every": EVERY,
        "ranges": [(name, label, name == DEFAULT) for name, (label, _) in RANGES.items()],
        "channels": Channel.choices,
        "categories": Category.objects.order_by("name").values_list("pk", "name")[:MOST_CATEGORIES],
        "providers": sorted({name for chain in settings.PROVIDER_CHAINS.values() for name in chain}),
        "addresses": {part: reverse(f"analytics-dashboard-{part}") for part in ("live", "figures", "charts", "tops")},
    }
