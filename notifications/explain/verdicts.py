"""What explaining answers with: by channel each gate, its verdict, what it saw and where; and all in one sentence."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from django.db.models import TextChoices


class Verdict(TextChoices):
    """What a gate says, and how a channel ends. Of a channel, `pass` means that a provider is handed the message."""

    PASS = "pass", "Passes"
    SKIP = "skip", "Skipped"
    HOLD = "hold", "Waits"
    REFUSE = "refuse", "Refused"
    UNKNOWN = "unknown", "Cannot be told"


class Store(TextChoices):
    """Where something was seen."""

    REQUEST = "request", "the request"
    POSTGRESQL = "postgresql", "PostgreSQL"
    REDIS = "redis", "Redis"
    SETTINGS = "settings", "the settings"


class Source(msgspec.Struct, frozen=True):
    """What decided: a table or setting by `name`, for a table the row's key in `id`; of Redis the kind of key."""

    store: Store
    name: str
    id: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One gate. `code` is a SkipReason, HoldReason, FailureCode or what is wrong with a field; `seen` names the values
    it went by; `until` is when a hold ends or a limit has room again. `provider` is set for a provider's gates."""

    gate: str
    verdict: Verdict
    says: str
    code: str = ""
    provider: str = ""
    seen: Mapping[str, str] = msgspec.field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    until: datetime | None = None


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One channel: how it would end and why, to which addresses (redacted), by which provider, and each gate."""

    channel: str
    outcome: Verdict
    code: str
    says: str
    addresses: tuple[str, ...]
    provider: str
    until: datetime | None
    checks: tuple[Check, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a draft if it were sent at the moment `at` (by the database's clock): as a whole, and
    channel by channel. `checks` are the gates that it passes as a whole. Without `ways` it would not be accepted."""

    at: datetime
    outcome: Verdict
    says: str
    is_test: bool
    checks: tuple[Check, ...]
    ways: tuple[Way, ...]


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What the record says of one delivery: where it stands, the reason on the record, since when, by whom, and until
    when it waits."""

    delivery_id: UUID
    channel: str
    status: str
    code: str
    says: str
    provider: str
    at: datetime | None
    until: datetime | None


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a notification, as the record has it; and what the gates would say of the same message today."""

    notification_id: UUID
    recipient: str | None
    says: str
    fates: tuple[Fate, ...]
    today: Explanation
