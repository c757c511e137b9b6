"""The simulator's webhooks: what its vendors write, and the receiver that reads it.

They are signed as Standard Webhooks are and look as real ones do: events in batches, with the vendor's own words and
ids. The secret is made from SECRET_KEY, one for each provider, so that nothing needs to be set up.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated
from uuid import UUID

import msgspec
from django.conf import settings
from django.utils.crypto import salted_hmac

from core import standard_webhooks
from core.standard_webhooks import InvalidSignature
from notifications.choices import EventType, FailureCode
from notifications.errors import FieldError
from notifications.receivers.base import MAX_EVENTS, Unreadable, Unverified
from notifications.services.events_lane import Incoming
from preferences.keywords import meaning_of

#: What a simulated vendor puts before our id to name a message.
MESSAGE_PREFIX = "sim-"
#: The vendor's words in ours. It has others ("processed", "deferred"), which say nothing that we record.
EVENTS = {
    "delivered": EventType.DELIVERED,
    "bounce": EventType.BOUNCED,
    "spam_report": EventType.COMPLAINED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
}
WORDS = {type: word for word, type in EVENTS.items()}
_CODES = {EventType.BOUNCED: FailureCode.INVALID_ADDRESS.value}


#: What the vendor calls a text message that somebody sent to us.
INBOUND = "inbound"


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One event as the vendor writes it. `message` is what it called the message when it took it.

    An inbound message has instead who sent it (`from`, in E.164), what it says (`text`) and when (`at`).
    """

    id: str
    event: str
    message: str = ""
    reason: str = ""
    sender: str = msgspec.field(default="", name="from")
    text: str = ""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Webhook(msgspec.Struct, frozen=True, gc=False):
    """One body."""

    events: list[Event]


_decoder = msgspec.json.Decoder(Webhook)


class SimulatedReceiver:
    """For a SimulatedProvider of the same name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def verify_and_parse(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Incoming]:
        try:
            standard_webhooks.verify([secret(self.name, settings.SECRET_KEY)], headers, body, now=now)
        except InvalidSignature as error:
            raise Unverified(str(error)) from None
        events = _read(body)
        found = (self._incoming(place, event) for place, event in enumerate(events))
        return [incoming for incoming in found if incoming is not None]

    def _incoming(self, place: int, event: Event) -> Incoming | None:
        """None for what we have no word for."""
        if event.event in EVENTS:
            return self._receipt(place, event)
        if event.event == INBOUND and (word := meaning_of(event.text)) is not None:
            return Incoming(type=word, origin=self.name, event_id=event.id, sender=event.sender, said_at=event.at)
        return None

    def _receipt(self, place: int, event: Event) -> Incoming:
        type = EVENTS[event.event]
        try:
            delivery = UUID(event.message.removeprefix(MESSAGE_PREFIX))
        except ValueError:
            error = FieldError(f"/events/{place}/message", "invalid", "Not a message id of this vendor.")
            raise Unreadable(error) from None
        return Incoming(
            type=type,
            origin=self.name,
            delivery_id=delivery,
            event_id=event.id,
            code=_CODES.get(type, ""),
            detail=event.reason,
        )


def _read(body: bytes) -> list[Event]:
    try:
        events = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Unreadable(FieldError("", "invalid", "The body is not a JSON object with a list of events.")) from None
    if len(events.events) > MAX_EVENTS:
        raise Unreadable(FieldError("/events", "too_many", f"At most {MAX_EVENTS} events are taken at once."))
    return events.events


@cache
def secret(name: str, key: str) -> str:
    """What the webhooks of a provider are signed with. `key` is SECRET_KEY."""
    made = salted_hmac(key_salt="carillon.simulator-webhooks", value=name, secret=key, algorithm="sha256").digest()
    return standard_webhooks.PREFIX + base64.b64encode(made).decode()
