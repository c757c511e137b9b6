"""What the notification calls read and answer with. The OpenAPI document is made from these."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins
from msgspec.json import Decoder

from core.api.parsing import plain, quickly
from notifications.choices import Channel, Priority, SkipReason, Status, Strategy, Unless
from notifications.drafts import Draft
from notifications.models import DigestState
from notifications.summaries import RequestSummary
from preferences.api.shapes import StepBody
from preferences.strategies import MAX_AFTER, MIN_WAIT

_CONTENT = (
    'One wording for every channel, `{"title", "body", "link"}`, or fields by channel, '
    '`{"email": {"subject", "text"}, "sms": {"body"}}`. Literal text: no merge fields.'
)
_DEDUP_KEY = (
    "What makes it the same message: within the category's `dedup_seconds` it is sent to a recipient once. When left"
    " out, the same template and data or content, channels and `send_at`."
)


_DIGEST_KEY = "Where messages are gathered, those of different keys go into different digests, as by repository."
_STRATEGY = (
    "In which order the channels are tried; the category's when left out. `all`: at once. `first`: one after the other"
    " until one has delivered. `escalate`: step by step until it is seen or read. With the category's steps and waits,"
    ' or your own: `{"first": 120}`, `{"escalate": [{"channel": "in_app"}, {"channel": "email", "after": 3600}]}`.'
)


class StrategyBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One of the two. `first`: the seconds each channel has to deliver. `escalate`: the steps, which name the channels
    as well."""

    first: Annotated[int, Meta(ge=MIN_WAIT, le=MAX_AFTER)] | UnsetType = UNSET
    escalate: Annotated[list[StepBody], Meta(min_length=2, max_length=4)] | UnsetType = UNSET


class DraftBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """One notification to one person. Give either `template` with `data`, or `content`."""

    recipient: Annotated[str, Meta(min_length=1, max_length=128, description="The recipient's external id")]
    category: Annotated[str, Meta(min_length=1, max_length=64, description="A category's slug")]
    template: Annotated[str, Meta(min_length=1, max_length=64, description="A published template's slug")] | None = None
    content: Annotated[dict[str, Any], Meta(description=_CONTENT)] | None = None
    data: Annotated[dict[str, Any], Meta(description="What the template's merge fields say; at most 32 KB")] = {}
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=4)] | None = None
    priority: Priority | None = None
    send_at: Annotated[datetime, Meta(tz=True, description="Not before this time; at most 366 days ahead")] | None = (
        None
    )
    expires_at: Annotated[datetime, Meta(tz=True, description="Not after this time")] | None = None
    dedup_key: Annotated[str, Meta(max_length=128, description=_DEDUP_KEY)] = ""
    digest_key: Annotated[str, Meta(max_length=128, description=_DIGEST_KEY)] = ""
    metadata: Annotated[dict[str, Any], Meta(description="Yours: stored and returned, never sent; at most 32 KB")] = {}
    strategy: Annotated[Strategy | StrategyBody | None, Meta(description=_STRATEGY)] = None

    def is_plain(self) -> bool:
        """See `core.api.parsing.plain`."""
        return (
            plain(self.data.values())
            and (not self.content or plain(self.content.values()))
            and (not self.metadata or plain(self.metadata.values()))
        )

    def draft(self) -> Draft:
        return Draft(
            recipient=self.recipient,
            category=self.category,
            template=self.template,
            content=self.content,
            data=self.data,
            channels=self.channels,
            priority=self.priority,
            send_at=self.send_at,
            expires_at=self.expires_at,
            dedup_key=self.dedup_key,
            digest_key=self.digest_key,
            metadata=self.metadata,
            strategy=None if self.strategy is None else to_builtins(self.strategy),
        )


class BulkBody(Struct, forbid_unknown_fields=True):
    """Up to 1,000 notifications, taken all or not at all."""

    notifications: Annotated[list[DraftBody], Meta(min_length=1, max_length=1000)]


