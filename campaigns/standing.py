"""How the variants of a campaign stand, for whoever looks: read from the record, which tells them apart, and seldom.

The counters don't know variants, and reading a million people's rows takes seconds. So what was read is kept; it is
read anew when a counter has moved, EVERY seconds have passed, and twenty times as long as the last reading took. One
reader at a time, whatever the number of pages and web servers.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import connection, transaction

from analytics import selectors as analytics
from campaigns.models import Campaign, CampaignVariant, VariantReading, WinnerMetric
from campaigns.variants import VariantFigures, best, figures, is_certain
from core.moments import database_now
from core.statements import StatementTooSlow, bounded
from notifications.choices import EventType

log = structlog.get_logger(__name__)

#: Between two readings of one campaign, at least.
EVERY: Final = timedelta(seconds=30)
#: A reading may take up a twentieth of the time at most.
REST: Final = 20
#: Milliseconds after which a reading is given up: the last one stays.
LONGEST_MS: Final = 20_000
_COUNTED: Final = ("recipients", "people", "delivered", "opened", "clicked")


@dataclass(frozen=True, slots=True)
class Standing:
    """`rows` are in the order of labels. `leader` is the label of the one that is ahead by the campaign's metric, ""
    while nobody did what it asks for; `is_certain` that this is more than chance. `at` is None before the first
    reading."""

    at: datetime | None
    rows: list[VariantFigures]
    leader: str
    is_certain: bool


def standing(campaign: Campaign) -> Standing:
    """The variants of a started campaign; without variants there are no rows. Reads the record when it is time to."""
    variants = list(campaign.variants.select_related("template").order_by("label"))
    if not variants or campaign.started_at is None:
        return Standing(None, [], "", is_certain=False)
    seen = _counters(campaign, campaign.started_at)
    reading = VariantReading.objects.filter(pk=campaign.pk).first()
    if _is_due(reading, seen):
        reading = _read(campaign, seen) or reading
    return _stands(campaign, variants, reading)


def _counters(campaign: Campaign, since: datetime) -> list[int]:
    """What has to move before a figure of a variant can."""
    tallies = analytics.tallies(since=since, source=campaign.source)
    moves = (EventType.SENT, EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
    return [campaign.accepted, *(tallies.total(move) for move in moves)]


def _is_due(reading: VariantReading | None, seen: list[int]) -> bool:
    if reading is None or reading.at is None:
        return True
    rest = max(EVERY, timedelta(milliseconds=REST * reading.took_ms))
    return reading.seen != seen and database_now() >= reading.at + rest


def _read(campaign: Campaign, seen: list[int]) -> VariantReading | None:
    """None while another is at it, or where it takes too long; then it rests as after any other."""
    VariantReading.objects.bulk_create([VariantReading(campaign=campaign)], ignore_conflicts=True)
    with transaction.atomic():
        held = VariantReading.objects.select_for_update(skip_locked=True).filter(pk=campaign.pk).first()
        if held is None or not _is_due(held, seen):
            return held
        try:
            with bounded(LONGEST_MS):
                held.figures = {one.variant.label: _kept(one) for one in figures(campaign)}
            held.seen = seen
        except StatementTooSlow:
            log.warning("campaign_variants_too_slow", campaign_id=campaign.pk)
        held.at, held.took_ms = _clock()
        held.save()
        return held


def _clock() -> tuple[datetime, int]:
    """The moment, and the milliseconds since this transaction began."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp(), extract(epoch FROM clock_timestamp() - now()) * 1000")
        at, took = cursor.fetchone()
        return at, int(took)


def _kept(one: VariantFigures) -> dict[str, int]:
    return {name: getattr(one, name) for name in _COUNTED}


def _stands(campaign: Campaign, variants: list[CampaignVariant], reading: VariantReading | None) -> Standing:
    known = reading.figures if reading else {}
    rows = [VariantFigures(variant, **known.get(variant.label, {})) for variant in variants]
    metric = measured_by(campaign)
    ahead = best(rows, metric)
    is_ahead = ahead.rate(metric) > 0
    return Standing(
        reading.at if reading else None,
        rows,
        ahead.variant.label if is_ahead else "",
        is_certain=is_ahead and len(rows) > 1 and is_certain(rows, metric),
    )


def measured_by(campaign: Campaign) -> str:
    """By what its variants are compared: clicks where a person chooses."""
    return campaign.winner_metric if campaign.winner_metric != WinnerMetric.NONE else WinnerMetric.CLICKED


def as_figures(campaign: Campaign) -> dict[str, Any]:
    """What the page draws."""
    found, metric = standing(campaign), measured_by(campaign)
    return {
        "at": found.at.isoformat() if found.at else None,
        "metric": metric,
        "leader": found.leader,
        "is_certain": found.is_certain,
        "variants": [
            {
                "label": one.variant.label,
                "template": str(one.variant.template),
                "weight": one.variant.weight,
                "winner": one.variant.pk == campaign.winner_id,
                "rate": one.rate(metric),
                **_kept(one),
            }
            for one in found.rows
        ],
    }
