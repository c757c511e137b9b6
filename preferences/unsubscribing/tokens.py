"""The last part of an unsubscribe address: who, from what, on which channel, since when, and our signature. No row is
kept for it.

    recipient id (16 bytes) | category id (2, big-endian) | channel (1) | day it was made (2) | MAC (core.sealing)

as base64url: 48 characters without padding.
"""

from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from core.ids import Key
from core.sealing import Seal
from preferences.choices import Channel

#: How long a message's way out works; a law of several countries asks for a month.
GOOD_DAYS = 366
#: Numbers that stand in addresses for ever: add, never renumber.
_CHANNELS = {Channel.EMAIL.value: 1, Channel.SMS.value: 2, Channel.PUSH.value: 3, Channel.IN_APP.value: 4}
_NAMES = {number: channel for channel, number in _CHANNELS.items()}
_DAY_SECONDS = 86_400


class Ask(NamedTuple):
    """What a genuine token asks for. `made` is the beginning of the day of its message, in Unix seconds."""

    recipient: UUID
    category: int
    channel: str
    made: int


def address(recipient: Key, category: int, channel: str, *, now: float) -> str:
    """Where this person leaves this category on this channel. `now` in Unix seconds."""
    return f"{settings.PUBLIC_URL}/u/{make(recipient, category, channel, now=now)}/"


def make(recipient: Key, category: int, channel: str, *, now: float) -> str:
    day = int(now) // _DAY_SECONDS
    return _seal.write(recipient + category.to_bytes(2, "big") + bytes((_CHANNELS[channel],)) + day.to_bytes(2, "big"))


def read(token: str, *, now: float) -> Ask | None:
    """What a token asks for; None when it is not one of ours, or too old."""
    body = _seal.read(token)
    if body is None:
        return None
    day = int.from_bytes(body[19:21], "big")
    age = int(now) // _DAY_SECONDS - day
    if age > GOOD_DAYS or body[18] not in _NAMES:
        return None
    return Ask(UUID(bytes=body[:16]), int.from_bytes(body[16:18], "big"), _NAMES[body[18]], day * _DAY_SECONDS)


def _key(secret: str) -> bytes:
    return salted_hmac(key_salt="carillon.unsubscribe", value="", secret=secret, algorithm="sha256").digest()


_seal = Seal(_key, body=21)
LENGTH = _seal.length
