"""After a cancel: what was handed to the pipeline and has not left yet is taken back, a slice at a time."""

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now

from campaigns.models import Action, Campaign, CampaignStatus
from campaigns.services.trail import tell
from core.postgresql.deadlocks import repeated
from notifications.choices import Status
from notifications.models import Delivery
from notifications.services.holds import release
from notifications.services.tracking import DeliveryTracker

log = structlog.get_logger(__name__)

#: A campaign's ids differ in hash bits alone, so the 12 bits after the version cut them into even slices.
SLICES = 4096
#: Notifications in one step, about: short transactions, and the first people's messages stop at once.
STEP = 1000


class Withdraw:
    """Cancels a cancelled campaign's queued deliveries. Any number may run; killed, it goes on where it was."""

    def __init__(self, campaign_id: int) -> None:
        self.campaign_id = campaign_id

    def step(self) -> int:
        """Take back the next slice; the number of slices done. 0: nothing to do now. What is with a provider at this
        moment may still come back to be tried again, so the last step waits for it and then starts over."""
        return repeated(self._step)

    def _step(self) -> int:
        with transaction.atomic():
            campaign = self._locked()
            if campaign is None:
                return 0
            if campaign.withdrawn < SLICES:
                return self._slice(campaign)
            left = self._unfinished(campaign)
            if Status.SENDING in left:
                return 0
            if left:
                Campaign.objects.filter(pk=campaign.pk).update(withdrawn=0)
            else:
                Campaign.objects.filter(pk=campaign.pk).update(finished_at=Now())
                release(campaign.source)  # there is nothing left that it could hold
                tell(campaign.pk, Action.WITHDRAWN)
                log.info("campaign_withdrawn", campaign_id=campaign.pk)
            return len(left)

    def _locked(self) -> Campaign | None:
        open_ = Campaign.objects.filter(
            pk=self.campaign_id, status=CampaignStatus.CANCELLED, finished_at=None, started_at__isnull=False
        )
        return open_.select_for_update(skip_locked=True).first()

    def _slice(self, campaign: Campaign) -> int:
        first = campaign.withdrawn
        last = min(SLICES, first + max(1, SLICES * STEP // max(1, campaign.accepted)))
        low, high = self._bounds(campaign, first)[0], self._bounds(campaign, last - 1)[1]
        # Far more than a slice has, by its hashes: taken in one go, as a second would take locks out of their order.
        limit = 4 * max(STEP, campaign.accepted // SLICES)
        at: UUID | None = low
        while at is not None:
            _, at = DeliveryTracker().cancel_range(campaign.source, at, high, limit=limit)
        Campaign.objects.filter(pk=campaign.pk).update(withdrawn=last)
        return last - first

    def _bounds(self, campaign: Campaign, number: int) -> tuple[UUID, UUID]:
        start = campaign.id_range[0].int | (0x7 << 76)
        return UUID(int=start + (number << 64)), UUID(int=start + ((number + 1) << 64))

    def _unfinished(self, campaign: Campaign) -> set[str]:
        low, high = campaign.id_range
        mine = Delivery.objects.filter(
            notification_id__gte=low, notification_id__lt=high, notification__source=campaign.source
        )
        return {status for status in (Status.SENDING, Status.QUEUED) if mine.filter(status=status).exists()}
