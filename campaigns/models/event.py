from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from campaigns.choices import Action
from campaigns.models.campaign import Campaign


class CampaignEvent(models.Model):
    """What was done with a campaign, by whom (nobody: the system) and when. Written in the transaction that does it.

    Rows are only ever added: a trigger refuses to change or delete one. So neither foreign key has a constraint, and
    the trail outlives a deleted draft and a deleted account; `actor_name` is who it was at the time.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(
        Campaign, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="events"
    )
    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    actor_name = models.CharField(max_length=150, blank=True, default="")
    action = models.CharField(max_length=12, choices=Action.choices)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["campaign", "id"], name="campaign_event_trail")]

    def __str__(self) -> str:
        return str(self.get_action_display())
