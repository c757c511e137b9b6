"""Who a campaign goes to: everyone, a segment, a saved list or a pasted one; less whom it leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from campaigns.models import Audience, Campaign, CampaignMember
from campaigns.segments import where
from campaigns.services.counting import Count, count
from preferences.models import Recipient

#: Ids in one pasted list: a form of a megabyte. Larger audiences come from an import, not from the clipboard.
MAX_LIST = 50_000
_LONGEST = 128  # Recipient.external_id
#: Ids before and behind all there are.
_BEFORE, _BEHIND = UUID(int=0), UUID(int=(1 << 128) - 1)

_PASTED = "r.id IN (SELECT recipient_id FROM campaigns_campaignmember WHERE campaign_id = %s)"
_ON_LIST = "r.id IN (SELECT recipient_id FROM campaigns_recipientlistmember WHERE list_id = ANY(%s))"


_PEOPLE = """
    SELECT r.id, r.external_id FROM preferences_recipient r
     WHERE ({}) AND r.id > %s AND r.id <= %s ORDER BY r.id LIMIT %s
"""
_TARGETS = """
    SELECT r.id, r.external_id, t.variant
      FROM campaigns_campaigntarget t JOIN preferences_recipient r ON r.id = t.recipient_id
     WHERE t.campaign_id = %s AND t.step = %s AND t.recipient_id > %s ORDER BY t.recipient_id LIMIT %s
"""


class Person(NamedTuple):
    """One of a chunk; `variant` is the place of theirs among the labels."""

    id: UUID
    external_id: str
    variant: int | None = None


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
        """How many people that is now; see `count`."""
        return self.count(campaign).people

    def count(self, campaign: Campaign) -> Count:
        """How many people that is now: counted (for everyone from an index, about 0.1 s a million), or estimated."""
        return count(self.condition(campaign), lambda: self.condition(campaign, few=True))

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

    def chunk(self, campaign: Campaign, limit: int) -> list[Person]:
        """The next people after the campaign's cursor, in the order of ids: of its targets where it has them."""
        after, upto = self.span(campaign.cursor, campaign.upper)
        with connection.cursor() as cursor:
            if campaign.prepared_to is not None:
                cursor.execute(_TARGETS, [campaign.pk, campaign.step, after, limit])
            else:
                condition, parameters = self._included(campaign)  # who leaves somebody out has targets
                cursor.execute(_PEOPLE.format(condition), [*parameters, after, upto, limit])
            return [Person(*row) for row in cursor.fetchall()]

    def span(self, after: UUID | None, upto: UUID | None) -> tuple[UUID, UUID]:
        """Bounds that always are some: after < id <= upto."""
        return after or _BEFORE, upto or _BEHIND

    def condition(self, campaign: Campaign, *, few: bool = False) -> tuple[str, list[Any]]:
        """A SQL boolean over the alias `r` of preferences_recipient, and its parameters; `few` as of `segments.where`.
        DefinitionInvalid: a segment names something that is gone."""
        parts = [self._included(campaign, few=few)]
        for excluded in campaign.exclude_segments.order_by("pk") if campaign.pk else ():
            condition, parameters = where(excluded.definition, few=few)
            parts.append((f"({condition}) IS NOT TRUE", parameters))
        lists = list(campaign.exclude_lists.order_by("pk").values_list("pk", flat=True)) if campaign.pk else []
        if lists:
            parts.append((f"NOT {_ON_LIST}", [lists]))
        return " AND ".join(f"({sql})" for sql, _ in parts), [one for _, given in parts for one in given]

    def _included(self, campaign: Campaign, *, few: bool = False) -> tuple[str, list[Any]]:
        match Audience(campaign.audience):
            case Audience.EVERYONE:
                return "TRUE", []
            case Audience.LIST:
                return _PASTED, [campaign.pk]
            case Audience.SAVED_LIST:
                return _ON_LIST, [[campaign.saved_list_id]]
            case Audience.SEGMENT:
                return where(campaign.segment.definition, few=few) if campaign.segment else ("FALSE", [])

    def _resolve(self, external_ids: Sequence[str]) -> dict[str, UUID]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT external_id, id FROM preferences_recipient WHERE external_id = ANY(%s)", [list(external_ids)]
            )
            return dict(cursor.fetchall())
