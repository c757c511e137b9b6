"""The people behind the numbers of a campaign's page, as a list and as a file. Inside the admin, behind its sign-in."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_GET

from campaigns import breakdown, exporting, people
from campaigns.models import Campaign
from campaigns.people import OUTCOMES, REASONS, Wanted
from campaigns.views import find
from notifications.admin import looks
from notifications.choices import Channel


@require_GET
def people_page(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """A page of messages with whom they went to; `?outcome=`, `channel=`, `reason=` narrow, `after=` goes on."""
    campaign = _named(request, campaign_id)
    wanted = Wanted.read(request.GET.dict())
    after = people.cursor_of(request.GET.get("after", ""))
    found = people.page(campaign, wanted, after)
    address = reverse("campaign-people", args=[campaign.pk])
    context = {
        **admin.site.each_context(request),
        "opts": Campaign._meta,
        "original": campaign,
        "title": wanted.words,
        "campaign": campaign,
        "rows": [_row(person) for person in found.people],
        "page": found,
        "wanted": wanted,
        "is_first": after is None,
        "filters": _filters(address, wanted),
        "next": f"{address}?{_query(wanted, after=found.next)}" if found.next else "",
        "start": f"{address}?{_query(wanted)}",
        "export": f"{reverse('campaign-export', args=[campaign.pk])}?{_query(wanted)}",
    }
    return TemplateResponse(request, "campaigns/people.html", context)


@require_GET
def export(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
    """What the list shows, all of it, as CSV."""
    campaign = _named(request, campaign_id)
    wanted = Wanted.read(request.GET.dict())
    name = "-".join(filter(None, [slugify(campaign.name) or "campaign", wanted.outcome, wanted.channel, wanted.reason]))
    return StreamingHttpResponse(
        exporting.lines(campaign, wanted),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"},
    )


@require_GET
def languages(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Outcomes by language, when somebody asks for them: they come from the record, not from counters."""
    found = breakdown.by_language(find(request, campaign_id))
    return JsonResponse({"rows": found.rows, "sampled": found.sampled}, headers={"Cache-Control": "no-store"})


def _named(request: HttpRequest, campaign_id: int) -> Campaign:
    """The campaign, for who may look at it and at recipients."""
    campaign = find(request, campaign_id)
    if not request.user.has_perm("preferences.view_recipient"):
        raise PermissionDenied("Your account may not look at recipients.")
    return campaign


def _query(wanted: Wanted, **more: str | None) -> str:
    given = {"outcome": wanted.outcome, "channel": wanted.channel, "reason": wanted.reason, **more}
    return urlencode({name: value for name, value in given.items() if value})


def _row(person: people.Person) -> dict[str, Any]:
    row = person.delivery
    return {
        "who": person.recipient,
        "who_url": reverse("admin:preferences_recipient_change", args=[row.recipient_id]) if person.recipient else "",
        "channel": looks.channel(row.channel),
        "status": looks.status_badge(row.status),
        "why": looks.words(row.skip_reason or row.error_code),
        "at": row.clicked_at or row.opened_at or row.delivered_at or row.sent_at,
        "url": reverse("admin:notifications_notification_change", args=[row.notification_id]),
    }


def _filters(address: str, wanted: Wanted) -> list[dict[str, Any]]:
    """Rows of links: each narrows by one thing and keeps the others."""

    def choices(name: str, options: dict[str, str], chosen: str) -> list[dict[str, Any]]:
        base = {"outcome": wanted.outcome, "channel": wanted.channel, "reason": wanted.reason}
        if name == "outcome":
            base["reason"] = ""
        return [
            {"label": label, "on": value == chosen, "url": f"{address}?{_query(Wanted(**{**base, name: value}))}"}
            for value, label in options.items()
        ]

    rows = [
        {"label": "Outcome", "choices": choices("outcome", {k: o.label for k, o in OUTCOMES.items()}, wanted.outcome)},
        {
            "label": "Channel",
            "choices": choices("channel", {"": "Every channel", **dict(Channel.choices)}, wanted.channel),
        },
    ]
    if reasons := REASONS.get(wanted.outcome):
        rows.append({"label": "Reason", "choices": choices("reason", {"": "Any reason", **reasons}, wanted.reason)})
    return rows
