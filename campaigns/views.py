"""The pages and buttons of a campaign. Mounted inside the admin, behind its sign-in."""

from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import selectors
from campaigns.admin import CampaignAdmin
from campaigns.buttons import BY_NAME
from campaigns.errors import NotAllowed, NotReady, WrongState
from campaigns.foresight import when
from campaigns.forms.steps import LaunchForm, SendBackForm
from campaigns.models import Campaign, Schedule
from campaigns.preview import facts, preview
from campaigns.services import CampaignService
from campaigns.wizard import wizard_steps
from core.admin import Question

Step = Callable[..., Campaign]

#: The buttons that act at once, by the service's step, and what is said when it is done.
STEPS: dict[str, str] = {
    "submit": "In review now. Somebody who may approve it has to look at it.",
    "approve": "Approved. It goes out when somebody presses Send.",
    "reopen": "A draft again. It has to be reviewed anew before it goes out.",
    "pause": "Paused. What a provider has already been given is still delivered, nothing else.",
    "resume": "Going on where it stopped.",
    "archive": "Archived. The list shows it under “Archived”.",
    "unarchive": "Back in the list.",
}


@require_GET
def live(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The figures of a started campaign, for whoever may look at it."""
    campaign = find(request, campaign_id)
    if campaign.started_at is None:
        return JsonResponse({"detail": "A campaign that has not started has no figures yet."}, status=409)
    return JsonResponse(selectors.snapshot(campaign), headers={"Cache-Control": "no-store"})


@require_GET
def check(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Everything about a campaign that has not started, on one page, with the next step."""
    return campaign_admin().check_page(request, find(request, campaign_id))


def step(name: str) -> Callable[[HttpRequest, int], HttpResponse]:
    """The view of a button that acts at once."""
    told = STEPS[name]

    def view(request: HttpRequest, campaign_id: int) -> HttpResponse:
        campaign = find(request, campaign_id, to_press=name)
        return act(request, campaign, getattr(CampaignService(), name), told)

    return require_POST(view)


@require_POST
def duplicate(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """A copy, which is a draft, opened for editing."""
    campaign = find(request, campaign_id, to_press="duplicate")
    copy = _take(request, campaign, CampaignService().duplicate)
    if copy is None:
        return _page(campaign)
    messages.success(request, "This is the copy: a draft that says the same to the same people.")
    return _page(copy)


@require_http_methods(["GET", "POST"])
def send_back(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """GET asks what is to be changed; POST makes it a draft again."""
    campaign = find(request, campaign_id, to_press="send-back")
    form = SendBackForm(request.POST or None)
    if request.method == "POST" and form.is_valid():

        def send(campaign_id: int, *, by: User) -> Campaign:
            return CampaignService().send_back(campaign_id, form.cleaned_data["note"], by=by)

        return act(request, campaign, send, "Sent back. Its author finds your note on its page.")
    return _asked(request, campaign, "campaigns/send_back.html", f"Send “{campaign.name}” back?", form=form)


@require_http_methods(["GET", "POST"])
def launch(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """GET asks, with the number of people and a preview; POST sends, or puts it on the schedule."""
    campaign = find(request, campaign_id, to_press="launch")
    needed = campaign.audience_size if campaign.audience_size > settings.CAMPAIGN_TYPE_ABOVE else None
    form = LaunchForm(request.POST if request.method == "POST" else None, needed=needed)
    if request.method == "POST" and form.is_valid():

        def launched(campaign_id: int, *, by: User) -> Campaign:
            return CampaignService().schedule_or_start(campaign_id, typed_size=form.cleaned_data.get("size"), by=by)

        return act(request, campaign, launched, "On its way. This page follows it.")
    return _asked(
        request, campaign, "campaigns/launch.html", f"Send “{campaign.name}”?",
        form=form, people=campaign.audience_size, preview=preview(campaign, request.user),
        when=when(campaign), starts_now=campaign.schedule == Schedule.NOW, steps=wizard_steps("send", campaign.pk),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """GET asks; POST cancels for good."""
    campaign = find(request, campaign_id, to_press="cancel")
    if request.method == "POST":
        told = "Cancelled. What has not left yet is being taken back." if campaign.started_at else "Cancelled."
        return act(request, campaign, CampaignService().cancel, told)
    question = Question(
        title=f"Cancel “{campaign.name}”?",
        message="Nobody else gets it, and messages that have not left yet are taken back. This can't be undone.",
        button="Cancel the campaign",
        back=reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
    )
    return campaign_admin().confirm(request, question)


def campaign_admin() -> CampaignAdmin:
    """The admin of campaigns, whose pages these views show."""
    return cast(CampaignAdmin, admin.site.get_model_admin(Campaign))


def find(request: HttpRequest, campaign_id: int, *, to_press: str = "") -> Campaign:
    """The campaign, 404, or 403 for who may not look at campaigns, or may not press the button of this name."""
    page = campaign_admin()
    campaign: Campaign = page.object_or_404(request, str(campaign_id))
    if not page.has_view_permission(request, campaign):
        raise PermissionDenied
    if to_press and not BY_NAME[to_press].may(campaign, cast(User, request.user)):
        raise PermissionDenied
    return campaign


def _take(request: HttpRequest, campaign: Campaign, do: Step) -> Campaign | None:
    """Take the step; None, and a message, where it is refused."""
    try:
        return do(campaign.pk, by=cast(User, request.user))
    except (WrongState, NotReady, NotAllowed) as refused:
        messages.error(request, str(refused))
        return None


def act(request: HttpRequest, campaign: Campaign, do: Step, told: str) -> HttpResponse:
    """Take the step, say so or why not, and go back to the campaign's page."""
    if _take(request, campaign, do) is not None:
        messages.success(request, told)
    return _page(campaign)


def _asked(request: HttpRequest, campaign: Campaign, template: str, title: str, **more: object) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "opts": Campaign._meta,
        "original": campaign,
        "title": title,
        "campaign": campaign,
        "facts": facts(campaign),
        "back": reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        **more,
    }
    return TemplateResponse(request, template, context)


def _page(campaign: Campaign) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
