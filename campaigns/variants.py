"""How the variants of a campaign do: people, not messages, each once on however many channels."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from campaigns.breakdown import READ_ONCE
from campaigns.models import Campaign, CampaignVariant, WinnerMetric

#: Deliveries' ids carry their notification's moment, so both lie in one range. Programs that open and follow links by
#: themselves set neither time.
_SQL = """
    SELECT n.template_version_id, count(d.notification_id), count(*) FILTER (WHERE d.opened),
           count(*) FILTER (WHERE d.clicked), count(*), count(*) FILTER (WHERE d.delivered)
      FROM notifications_notification n
      LEFT JOIN (
           SELECT notification_id, bool_or(delivered_at IS NOT NULL) AS delivered,
                  bool_or(opened_at IS NOT NULL) AS opened, bool_or(clicked_at IS NOT NULL) AS clicked
             FROM notifications_delivery
            WHERE id >= %(low)s AND id < %(high)s AND sent_at IS NOT NULL GROUP BY notification_id) d
        ON d.notification_id = n.id
     WHERE n.id >= %(low)s AND n.id < %(high)s AND n.source = %(source)s AND n.template_version_id = ANY(%(versions)s)
     GROUP BY 1
"""
_AS_BEFORE = "SET LOCAL enable_nestloop TO DEFAULT"


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """One variant's people: sent something, and of these how many opened and clicked. `recipients` were handed out,
    sent something or not; `delivered` are those of whom a provider said that it arrived."""

    variant: CampaignVariant
    people: int = 0
    opened: int = 0
    clicked: int = 0
    recipients: int = 0
    delivered: int = 0

    def rate(self, metric: str) -> float:
        """The share of its people who did what `metric` asks for, 0 to 1."""
        did = self.opened if metric == WinnerMetric.OPENED else self.clicked
        return did / self.people if self.people else 0.0


def figures(campaign: Campaign) -> list[VariantFigures]:
    """Each variant's, in the order of labels. It reads all the campaign's rows: seconds for a million people."""
    variants = list(campaign.variants.select_related("template").order_by("label"))
    if not variants or campaign.started_at is None:
        return [VariantFigures(variant) for variant in variants]
    low, high = campaign.id_range
    versions = [variant.template_version_id for variant in variants]
    values: dict[str, Any] = {"low": low, "high": high, "source": campaign.source, "versions": versions}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(READ_ONCE)
        cursor.execute(_SQL, values)
        found = {version: counts for version, *counts in cursor.fetchall()}
        cursor.execute(_AS_BEFORE)  # for what follows in a caller's transaction
    return [VariantFigures(variant, *found.get(variant.template_version_id, ())) for variant in variants]


def is_certain(found: list[VariantFigures], metric: str) -> bool:
    """Whether the best is better than the second by more than chance: two proportions, 19 times of 20 (z > 1.96)."""
    first, second, *_ = sorted(found, key=lambda one: one.rate(metric), reverse=True)
    if not first.people or not second.people:
        return False
    together = (first.rate(metric) * first.people + second.rate(metric) * second.people) / (
        first.people + second.people
    )
    spread = together * (1 - together) * (1 / first.people + 1 / second.people)
    return spread > 0 and (first.rate(metric) - second.rate(metric)) ** 2 > 1.96**2 * spread


def best(found: list[VariantFigures], metric: str) -> VariantFigures:
    """The highest rate; of equal ones that with more people, then the first label."""
    return max(found, key=lambda one: (one.rate(metric), one.people, -ord(one.variant.label)))
