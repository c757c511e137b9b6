"""What will happen, as figures for the pages of a campaign that has not started."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from campaigns.asked_values import asked_values
from campaigns.foresight import planned
from campaigns.forms import CampaignForm
from campaigns.models import Campaign, CampaignStatus
from campaigns.models.variant import LABELS
from campaigns.preview import preview
from campaigns.services import DraftService
from campaigns.views import find

_NO_STORE = {"Cache-Control": "no-store"}


@require_GET
def plan(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Of a campaign as it is saved."""
    return JsonResponse(planned(find(request, campaign_id)), headers=_NO_STORE)


@require_POST
def draft_plan(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Of a draft as it stands in the form, before it is saved; 0 for one that never was. With it comes every wording
    as the page shows it: {"reader", "html"}. The draft is saved, asked and taken back in one transaction, so the answer
    is what the very services say."""
    if not any(request.user.has_perm(f"campaigns.{one}_campaign") for one in ("add", "change")):
        raise PermissionDenied
    with transaction.atomic():
        campaign = find(request, campaign_id) if campaign_id else Campaign()
        if campaign.status != CampaignStatus.DRAFT:
            return JsonResponse({"errors": ["It is no draft any more. Reload the page."]}, headers=_NO_STORE)
        answer = {**_asked(request, campaign), "values": _values(request)}
        transaction.set_rollback(True)
    return JsonResponse(answer, headers=_NO_STORE)


def _asked(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    given = request.POST.copy()
    given["name"] = given.get("name") or "New campaign"  # nothing about the plan depends on it
    form = CampaignForm(given, instance=campaign)
    if not form.is_valid():
        named = {form.fields[name].label or name for name in form.errors if name in form.fields}
        missing = [name for name in ("template", "category") if not given.get(name)]
        if missing:
            return {"errors": ["Choose a template and a category, and this says who it reaches."]}
        return {"errors": [f"Put right what stands beside: {', '.join(sorted(map(str, named)))}."]}
    kept = DraftService().keep(form.save(commit=False), form.parts, by=None)
    form.save_m2m()
    shown = preview(kept, request.user)
    wordings = render_to_string("campaigns/_wordings.html", {"preview": shown, "warn": True})
    return {**planned(kept), "preview": {"reader": shown.reader, "html": wordings}}


def _values(request: HttpRequest) -> list[dict[str, Any]]:
    """Asked for as soon as a template is chosen, whatever else is still missing."""
    fields = ("template", *(f"variant_{label.lower()}" for label in LABELS))
    return asked_values(request.POST.get(field, "") for field in fields)
