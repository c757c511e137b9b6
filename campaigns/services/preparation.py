"""Who is in the audience, written down at the start: what comes first, who gets which variant, and at which hour.

Set-based, a slice of recipient ids a transaction: nothing of it is held in memory, a kill loses one slice at most, and
nobody waits long for the campaign's row.
"""

from bisect import bisect_left
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from campaigns.models import Action, Audience, Campaign, CampaignTarget, Schedule
from campaigns.schedule import local_moment
from campaigns.services.audience import AudienceService
from campaigns.services.trail import tell
from core.moments import database_now

#: Recipients looked at in one transaction: a fifth of a second each for a typical segment.
SLICE = 50_000
#: People that get it first, about, where the percentage would be fewer: nobody is no proof of anything.
FEWEST_FIRST = 5
#: A person's place, by two hashes of their id: in the order of phases, and among the variants.
_PLACES = 1 << 20
_PLACE = f"(uuid_hash_extended(r.id, %s) & {_PLACES - 1})"

CANARY, TEST, REST = range(3)


def is_needed(campaign: Campaign) -> bool:
    """Whether its people have to be written down; without, the cursor walks the recipients or the pasted list."""
    return (
        campaign.audience not in (Audience.EVERYONE, Audience.LIST)
        or campaign.schedule == Schedule.LOCAL
        or campaign.canary_percent > 0
        or campaign.variants.exists()
        or campaign.exclude_segments.exists()
        or campaign.exclude_lists.exists()
    )


class Preparation:
    """Writes down a sending campaign's targets. Call it with the campaign's row held."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    def step(self) -> int:
        """The next slice; 1 until all is written down, then `prepared_at` is set."""
        campaign = self.campaign
        if campaign.schedule == Schedule.LOCAL and not campaign.waves:
            campaign.waves = self._waves()
            Campaign.objects.filter(pk=campaign.pk).update(waves=campaign.waves)
        end = self._end()
        if end is not None:
            self._write(end)
            Campaign.objects.filter(pk=campaign.pk).update(prepared_to=end)
            return 1
        people = CampaignTarget.objects.filter(campaign_id=campaign.pk).count()
        tell(campaign.pk, Action.PREPARED, detail={"people": people})
        Campaign.objects.filter(pk=campaign.pk).update(prepared_at=Now(), audience_size=people)
        return 1

    def _end(self) -> UUID | None:
        """The last recipient of the next slice; None when none is left."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT max(id::text)::uuid FROM (SELECT id FROM preferences_recipient"
                " WHERE id > %s AND id <= %s ORDER BY id LIMIT %s) slice",
                [*AudienceService().span(self.campaign.prepared_to, self.campaign.upper), SLICE],
            )
            end: UUID | None = cursor.fetchone()[0]
            return end

    def _write(self, end: UUID) -> None:
        campaign = self.campaign
        condition, parameters = AudienceService().condition(campaign)
        step, step_parameters = self._step()
        variant, variant_parameters = self._variant()
        zones, waves = self._zones()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO campaigns_campaigntarget (campaign_id, recipient_id, step, variant)"
                f" SELECT %s, r.id, {step}, {variant} FROM preferences_recipient r"
                "  LEFT JOIN unnest(%s::text[], %s::int[]) AS wave (zone, number) ON wave.zone = r.timezone"
                f" WHERE r.id > %s AND r.id <= %s AND ({condition})",
                [
                    campaign.pk,
                    *step_parameters,
                    *variant_parameters,
                    zones,
                    waves,
                    AudienceService().span(campaign.prepared_to, None)[0],
                    end,
                    *parameters,
                ],
            )

    def _step(self) -> tuple[str, list[int]]:
        """SQL for a person's place in the order: first few, test, or a wave of the rest."""
        campaign = self.campaign
        canary = self._canary()
        test = 0
        if campaign.test_percent < 100 and campaign.variants.exists():
            test = (_PLACES - canary) * campaign.test_percent // 100
        rest = f"{REST} + coalesce(wave.number, 0)"
        sql = f"CASE WHEN {_PLACE} < %s THEN {CANARY} WHEN {_PLACE} < %s THEN {TEST} ELSE {rest} END"
        return sql, [campaign.pk, canary, campaign.pk, canary + test]

    def _canary(self) -> int:
        campaign = self.campaign
        if not campaign.canary_percent:
            return 0
        fewest = min(1.0, FEWEST_FIRST / max(1, campaign.audience_size))
        return int(_PLACES * max(campaign.canary_percent / 100, fewest))

    def _variant(self) -> tuple[str, list[int]]:
        """SQL for a person's variant, null for who gets the winner."""
        weights = list(self.campaign.variants.order_by("label").values_list("weight", flat=True))
        if not weights:
            return "NULL::smallint", []
        bounds = [_PLACES * sum(weights[: n + 1]) // 100 for n in range(len(weights))]
        cases = " ".join(f"WHEN {_PLACE} < %s THEN {n}" for n in range(len(weights)))
        drawn = f"CASE {cases} END"
        parameters = [one for bound in bounds for one in (-self.campaign.pk, bound)]
        if self.campaign.test_percent == 100:
            return drawn, parameters
        canary_or_test, more = self._step()
        return f"CASE WHEN ({canary_or_test}) < {REST} THEN {drawn} END", [*more, *parameters]

    def _waves(self) -> list[datetime]:
        """The moments at which somebody's clock shows the campaign's time, in order; those that have passed are now."""
        now = database_now()
        return sorted({max(moment, now) for moment in self._moments().values()}) or [now]

    def _zones(self) -> tuple[list[str], list[int]]:
        """Each time zone that somebody is in, and its wave."""
        waves = self.campaign.waves
        if not waves:
            return [], []
        moments = self._moments()
        last = len(waves) - 1
        return list(moments), [min(bisect_left(waves, moment), last) for moment in moments.values()]

    def _moments(self) -> dict[str, datetime]:
        day, at = self.campaign.local_date, self.campaign.local_time
        if day is None or at is None:
            raise ValueError("A campaign at local times has a day and a time.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT timezone FROM preferences_recipient")
            return {name: local_moment(day, at, name) for (name,) in cursor.fetchall()}


def forget(campaign_id: int) -> int:
    """Delete a slice of the targets of a campaign that is over; 0 when all are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM campaigns_campaigntarget WHERE ctid = ANY(ARRAY("
            "SELECT ctid FROM campaigns_campaigntarget WHERE campaign_id = %s LIMIT %s))",
            [campaign_id, SLICE],
        )
        gone: int = cursor.rowcount
    if not gone:
        Campaign.objects.filter(pk=campaign_id).update(prepared_to=None)
    return gone
