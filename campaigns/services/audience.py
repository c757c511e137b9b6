"""Who a campaign goes to: everyone, or a list of external ids resolved when it is saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from campaigns.models import Audience, Campaign, CampaignMember
from preferences.models import Recipient

#: Ids in one pasted list: a form of a megabyte. Larger audiences come from an import, not from the clipboard.
MAX_LIST = 50_000
_LONGEST = 128  # Recipient.external_id


@dataclass(frozen=True, slots=True)
class MemberList:
    """A pasted list, read. `known` has each recipient once; `unknown` the ids nobody has, in the order given."""

    known: tuple[UUID, ...]
    unknown: tuple[str, ...]
    duplicates: int


class AudienceService:
    """Reads, keeps, counts and walks audiences."""

    def read(self, text: str) -> MemberList:
        """One external id per line; blank lines and repeated ids are fine. ValueError past MAX_LIST ids."""
        lines = [line.strip() for line in text.splitlines()]
        given = [line for line in lines if line]
        wanted = list(dict.fromkeys(given))
        if len(wanted) > MAX_LIST:
            raise ValueError(f"The list has {len(wanted):,} ids; {MAX_LIST:,} is the most.")
        known = self._resolve([id for id in wanted if len(id) <= _LONGEST and "\x00" not in id])
        return MemberList(
            known=tuple(known.values()),
            unknown=tuple(id for id in wanted if id not in known),
            duplicates=len(given) - len(wanted),
        )

    def keep(self, campaign: Campaign, recipients: Sequence[UUID]) -> None:
        """Make `recipients` the campaign's list."""
        with transaction.atomic(), connection.cursor() as cursor:
            CampaignMember.objects.filter(campaign=campaign).delete()
            cursor.execute(
                "INSERT INTO campaigns_campaignmember (campaign_id, recipient_id)"
                " SELECT %s, id FROM unnest(%s::uuid[]) id ON CONFLICT DO NOTHING",
                [campaign.pk, list(recipients)],
            )

    def as_text(self, campaign: Campaign) -> str:
        """The kept list, to be edited again."""
        ids = CampaignMember.objects.filter(campaign=campaign).order_by("recipient__external_id")
        return "\n".join(ids.values_list("recipient__external_id", flat=True)[:MAX_LIST])

    def upper(self) -> UUID | None:
        """The newest recipient there is; None without any. Ids rise with time, so who comes later is beyond it."""
        return Recipient.objects.order_by("-id").values_list("id", flat=True).first()

    def size(self, campaign: Campaign) -> int:
        """How many people that is now. Exact: for everyone it reads an index, about 0.1 s a million."""
        return self._people(campaign).count()

    def first(self, campaign: Campaign) -> dict[str, Any] | None:
        """The first person's own data, as templates see it."""
        fields = ("external_id", "name", "locale", "timezone", "attributes")
        person: dict[str, Any] | None = self._people(campaign).order_by("id").values(*fields).first()
        return person

    def chunk(self, campaign: Campaign, limit: int) -> list[tuple[UUID, str]]:
        """The next people after the campaign's cursor, (id, external id) in the order of ids."""
        people = self._people(campaign)
        if campaign.cursor is not None:
            people = people.filter(id__gt=campaign.cursor)
        if campaign.upper is not None:
            people = people.filter(id__lte=campaign.upper)
        return list(people.order_by("id").values_list("id", "external_id")[:limit])

    def _people(self, campaign: Campaign) -> QuerySet[Recipient]:
        if campaign.audience == Audience.EVERYONE:
            return Recipient.objects.all()
        return Recipient.objects.filter(campaignmember__campaign=campaign)

    def _resolve(self, external_ids: Sequence[str]) -> dict[str, UUID]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT external_id, id FROM preferences_recipient WHERE external_id = ANY(%s)", [list(external_ids)]
            )
            return dict(cursor.fetchall())
