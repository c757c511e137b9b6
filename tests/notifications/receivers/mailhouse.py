"""A vendor unlike the simulator: an HMAC of timestamp and body in a header of its own, one event a line."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from notifications.choices import EventType
from notifications.errors import FieldError
from notifications.receivers.base import MAX_EVENTS, TOLERANCE_SECONDS, Unreadable, Unverified
from notifications.services.events_lane import Incoming

EVENTS = {"DELIVRD": EventType.DELIVERED, "UNDELIV": EventType.BOUNCED}


class Line(msgspec.Struct):
    id: str
    state: str
    ref: UUID


class MailhouseReceiver:
    """Built from its key."""

    def __init__(self, name: str, *, key: str) -> None:
        self.name = name
        self._key = key.encode()

    def verify_and_parse(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Incoming]:
        at, given = headers.get("x-mailhouse-time", ""), headers.get("x-mailhouse-signature", "")
        if not (at.isascii() and at.isdigit() and abs(now - int(at[:12])) <= TOLERANCE_SECONDS):
            raise Unverified("The time is missing or too far away.")
        if not hmac.compare_digest(given.encode(), signature(self._key, at, body).encode()):
            raise Unverified("The signature does not fit the body.")
        try:
            lines = [msgspec.json.decode(line, type=Line) for line in body.splitlines()]
        except msgspec.DecodeError:
            raise Unreadable(FieldError("", "invalid", "A line is not an event.")) from None
        if len(lines) > MAX_EVENTS:
            raise Unreadable(FieldError("", "too_many", f"At most {MAX_EVENTS} lines."))
        return [
            Incoming(type=EVENTS[line.state], origin=self.name, delivery_id=line.ref, event_id=line.id)
            for line in lines
            if line.state in EVENTS
        ]


def signature(key: bytes, at: str, body: bytes) -> str:
    return hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
