"""Who a campaign goes to: everyone, a segment, a saved list or a pasted one; less whom it leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from campaigns.models import Audience, Campaign, CampaignMember
from campaigns.segments import where
from preferences.models import Recipient

#: Ids in one pasted list: a form of a megabyte. Larger audiences come from an import, not from the clipboard.
MAX_LIST = 50_000
_LONGEST = 128  # Recipient.external_id
#: Ids before and behind all there are.
_BEFORE, _BEHIND = UUID(int=0), UUID(int=(1 << 128) - 1)

_PASTED = "r.id IN (SELECT recipient_id FROM campaigns_campaignmember WHERE campaign_id = %s)"
_ON_LIST = "r.id IN (SELECT recipient_id FROM campaigns_recipientlistmember WHERE list_id = ANY(%s))"


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

    def copy(self, campaign: Campaign, to: Campaign) -> None:
        """Give another campaign the same list."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO campaigns_campaignmember (campaign_id, recipient_id)"
                " SELECT %s, recipient_id FROM campaigns_campaignmember WHERE campaign_id = %s",
                [to.pk, campaign.pk],
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
        condition, parameters = self.condition(campaign)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM preferences_recipient r WHERE {condition}", parameters)
            people: int = cursor.fetchone()[0]
            return people

    def first(self, campaign: Campaign) -> dict[str, Any] | None:
        """The first person's own data, as templates see it."""
        condition, parameters = self.condition(campaign)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT r.id FROM preferences_recipient r WHERE {condition} ORDER BY r.id LIMIT 1", parameters
            )
            found = cursor.fetchone()
        fields = ("external_id", "name", "locale", "timezone", "attributes")
        return Recipient.objects.filter(pk=found[0]).values(*fields).first() if found else None

    def chunk(self, campaign: Campaign, limit: int) -> list[tuple[UUID, str]]:
        """The next people after the campaign's cursor, (id, external id) in the order of ids."""
        condition, parameters = self.condition(campaign)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT r.id, r.external_id FROM preferences_recipient r WHERE ({condition})"
                " AND r.id > %s AND r.id <= %s ORDER BY r.id LIMIT %s",
                [*parameters, campaign.cursor or _BEFORE, campaign.upper or _BEHIND, limit],
            )
            people: list[tuple[UUID, str]] = cursor.fetchall()
            return people

    def condition(self, campaign: Campaign) -> tuple[str, list[Any]]:
        """A SQL boolean over the alias `r` of preferences_recipient, and its parameters. DefinitionInvalid: a segment
        names something that is gone."""
        parts = [self._included(campaign)]
        for excluded in campaign.exclude_segments.order_by("pk") if campaign.pk else ():
            condition, parameters = where(excluded.definition)
            parts.append((f"({condition}) IS NOT TRUE", parameters))
        lists = list(campaign.exclude_lists.order_by("pk").values_list("pk", flat=True)) if campaign.pk else []
        if lists:
            parts.append((f"NOT {_ON_LIST}", [lists]))
        return " AND ".join(f"({sql})" for sql, _ in parts), [one for _, given in parts for one in given]

    def _included(self, campaign: Campaign) -> tuple[str, list[Any]]:
        match Audience(campaign.audience):
            case Audience.EVERYONE:
                return "TRUE", []
            case Audience.LIST:
                return _PASTED, [campaign.pk]
            case Audience.SAVED_LIST:
                return _ON_LIST, [[campaign.saved_list_id]]
            case Audience.SEGMENT:
                return where(campaign.segment.definition) if campaign.segment else ("FALSE", [])

    def _resolve(self, external_ids: Sequence[str]) -> dict[str, UUID]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT external_id, id FROM preferences_recipient WHERE external_id = ANY(%s)", [list(external_ids)]
            )
            return dict(cursor.fetchall())
