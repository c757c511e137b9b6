"""A vendor unlike the simulator: an HMAC of timestamp and body in a header of its own, one event a line."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from notifications.choices import EventType
from notifications.errors import FieldError
from notifications.receivers.base import MAX_EVENTS, TOLERANCE_SECONDS, Unreadable, Unverified
from notifications.services import events_lane
from notifications.services.events_lane import Incoming
from preferences.keywords import meaning_of

EVENTS = {"DELIVRD": EventType.DELIVERED, "UNDELIV": EventType.BOUNCED}


class Line(msgspec.Struct):
    """A report (`state`, `ref`), or an SMS that came in: `mo` says what, `msisdn` from whom, `ts` when, in Unix
    seconds."""

    id: str
    state: str = ""
    ref: UUID = events_lane.NO_DELIVERY
    mo: str = ""
    msisdn: str = ""
    ts: int = 0


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
        found = (self._heard(line) if line.mo else self._receipt(line) for line in lines)
        return [event for event in found if event is not None]

    def _receipt(self, line: Line) -> Incoming | None:
        if line.state not in EVENTS:
            return None
        return Incoming(type=EVENTS[line.state], origin=self.name, delivery_id=line.ref, event_id=line.id)

    def _heard(self, line: Line) -> Incoming | None:
        word, at = meaning_of(line.mo), datetime.fromtimestamp(line.ts, UTC)
        if word is None:
            return None
        return Incoming(type=word, origin=self.name, event_id=line.id, sender=line.msisdn, said_at=at)


def signature(key: bytes, at: str, body: bytes) -> str:
    return hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