_draft = Decoder(DraftBody)
_bulk = Decoder(BulkBody)


def draft_of(body: bytes) -> DraftBody | None:
    """A body that is in order, and plainly so; None for any other."""
    read = quickly(body, _draft)
    return read if read is not None and read.is_plain() else None


def drafts_of(body: bytes) -> list[DraftBody] | None:
    """Likewise of a bulk call."""
    read = quickly(body, _bulk)
    return read.notifications if read is not None and all(one.is_plain() for one in read.notifications) else None


class AcceptedNotification(Struct):
    """On the record. `deliveries` are queued; `skipped` are not, and the timeline at `url` says why. `duplicate_of` is
    the notification that said the same to the same person a moment ago; then nothing more is sent."""

    id: UUID
    deliveries: int
    skipped: int
    url: str
    duplicate_of: UUID | None = None


class AcceptedBulk(Struct):
    """One entry per item, in order."""

    notifications: list[AcceptedNotification]


class TimelineEvent(Struct):
    """Something that happened to a delivery. `code` is a skip reason or failure code; `provider` who said so."""

    type: str
    at: datetime
    attempt: int = 0
    provider: str = ""
    code: str = ""
    detail: str = ""
    provider_message_id: str = ""


class DeliveryBrief(Struct):
    """How a notification fared on one channel, to one address."""

    id: UUID
    channel: Channel
    status: Status
    skip_reason: SkipReason | None


class Waiting(Struct):
    """A later step that has not gone out: `until` when, `unless` what has come to pass by then, and both in a sentence.
    `until` is null when it has come to pass already."""

    until: datetime | None
    unless: Unless
    says: str


class DeliveryShape(Struct):
    """One channel, one address. `waiting` is set for a later step that waits for its turn. `request` outlines what its
    provider is handed, worked out anew from the record: null for what was never meant for one. The timeline begins with
    `accepted`; its `code`, `detail` and `provider_message_id` are what the provider answered, without addresses."""

    id: UUID
    channel: Channel
    priority: Priority
    status: Status
    skip_reason: SkipReason | None
    device_token: UUID | None
    attempts: int
    provider: str | None
    error_code: str | None
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None
    waiting: Waiting | None
    request: RequestSummary | None
    timeline: list[TimelineEvent]


class _NotificationFields(Struct, kw_only=True):
    """What a list and a detail both tell. `recipient` is null after an erasure."""

    id: UUID
    recipient: str | None
    category: str | None
    template: str | None
    template_version: int | None
    priority: Priority
    source: str
    is_test: bool
    created_at: datetime
    send_at: datetime | None
    expires_at: datetime | None
    cancelled_at: datetime | None
    url: str


class NotificationBrief(_NotificationFields, kw_only=True):
    """A notification in a list. `recipient` is null after an erasure."""

    deliveries: list[DeliveryBrief]


class DigestPlace(Struct):
    """The digest that gathered a notification: when it leaves, or left, and as which notification."""

    id: UUID
    state: DigestState
    closes_at: datetime
    notification: UUID | None


class NotificationDetail(_NotificationFields, kw_only=True):
    """A notification, its deliveries and what happened to each. `duplicate_of`: skipped, because that one said it.
    `digest`: it was gathered into that one; `digest_of`: it is a digest, of the first 100 of these, oldest first."""

    dedup_key: str
    duplicate_of: UUID | None
    digest: DigestPlace | None
    digest_of: list[UUID]
    strategy: Strategy
    content: dict[str, Any] | None
    data: dict[str, Any]
    metadata: dict[str, Any]
    deliveries: list[DeliveryShape]


class NotificationPage(Struct):
    """Newest first."""

    results: list[NotificationBrief]
    next_cursor: str | None


class Cancelled(Struct):
    """How many deliveries were stopped before they left."""

    id: UUID
    cancelled: int
    url: str
