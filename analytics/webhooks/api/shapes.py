"""What the webhook calls read and answer with."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from analytics.webhooks.vocabulary import AttemptOutcome, EndReason, MessageStatus, OffReason

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Description = Annotated[str, msgspec.Meta(max_length=200)]
Event = Literal[
    "skipped", "withdrawn", "sent", "deferred", "delivered", "bounced", "complained", "failed", "dead", "replayed",
    "opened", "clicked",
]  # fmt: skip
Events = Annotated[list[Event], msgspec.Meta(max_length=20)]


class WebhookBody(msgspec.Struct, forbid_unknown_fields=True):
    """An endpoint to be. No `events`: all of them, those to come as well."""

    url: Url
    description: Description = ""
    events: Events = []
    is_on: bool = True


class WebhookChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is named is changed, the rest stays."""

    url: Url | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    is_on: bool | UnsetType = UNSET


class WebhookShape(msgspec.Struct):
    """An endpoint. `off_reason`: `by_hand`, `gone` (it answered 410) or `failing` (for days). `failing_since` is null
    while it answers. `old_secret_until`: until then the secret of before the last rotation signs, too."""

    id: UUID
    url: str
    description: str
    events: list[str]
    is_on: bool
    is_test: bool
    off_reason: OffReason | None
    off_at: datetime | None
    failing_since: datetime | None
    last_success_at: datetime | None
    old_secret_until: datetime | None
    created_at: datetime


class WebhookWithSecret(WebhookShape):
    """The same with the secret that signs its messages. It is shown this once."""

    secret: str


class WebhookPage(msgspec.Struct):
    """Newest first."""

    results: list[WebhookShape]
    next_cursor: str | None


class WebhookSecret(msgspec.Struct):
    """The new secret, shown this once. The old one signs beside it until `old_secret_until`."""

    secret: str
    old_secret_until: datetime


class WebhookAttemptShape(msgspec.Struct):
    """A request and its answer. `status` is null when none came; `answer` is its first 1,024 bytes, as text."""

    number: int
    at: datetime
    outcome: AttemptOutcome
    status: int | None
    milliseconds: int
    answer: str


class WebhookMessageShape(msgspec.Struct):
    """An event told to the endpoint, and how that went. `webhook_id` is the header's; `event` is `test` for a test."""

    id: UUID
    webhook_id: str
    event: str
    notification: UUID | None
    delivery: UUID | None
    code: str | None
    at: datetime
    status: MessageStatus
    end_reason: EndReason | None
    ended_at: datetime | None
    attempts: list[WebhookAttemptShape]


class WebhookMessagePage(msgspec.Struct):
    """Newest first."""

    results: list[WebhookMessageShape]
    next_cursor: str | None


class WebhookMessageFilter(msgspec.Struct, forbid_unknown_fields=True):
    """What of the log is asked for."""

    status: MessageStatus | None = None
    event: str | None = None
    notification: UUID | None = None


class WebhookTest(msgspec.Struct):
    """The test message: it stands in the log like any other."""

    message: UUID


Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class WebhookReplayBody(msgspec.Struct, forbid_unknown_fields=True):
    """Either `messages`, delivered or failed, or all that failed of the events from `since` up to `until` (now)."""

    messages: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=1000)] | UnsetType = UNSET
    since: Moment | UnsetType = UNSET
    until: Moment | UnsetType = UNSET


class WebhookReplayed(msgspec.Struct):
    """How many are on their way again. `more`: there are further ones, ask again."""

    replayed: int
    more: bool
