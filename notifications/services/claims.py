"""What passes between the DeliveryTracker and a worker: claims out, results back; and later receipts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import orjson

from core.ids import Key
from notifications.choices import EventType
from notifications.services.tracking_sql import Row
from notifications.strategies.plan import Plan, decode


class Claim:
    """One delivery under this worker's lease, with everything needed to send it.

    `number` counts the claims and proves that this one still holds; `attempt` counts those that asked a provider, this
    one included, and `holds` the others. `doubts` names the providers that may have taken the message already, because
    the outcome of an earlier attempt is unknown (an empty name: a worker was lost, whoever it asked).

    `wanted_at` is when it was to be sent: at acceptance, or at its later `send_at`. Latency counts from there.

    `plan` is None for what goes out by every channel at once.
    `cancelled`, `expired` and `early` (its `send_at` is yet to come) are as of the claim, by the database's clock.
    `recipient_known` is False after an erasure.
    `address` is empty when there is none (any more); `platform` is set for push.
    """

    __slots__ = (
        "address", "attempt", "attributes", "cancelled", "category_id", "channel", "claimed_at", "content",
        "created_at", "data", "device_id", "doubts", "early", "expired", "expires_at", "external_id", "holds", "id",
        "is_test", "locale", "metadata", "name", "notification_id", "number", "plan", "platform",
        "preferences_changed_at", "priority", "quiet_end", "quiet_never", "quiet_start", "recipient_id",
        "recipient_known", "source", "timezone", "version_id", "wanted_at",
    )  # fmt: skip

    id: Key
    notification_id: Key
    recipient_id: Key
    device_id: Key | None
    number: int
    holds: int
    created_at: datetime
    claimed_at: datetime
    wanted_at: datetime
    source: str
    category_id: int
    version_id: int | None
    is_test: bool
    cancelled: bool
    expired: bool
    early: bool
    expires_at: datetime | None
    external_id: str
    name: str
    locale: str
    timezone: str
    preferences_changed_at: datetime | None
    quiet_start: time | None
    quiet_end: time | None
    quiet_never: bool
    address: str
    plan: Plan | None

    def __init__(
        self, lane: tuple[str, str], row: Row, notification: Row | None, recipient: Row | None, device: Row | None
    ) -> None:
        """From rows of CLAIM, NOTIFICATIONS, RECIPIENTS and DEVICES in `tracking_sql`; `lane` is (channel, priority).
        There is no notification when retention dropped its partition while it waited."""
        self.channel, self.priority = lane
        self.doubts: tuple[str, ...] = ()
        (
            self.id, self.notification_id, self.recipient_id, self.device_id, self.number, self.holds,
            self.created_at, self.claimed_at,
        ) = row  # fmt: skip
        self.attempt = self.number - self.holds
        self._take_notification(notification or _NO_NOTIFICATION)
        self._take_recipient(recipient, device)

    def _take_notification(self, row: Row) -> None:
        (
            _, self.source, self.category_id, self.version_id, content, data, metadata, self.is_test, send_at,
            self.cancelled, self.expires_at, plan,
        ) = row  # fmt: skip
        self.expired = self.expires_at is not None and self.expires_at <= self.claimed_at
        self.early = send_at is not None and send_at > self.claimed_at
        self.plan = None if plan is None else decode(plan)
        self.wanted_at = self.created_at if send_at is None else max(self.created_at, send_at)
        self.content: Mapping[str, Mapping[str, str]] | None = None if content is None else orjson.loads(content)
        self.data: dict[str, Any] = {} if data == "{}" else orjson.loads(data)
        self.metadata: dict[str, Any] = {} if metadata == "{}" else orjson.loads(metadata)

    def _take_recipient(self, row: Row | None, device: Row | None) -> None:
        self.recipient_known = row is not None
        (
            _, self.external_id, self.name, email, phone, self.locale, self.timezone, attributes,
            self.preferences_changed_at, self.quiet_start, self.quiet_end, self.quiet_never,
        ) = row or _NO_RECIPIENT  # fmt: skip
        self.attributes: dict[str, Any] = {} if attributes == "{}" else orjson.loads(attributes)
        self.platform = ""
        if self.channel == "email":
            self.address = email
        elif self.channel == "sms":
            self.address = phone
        elif self.channel == "push":
            self.address, self.platform = (device[2], device[1]) if device else ("", "")
        else:
            self.address = self.external_id


_NO_NOTIFICATION: Row = (None, "", 0, None, None, "{}", "{}", False, None, True, None, None)
_NO_RECIPIENT: Row = (None, "", "", "", "", "", "UTC", "{}", None, None, None, False)


class Result(msgspec.Struct, frozen=True):
    """What became of a claim: SENT, SKIPPED, FAILED, DEFERRED, DEAD, or HELD, where no attempt was made.

    `code` is a SkipReason for SKIPPED, a HoldReason for HELD, MAYBE_TWICE or empty for SENT and a FailureCode
    otherwise; `retry_in` (seconds) is set for DEFERRED and HELD. `declined_by`: (provider, FailureCode) of others in
    the chain that were asked and did not take it. `is_known`: the last event said the same, and it is not told again.
    """

    claim: Claim
    type: EventType
    provider: str = ""
    code: str = ""
    detail: str = ""
    provider_message_id: str = ""
    retry_in: float = 0.0
    declined_by: tuple[tuple[str, str], ...] = ()
    is_known: bool = False


class Back(NamedTuple):
    """A delivery that came back from a worker unsent, to be tried again, or is given up."""

    delivery: Key
    notification: Key
    channel: str


@dataclass(frozen=True, slots=True)
class ProviderReceipt:
    """A later word on a delivery: DELIVERED, BOUNCED, COMPLAINED, OPENED or CLICKED.

    `provider` is who says so: a provider's name, or "link" or "pixel" for a hit on our own addresses. `event_id` is its
    name for the event, where it has one; `machine` says why a hit is not a person's, and is empty for a person's. `at`
    is when we heard of it, by the database's clock; None when nobody took that down.
    """

    delivery_id: UUID
    type: EventType
    provider: str
    code: str = ""
    detail: str = ""
    event_id: str = ""
    machine: str = ""
    at: datetime | None = None


class ReceiptCounts(NamedTuple):
    """How many receipts changed something, changed nothing (late or doubled), or spoke of no delivery of ours; each by
    who said so."""

    applied: Counter[str]
    unchanged: Counter[str]
    unknown: Counter[str]
