"""Whom a campaign would reach if it went out now, told within a second or so.

People are counted as long as that is quick. Channels are asked of the very gates that routing asks, for everybody of a
small audience and for a fair sample of a large one; the answer says which it was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import DurationField, ExpressionWrapper, F

from campaigns.models import Campaign, CampaignStatus
from campaigns.order import order_of
from campaigns.services.audience import AudienceService
from core.admin_lists import estimated_rows
from core.ids import keys_of
from core.statements import StatementTooSlow, bounded
from notifications.services import routing
from preferences.models import Recipient
from preferences.services import PreferencesService
from preferences.services.reach import by_id

#: Milliseconds for the count, and for finding whom to look at.
COUNT_MS: Final = 500
SAMPLE_MS: Final = 400
#: People whose channels are looked at: of a share of 50% it is off by 2 points at most, 19 times of 20.
SAMPLE: Final = 2_500
#: The reason of a channel that the template says nothing for; routing never sees it.
NO_WORDS: Final = "no_words"
#: Earlier campaigns that the rate is taken from, and the people they must have had: a handful is done at once.
_EARLIER, _ENOUGH = 5, 1_000


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """One channel: how many people it reaches, and how many it leaves out by reason (a SkipReason, or NO_WORDS)."""

    channel: str
    reachable: int
    skipped: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """`people` is exact, or about so many. `sampled` is from how many people the channels are scaled up, None where
    everybody was looked at. `channels` is empty where nobody can say in time. `minutes` is how long handing out takes;
    None while no rate is known."""

    people: int
    is_exact: bool
    sampled: int | None
    channels: list[ChannelPlan]
    minutes: float | None


def plan(campaign: Campaign) -> Plan:
    """Raises DefinitionInvalid when a segment names something that is gone."""
    condition = AudienceService().condition(campaign)
    try:
        people, is_exact = _counted(*condition), True
    except StatementTooSlow:
        people, is_exact = _estimated(*condition), False
    try:
        looked_at = _some(*condition, people)
    except StatementTooSlow:
        looked_at = []
    is_all = is_exact and len(looked_at) == people
    scale = 1.0 if is_all else people / max(1, len(looked_at))
    channels = _channels(campaign, looked_at, scale) if looked_at else []
    return Plan(people, is_exact, None if is_all else len(looked_at), channels, _minutes(campaign, people))


def _counted(sql: str, parameters: list[Any]) -> int:
    with bounded(COUNT_MS), connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM preferences_recipient r WHERE {sql}", parameters)
        return int(cursor.fetchone()[0])


def _estimated(sql: str, parameters: list[Any]) -> int:
    """The planner's guess, to two figures: it reads statistics, and no row."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM preferences_recipient r WHERE {sql}", parameters)
        guess = int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"])
    return round(guess, 2 - len(str(guess)))


def _some(sql: str, parameters: list[Any], people: int) -> list[UUID]:
    """Everybody of a small audience; of a large one those on pages taken at random, the same ones each time."""
    sampling = ""
    given = parameters
    if people > SAMPLE:
        everyone = max(people, estimated_rows(Recipient))
        sampling, given = "TABLESAMPLE SYSTEM (%s) REPEATABLE (0)", [min(100.0, 150.0 * SAMPLE / people), *parameters]
        if everyone <= SAMPLE * 4:  # few pages: each is a large part of the whole
            sampling, given = "", parameters
    with bounded(SAMPLE_MS), connection.cursor() as cursor:
        cursor.execute(f"SELECT r.id FROM preferences_recipient r {sampling} WHERE {sql} LIMIT {SAMPLE}", given)
        return [row[0] for row in cursor.fetchall()]


def _channels(campaign: Campaign, people: Sequence[UUID], scale: float) -> list[ChannelPlan]:
    version = campaign.template_version or campaign.template.published
    has_words = set(version.content.get(campaign.template.default_locale, {})) if version else set()
    slug = campaign.category.slug
    category = PreferencesService().categories([slug])[slug]
    reaches = by_id(keys_of(people))
    found = []
    order = order_of(campaign).channels
    for channel in (*order, *(channel for channel in campaign.lanes[0] if channel not in has_words)):
        reasons = Counter(
            (routing.refusal(reach, category, channel) or routing.address(reach, category, channel))
            if channel in has_words
            else NO_WORDS
            for reach in reaches
        )
        reachable = reasons.pop("", 0)
        skipped = {reason: round(count * scale) for reason, count in reasons.most_common()}
        found.append(ChannelPlan(channel, round(reachable * scale), skipped))
    return found


def _minutes(campaign: Campaign, people: int) -> float | None:
    """At its throttle, or at the pace of the last campaigns that went as fast as they could."""
    if campaign.throttle_per_minute:
        return people / campaign.throttle_per_minute
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    earlier = Campaign.objects.filter(
        status=CampaignStatus.COMPLETED, throttle_per_minute=None, canary_percent=0, accepted__gte=_ENOUGH
    ).annotate(took=took)
    rows = earlier.filter(took__gt=timedelta()).order_by("-id").values_list("accepted", "took")[:_EARLIER]
    handed, seconds = 0, 0.0
    for accepted, span in rows:
        handed, seconds = handed + accepted, seconds + span.total_seconds()
    return people * seconds / handed / 60 if handed else None
