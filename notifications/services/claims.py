"""What passes between the DeliveryTracker and a worker: claims out, results back; and later receipts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from notifications.choices import EventType


class Claim:
    """One delivery under this worker's lease, with everything needed to send it.

    `number` counts the claims and proves that this one still holds; `attempt` counts those that asked a provider, this
    one included, and `holds` the others. `doubts` names the providers that may have taken the message already, because
    the outcome of an earlier attempt is unknown (an empty name: a worker was lost, whoever it asked).

    `cancelled` and `expired` are as of the claim, by the database's clock. `recipient_known` is False after an
    erasure. `address` is empty when there is none (any more); `platform` is set for push.
    """

    __slots__ = (
        "address", "attempt", "attributes", "cancelled", "category_id", "channel", "claimed_at", "content",
        "created_at", "data", "device_id", "doubts", "expired", "external_id", "holds", "id", "is_test", "locale",
        "metadata", "name", "notification_id", "number", "platform", "preferences_changed_at", "priority",
        "recipient_id", "recipient_known", "source", "timezone", "version_id",
    )  # fmt: skip

    def __init__(
        self,
        channel: str,
        priority: str,
        row: tuple[Any, ...],
        notification: tuple[Any, ...] | None,
        recipient: tuple[Any, ...] | None,
        device: tuple[Any, ...] | None,
    ) -> None:
        self.channel, self.priority = channel, priority
        self.doubts: tuple[str, ...] = ()
        self.id: UUID = row[0]
        self.notification_id: UUID = row[1]
        self.recipient_id: UUID = row[2]
        self.device_id: UUID | None = row[3]
        self.number: int = row[4]
        self.holds: int = row[5]
        self.attempt = self.number - self.holds
        self.created_at: datetime = row[6]
        self.claimed_at: datetime = row[7]
        self._take_notification(notification)
        self._take_recipient(recipient, device)

    def _take_notification(self, row: tuple[Any, ...] | None) -> None:
        if row is None:  # its partition was dropped by retention while it waited
            row = (None, "", 0, None, None, "{}", "{}", False, True, False)
        self.source: str = row[1]
        self.category_id: int = row[2]
        self.version_id: int | None = row[3]
        self.content: Mapping[str, Mapping[str, str]] | None = None if row[4] is None else orjson.loads(row[4])
        self.data: dict[str, Any] = {} if row[5] == "{}" else orjson.loads(row[5])
        self.metadata: dict[str, Any] = {} if row[6] == "{}" else orjson.loads(row[6])
        self.is_test: bool = row[7]
        self.cancelled: bool = row[8]
        self.expired: bool = row[9]

    def _take_recipient(self, row: tuple[Any, ...] | None, device: tuple[Any, ...] | None) -> None:
        self.recipient_known = row is not None
        if row is None:
            row = (None, "", "", "", "", "", "UTC", "{}", None)
        self.external_id: str = row[1]
        self.name: str = row[2]
        self.locale: str = row[5]
        self.timezone: str = row[6]
        self.attributes: dict[str, Any] = {} if row[7] == "{}" else orjson.loads(row[7])
        self.preferences_changed_at: datetime | None = row[8]
        self.platform = ""
        if self.channel == "email":
            self.address: str = row[3]
        elif self.channel == "sms":
            self.address = row[4]
        elif self.channel == "push":
            self.address, self.platform = (device[2], device[1]) if device else ("", "")
        else:
            self.address = self.external_id


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a claim: SENT, SKIPPED, FAILED, DEFERRED, DEAD, or HELD, where no attempt was made.

    `code` is a SkipReason for SKIPPED, a HoldReason for HELD, MAYBE_TWICE or empty for SENT and a FailureCode
    otherwise; `retry_in` (seconds) is set for DEFERRED and HELD.
    """

    claim: Claim
    type: EventType
    provider: str = ""
    code: str = ""
    detail: str = ""
    provider_message_id: str = ""
    retry_in: float = 0.0


@dataclass(frozen=True, slots=True)
class ProviderReceipt:
    """A later word on a delivery: DELIVERED, BOUNCED, COMPLAINED, OPENED or CLICKED."""

    delivery_id: UUID
    type: EventType
    provider: str
    code: str = ""
    detail: str = ""
