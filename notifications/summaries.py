"""What a provider was handed, in outline: worked out again from the record when somebody looks, kept nowhere.

The wording is that of the template version on the record, filled in for the person as they are known today. Sizes of
the fields, the first of a title, and how many SMS it makes; never an address or a whole message.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from core.postgresql.direct import direct_cursor
from notifications.choices import Channel, Status
from notifications.errors import RenderError
from notifications.models import Delivery
from notifications.services import tracking_sql as sql
from notifications.services.claims import Claim
from notifications.services.messages import content_of
from notifications.services.recording import vendor_text
from notifications.services.rendering.segments import sms_segments
from notifications.services.tracking_sql import by_id, of_record

#: The field that names a message, and how much of it is shown.
_HEADLINES = ("subject", "title")
_HEADLINE_CHARACTERS = 60


class RequestSummary(msgspec.Struct, frozen=True):
    """`fields`: characters by field name. `headline`: the beginning of the subject or title. `segments` and `encoding`
    of an SMS. `fault`: why it cannot be worked out; then nothing else is set."""

    fields: dict[str, int] = msgspec.field(default_factory=dict)
    headline: str = ""
    segments: int | None = None
    encoding: str = ""
    fault: str = ""

    def __str__(self) -> str:
        """`“Your order…”, 3 fields, 412 characters`, in one line for people."""
        if self.fault:
            return self.fault
        said = [f"“{self.headline}”"] if self.headline else []
        if self.segments is not None:
            said.append(f"{self.segments} SMS segment{'' if self.segments == 1 else 's'}, {self.encoding}")
        said += [f"{name} {count:,}" for name, count in self.fields.items()]
        return f"{', '.join(said)} characters"


def requests(deliveries: Sequence[Delivery]) -> dict[UUID, RequestSummary]:
    """By delivery, of those of one notification that were meant for a provider. Three queries."""
    meant = [one for one in deliveries if one.status != Status.SKIPPED or one.attempts]
    if not meant:
        return {}
    owner, person = meant[0].notification_id.bytes, meant[0].recipient_id.bytes
    with direct_cursor() as cursor:
        notifications = of_record(cursor, sql.NOTIFICATIONS, {owner})
        recipients = by_id(cursor, sql.RECIPIENTS, {person})
    by_channel: dict[str, RequestSummary] = {}
    for one in meant:
        if one.channel not in by_channel:
            row = (one.pk.bytes, owner, person, None, 1, 0, one.created_at, one.created_at)
            claim = Claim((one.channel, one.priority), row, notifications.get(owner), recipients.get(person), None)
            by_channel[one.channel] = _summary(claim, recipients.get(person))
    return {one.pk: by_channel[one.channel] for one in meant}


def _summary(claim: Claim, person: tuple[object, ...] | None) -> RequestSummary:
    if person is None:
        return RequestSummary(fault="What it said was erased with its recipient.")
    try:
        content = content_of(claim)
    except (RenderError, KeyError):
        return RequestSummary(fault="It cannot be put into words any more.")
    return _outline(claim.channel, content, addresses=(str(person[3]), str(person[4])))


def _outline(channel: str, content: Mapping[str, str], addresses: tuple[str, ...]) -> RequestSummary:
    headline = next((content[name] for name in _HEADLINES if content.get(name)), "")
    headline = vendor_text(headline, *addresses)
    if len(headline) > _HEADLINE_CHARACTERS:
        headline = f"{headline[: _HEADLINE_CHARACTERS - 1].rstrip()}…"
    parts = sms_segments(content.get("body", "")) if channel == Channel.SMS else None
    return RequestSummary(
        fields={name: len(text) for name, text in content.items() if text},
        headline=headline,
        segments=parts.segments if parts else None,
        encoding=parts.encoding.label if parts else "",
    )
