"""The buttons of a campaign, and the figures its page asks for. Mounted inside the admin, behind its sign-in."""

from collections.abc import Callable
from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import selectors
from campaigns.admin import CampaignAdmin
from campaigns.errors import NotAllowed, NotReady, WrongState
from campaigns.models import Campaign
from campaigns.preview import facts, preview
from campaigns.services import AudienceService, CampaignService
from core.admin import Question


@require_GET
def live(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The figures of a started campaign, for whoever may look at it."""
    campaign = find(request, campaign_id)
    if campaign.started_at is None:
        return JsonResponse({"detail": "A campaign that has not started has no figures yet."}, status=409)
    return JsonResponse(selectors.snapshot(campaign), headers={"Cache-Control": "no-store"})


@require_http_methods(["GET", "POST"])
def send(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """GET asks, with the number of people and a preview; POST starts."""
    campaign = find(request, campaign_id, to_act=True)
    if request.method == "POST":
        return _do(request, campaign, CampaignService().send, "On its way. This page follows it.")
    try:
        CampaignService().check(campaign)
    except (WrongState, NotReady) as refused:
        messages.error(request, str(refused))
        return _page(campaign)
    context = {
        **admin.site.each_context(request),
        "opts": Campaign._meta,
        "title": f"Send “{campaign.name}”?",
        "campaign": campaign,
        "people": AudienceService().size(campaign),
        "facts": facts(campaign),
        "preview": preview(campaign, request.user),
        "back": reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
    }
    return TemplateResponse(request, "campaigns/send.html", context)


@require_POST
def pause(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = find(request, campaign_id, to_act=True)
    return _do(request, campaign, CampaignService().pause, "Paused. What was handed out already is still delivered.")


@require_POST
def resume(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = find(request, campaign_id, to_act=True)
    return _do(request, campaign, CampaignService().resume, "Going on where it stopped.")


@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """GET asks; POST cancels for good."""
    campaign = find(request, campaign_id, to_act=True)
    if request.method == "POST":
        return _do(request, campaign, CampaignService().cancel, "Cancelled. What has not left yet is being taken back.")
    question = Question(
        title=f"Cancel “{campaign.name}”?",
        message="Nobody else gets it, and messages that have not left yet are taken back. This can't be undone.",
        button="Cancel the campaign",
        back=reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
    )
    return _admin().confirm(request, question)


def _admin() -> CampaignAdmin:
    return cast(CampaignAdmin, admin.site.get_model_admin(Campaign))


def find(request: HttpRequest, campaign_id: int, *, to_act: bool = False) -> Campaign:
    """The campaign, 404 or 403: looking takes the view permission, pressing the change permission."""
    page = _admin()
    campaign: Campaign = page.object_or_404(request, str(campaign_id))
    allowed = page.has_act_permission(request, campaign) if to_act else page.has_view_permission(request, campaign)
    if not allowed:
        raise PermissionDenied
    return campaign


def _do(request: HttpRequest, campaign: Campaign, step: Callable[..., Campaign], told: str) -> HttpResponse:
    try:
        step(campaign.pk, by=cast(User, request.user))
    except (WrongState, NotReady, NotAllowed) as refused:
        messages.error(request, str(refused))
    else:
        _admin().log_change(request, campaign, step.__name__.capitalize())
        messages.success(request, told)
    return _page(campaign)


def _page(campaign: Campaign) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
