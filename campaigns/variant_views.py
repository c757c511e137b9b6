"""The variants of a started campaign: how they stand, and a person's choice between them. Inside the admin."""

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from campaigns import standing
from campaigns.models import Campaign, CampaignStatus
from campaigns.services import choose_winner, may_choose
from campaigns.views import act, campaign_admin, find
from core.admin import Question


@require_GET
def variants(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Figures of each variant; `choose` is where one of them is made the winner, "" while or for whom it can't be."""
    campaign = find(request, campaign_id)
    is_open = campaign.status in (CampaignStatus.SENDING, CampaignStatus.PAUSED) and may_choose(campaign)
    address = reverse("campaign-choose", args=[campaign.pk]) if is_open and _may_operate(request) else ""
    return JsonResponse({**standing.as_figures(campaign), "choose": address}, headers={"Cache-Control": "no-store"})


@require_http_methods(["GET", "POST"])
def choose(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """GET asks whether `?variant=B` is to go to everybody else; POST has it go."""
    campaign = find(request, campaign_id)
    if not _may_operate(request):
        raise PermissionDenied
    label = request.GET.get("variant", "")
    variant = campaign.variants.select_related("template").filter(label=label).first()
    if variant is None:
        raise Http404("There is no such variant.")
    if request.method == "POST":

        def chosen(campaign_id: int, *, by: User) -> Campaign:
            return choose_winner(campaign_id, label, by=by)

        waits = " Press Resume to send it." if campaign.status == CampaignStatus.PAUSED else ""
        return act(request, campaign, chosen, f"{label} goes to everybody else.{waits}")
    question = Question(
        title=f"Send {label}, “{variant.template}”, to everybody else?",
        message="The test ends with this. Who was sent another wording keeps it. This can't be undone.",
        button=f"Send {label} to everybody else",
        back=reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        danger=False,
    )
    return campaign_admin().confirm(request, question)


def _may_operate(request: HttpRequest) -> bool:
    return request.user.has_perm("campaigns.operate_campaign")
