"""What a provider is: one class that takes rendered messages and says, in order, what became of each.

A provider is built once per worker process from its options in `settings.PROVIDERS`. It is called on an event loop
with no database transaction open. It never raises for a single message: it returns a Failure in that message's place.
If `send` itself raises or times out, every message of the call counts as a temporary failure.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from core import ids
from core.ids import Key
from notifications.choices import FailureCode


class OutboundMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One rendered message to one address.

    Its ids are stored as the keys that the pipeline passes on, and made into UUIDs for who asks for them.
    `delivery_id` is the idempotency key for providers that take one. `address` is an email address, an E.164 number, a
    device token, or for in_app the recipient's external id; `platform` is set for push alone. `content` has the fields
    of `notifications.services.rendering.FIELDS[channel]`, rendered. `attempt` counts the attempts that were used up and
    this one; `claim` counts how often a worker had it in hand, so it differs at every call, also after a 429. `headers`
    are lines that an email is to carry besides its own: marketing has those of RFC 8058, the button to unsubscribe.
    """

    delivery_key: Key
    notification_key: Key
    recipient_key: Key
    channel: str
    address: str
    content: Mapping[str, str]
    category: str
    platform: str = ""
    attempt: int = 1
    claim: int = 1
    is_test: bool = False
    metadata: Mapping[str, object] = msgspec.field(default_factory=dict)
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def delivery_id(self) -> UUID:
        return ids.uuid(self.delivery_key)

    @property
    def notification_id(self) -> UUID:
        return ids.uuid(self.notification_key)

    @property
    def recipient_id(self) -> UUID:
        return ids.uuid(self.recipient_key)


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The provider took the message. `provider_message_id` is its name for it (128 characters at most)."""

    provider_message_id: str = ""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The provider did not take the message.

    Temporary failures are tried again, not before `retry_after` seconds where the provider named a time; permanent ones
    end the delivery. `invalid_address` also retires the token. `detail` is shown in the timeline: no address, no body.
    `attempted` False says that nobody was asked, so no attempt is used up.
    """

    code: FailureCode
    temporary: bool
    detail: str = ""
    retry_after: float | None = None
    attempted: bool = True


Outcome = Receipt | Failure


class Provider(Protocol):
    """`SimulatedProvider` and `channels_app.provider.InAppProvider` are two. One contract suite tests them all."""

    name: str

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """One outcome per message, in order. At most MAX_DELIVERIES messages a call, all of one channel."""
        ...
