from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from campaigns.models.campaign import Campaign
from notifications.models import MessageTemplate, TemplateVersion

#: Variants of one campaign, at most: below a quarter each, a difference takes long to show.
LABELS = ("A", "B", "C", "D")


class CampaignVariant(models.Model):
    """One wording of a campaign that tries several. `weight` is its part of the test, in percent.

    What became of it is told apart by the template version its notifications carry, so no two variants share one.
    """

    id = models.AutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False, related_name="variants")
    label = models.CharField(max_length=1, choices=[(label, label) for label in LABELS])
    template = models.ForeignKey(MessageTemplate, on_delete=models.PROTECT)
    template_version = models.ForeignKey(
        TemplateVersion, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    weight = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(99)])

    class Meta:
        ordering: ClassVar = ["campaign_id", "label"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "label"], name="campaign_variant_once"),
            models.UniqueConstraint(fields=["campaign", "template"], name="campaign_variant_template_once"),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.template}"


class VariantReading(models.Model):
    """The last figures of a campaign's variants, so that no page reads the record more often than it has to. They
    decide nothing.

    `seen` are the campaign's counters as they stood then; while they stand still, so do the figures.
    """

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, primary_key=True, related_name="+")
    at = models.DateTimeField(null=True)
    took_ms = models.PositiveIntegerField(default=0)
    seen = models.JSONField(default=list)
    figures = models.JSONField(default=dict, help_text="By the label of the variant")

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.at}"
