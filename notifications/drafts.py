"""What callers hand to NotificationService, and what they get back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from core import ids
from core.ids import Key
from notifications.choices import Channel, Priority

#: Drafts in one call of NotificationService.send: the bound of the bulk API and twice a campaign's chunk.
MAX_DRAFTS = 1000
#: Bytes of `data`, of `content` and of `metadata`, each as JSON.
MAX_JSON_BYTES = 32 * 1024


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One notification to be, addressed by the recipient's external id.

    Exactly one of `template` (a slug; its published version is used, or the one of the id `template_version`, which was
    published at some time) and `content` is given. `content` is either one
    wording for every channel, `{"title": ..., "body": ..., "link"?: ...}`, or fields by channel,
    `{"email": {"subject": ..., "text": ...}, "sms": {"body": ...}}`; it is literal text, no merge fields.
    `digest_key` parts what is gathered for one person, for example by repository: each key has digests of its own.
    `channels` None means the category's, and so does `strategy` None; it is given as `preferences.strategies.asked`
    reads it. `id` is given by callers that need the same id again (campaigns:
    `ids.deterministic_key`).
    """

    recipient: str
    category: str
    template: str | None = None
    template_version: int | None = None
    content: Mapping[str, object] | None = None
    data: Mapping[str, object] = msgspec.field(default_factory=dict)
    channels: Sequence[Channel | str] | None = None
    priority: Priority | str | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    dedup_key: str = ""
    digest_key: str = ""
    metadata: Mapping[str, object] = msgspec.field(default_factory=dict)
    strategy: str | Mapping[str, object] | None = None
    id: UUID | Key | None = None


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A draft that is now on the record. `deliveries` counts what was queued, `skipped` what was not and why is told
    by the timeline; `existed` says that a deterministic id was on the record already and nothing was added.

    `first` is set for a duplicate. Both ids are keys; a caller that shows one reads `id` or `duplicate_of`."""

    key: Key
    deliveries: int
    skipped: int
    existed: bool = False
    first: Key | None = None

    @property
    def id(self) -> UUID:
        return ids.uuid(self.key)

    @property
    def duplicate_of(self) -> UUID | None:
        """The notification that says the same to the same person within the category's window: this one is on the
        record too, with every delivery skipped."""
        return None if self.first is None else ids.uuid(self.first)
