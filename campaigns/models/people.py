from typing import ClassVar

from django.db import models

from campaigns.models.campaign import Campaign
from preferences.models import Recipient


class CampaignMember(models.Model):
    """One person of a pasted list. No database constraint on the recipient: an erasure doesn't wait for campaigns."""

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False, related_name="members")
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "recipient"], name="campaign_member_once"),
        ]

    def __str__(self) -> str:
        return str(self.recipient_id)


class CampaignTarget(models.Model):
    """One person of a started campaign's audience, as of its start; of a campaign to everyone in one go there are none.

    Written by set-based SQL (`services.preparation`), read in the order of the key, and deleted once all have had
    their turn. `step` puts the phases and the waves of local times in one order (`Campaign.step`); `variant` is the
    place of the variant in the order of labels, null where the winner is sent.
    """

    pk = models.CompositePrimaryKey("campaign", "step", "recipient")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False, related_name="targets")
    step = models.SmallIntegerField()
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    variant = models.SmallIntegerField(null=True)

    def __str__(self) -> str:
        return str(self.recipient_id)
