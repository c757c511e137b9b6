"""What callers hand to NotificationService, and what they get back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from notifications.choices import Channel, Priority

#: Drafts in one call of NotificationService.send: the bound of the bulk API and twice a campaign's chunk.
MAX_DRAFTS = 1000
#: Bytes of `data`, of `content` and of `metadata`, each as JSON.
MAX_JSON_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One notification to be, addressed by the recipient's external id.

    Exactly one of `template` (a slug; its published version is used) and `content` is given. `content` is either one
    wording for every channel, `{"title": ..., "body": ..., "link"?: ...}`, or fields by channel,
    `{"email": {"subject": ..., "text": ...}, "sms": {"body": ...}}`; it is literal text, no merge fields.
    `channels` None means the category's. `id` is given by callers that need the same id again (campaigns:
    `ids.deterministic`).
    """

    recipient: str
    category: str
    template: str | None = None
    content: Mapping[str, object] | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    channels: Sequence[Channel | str] | None = None
    priority: Priority | str | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    dedup_key: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A draft that is now on the record. `deliveries` counts what was queued, `skipped` what was not and why is told
    by the timeline; `existed` says that a deterministic id was on the record already and nothing was added.

    `duplicate_of` is the notification that says the same to the same person within the category's window: this one is
    on the record too, with every delivery skipped."""

    id: UUID
    deliveries: int
    skipped: int
    existed: bool = False
    duplicate_of: UUID | None = None
