"""The steps of a campaign's life. Each is one guarded UPDATE, so of two people who press at once one is told so."""

import structlog
from django.db import transaction
from django.db.models import DateTimeField
from django.db.models.functions import Now, Trunc

from campaigns.errors import NotReady, WrongState
from campaigns.models import Campaign, CampaignStatus
from campaigns.services.audience import AudienceService
from notifications.models import MessageTemplate

log = structlog.get_logger(__name__)


class CampaignService:
    """Start, pause, resume, cancel. All raise WrongState when the campaign is elsewhere by now."""

    def start(self, campaign_id: int) -> Campaign:
        """From now on the runner hands it out, to the people there are now. NotReady says what is missing."""
        with transaction.atomic():  # under the row's lock, so that nobody edits it between the count and the start
            campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
            self.check(campaign)
            audience = AudienceService()
            upper, size = audience.upper(), audience.size(campaign)
            if not size:
                raise NotReady("There is nobody in this audience.")
            # Whole milliseconds: the notifications' ids are made from this moment and carry no more than that.
            started = Trunc(Now(), "millisecond", output_field=DateTimeField())
            since = (CampaignStatus.DRAFT,)
            self._move(campaign_id, CampaignStatus.SENDING, since, started_at=started, audience_size=size, upper=upper)
        return self._told("campaign_started", campaign_id)

    def pause(self, campaign_id: int) -> Campaign:
        """Hand out nothing more for now. What has been handed out goes on; when this returns no chunk is under way."""
        self._move(campaign_id, CampaignStatus.PAUSED, (CampaignStatus.SENDING,))
        return self._told("campaign_paused", campaign_id)

    def resume(self, campaign_id: int) -> Campaign:
        """Go on behind the last person handed out."""
        self._move(campaign_id, CampaignStatus.SENDING, (CampaignStatus.PAUSED,), problem="")
        return self._told("campaign_resumed", campaign_id)

    def cancel(self, campaign_id: int) -> Campaign:
        """Hand out nothing more, ever; the runner withdraws what has not left yet (`Withdraw`).

        A completed campaign can be cancelled too, for the part that still waits."""
        since = (CampaignStatus.SENDING, CampaignStatus.PAUSED, CampaignStatus.COMPLETED)
        self._move(campaign_id, CampaignStatus.CANCELLED, since, finished_at=None)
        return self._told("campaign_cancelled", campaign_id)

    def stop_for(self, campaign_id: int, problem: str) -> None:
        """Pause it because handing out can't go on, and say why on its page."""
        limit = Campaign._meta.get_field("problem").max_length
        self._move(campaign_id, CampaignStatus.PAUSED, (CampaignStatus.SENDING,), problem=problem[:limit])
        log.warning("campaign_stopped", campaign_id=campaign_id, problem=problem)

    def check(self, campaign: Campaign) -> None:
        """Raise NotReady unless every person could be sent this."""
        if campaign.status != CampaignStatus.DRAFT:
            raise WrongState(f"This campaign is {campaign.get_status_display().lower()} already.")
        if not MessageTemplate.objects.filter(pk=campaign.template_id, published__isnull=False).exists():
            raise NotReady(f"The template “{campaign.template}” has no published version. Publish one first.")

    def _move(self, campaign_id: int, to: CampaignStatus, since: tuple[CampaignStatus, ...], **values: object) -> None:
        if Campaign.objects.filter(pk=campaign_id, status__in=since).update(status=to, **values):
            return
        campaign = Campaign.objects.get(pk=campaign_id)
        raise WrongState(f"This campaign is {campaign.get_status_display().lower()}: too late for that.")

    def _told(self, event: str, campaign_id: int) -> Campaign:
        log.info(event, campaign_id=campaign_id)
        return Campaign.objects.select_related("template", "category").get(pk=campaign_id)
