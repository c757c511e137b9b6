"""Campaigns that go out again and again: each time one of their own, approved with its parent."""

from django.db import transaction

from campaigns.errors import NotReady, WrongState
from campaigns.models import Action, Campaign, CampaignStatus, Schedule
from campaigns.schedule import zone
from campaigns.services.lifecycle import CampaignService, copied
from campaigns.services.readiness import unsettled
from campaigns.services.timing import first_moment
from campaigns.services.trail import tell
from core.moments import database_now

#: Characters of a name that an occurrence keeps, beside its moment.
_NAME = 80
#: What an occurrence has from its parent beside the content.
_APPROVAL = (
    "template_version_id", "created_by_id", "edited_by_id", "submitted_by_id", "submitted_at", "approved_by_id",
    "approved_at", "approved_hash",
)  # fmt: skip


def begin(campaign_id: int) -> bool:
    """Start what is scheduled and due: the campaign itself, or the occurrence of a recurring one. False when another
    runner did, or when it can't; then its page says why."""
    service = CampaignService()
    try:
        return _begin(service, campaign_id)
    except WrongState:  # another runner was here
        return False
    except NotReady as refused:  # mostly it is in review already, and this says nothing more
        service.unfit(campaign_id, str(refused))
        return False


def _begin(service: CampaignService, campaign_id: int) -> bool:
    with transaction.atomic():
        due = Campaign.objects.filter(pk=campaign_id, status=CampaignStatus.SCHEDULED)
        campaign = due.select_for_update(skip_locked=True, of=("self",)).select_related("template", "category").first()
        if campaign is None:
            return False
        if waits_for := next(unsettled(campaign), None):
            Campaign.objects.filter(pk=campaign_id).exclude(problem=waits_for[1]).update(problem=waits_for[1])
            return False
        if campaign.schedule == Schedule.RECURRING:
            return _occur(campaign)
    service.start(campaign_id)
    return True


def _occur(parent: Campaign) -> bool:
    """One occurrence, however many have been missed, and the moment of the next; in one transaction."""
    service, now = CampaignService(), database_now()
    if parent.starts_at is None or parent.starts_at > now or service.changed(parent):
        return False
    following = first_moment(parent, now)
    occurrence = copied(
        parent,
        name=f"{parent.name[:_NAME]}, {parent.starts_at.astimezone(zone(parent.recurrence_zone)):%Y-%m-%d %H:%M}",
        parent=parent,
        schedule=Schedule.NOW,
        status=CampaignStatus.APPROVED,
        **{column: getattr(parent, column) for column in _APPROVAL},
    )
    service.started(occurrence)
    tell(parent.pk, Action.OCCURRED, detail={"campaign": occurrence.pk})
    if following is None:
        service.move(
            parent.pk, Action.COMPLETED, CampaignStatus.COMPLETED, (CampaignStatus.SCHEDULED,),
            starts_at=None, finished_at=now, problem="",
        )  # fmt: skip
    else:
        Campaign.objects.filter(pk=parent.pk).update(starts_at=following, problem="")
    return True
