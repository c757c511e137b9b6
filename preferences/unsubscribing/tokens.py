"""The last part of an unsubscribe address: who, from what, on which channel, since when, and our signature. No row is
kept for it.

    recipient id (16 bytes) | category id (2, big-endian) | channel (1) | day it was made (2) | MAC (15)

as base64url: 48 characters without padding. The MAC is keyed BLAKE2b over everything else: 120 bits, since a guess
would act in somebody's name.
"""

import binascii
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from core.ids import Key
from preferences.choices import Channel

LENGTH = 48
#: How long a message's way out works; a law of several countries asks for a month.
GOOD_DAYS = 366
#: Numbers that stand in addresses for ever: add, never renumber.
_CHANNELS = {Channel.EMAIL.value: 1, Channel.SMS.value: 2, Channel.PUSH.value: 3, Channel.IN_APP.value: 4}
_NAMES = {number: channel for channel, number in _CHANNELS.items()}
_BODY, _MAC = 21, 15
_DAY_SECONDS = 86_400
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/\x00\x00")  # what the standard alphabet writes is not ours


class Ask(NamedTuple):
    """What a genuine token asks for."""

    recipient: UUID
    category: int
    channel: str


def address(recipient: Key, category: int, channel: str, *, now: float) -> str:
    """Where this person leaves this category on this channel. `now` in Unix seconds."""
    return f"{settings.PUBLIC_URL}/u/{make(recipient, category, channel, now=now)}/"


def make(recipient: Key, category: int, channel: str, *, now: float) -> str:
    day = int(now) // _DAY_SECONDS
    body = recipient + category.to_bytes(2, "big") + bytes((_CHANNELS[channel],)) + day.to_bytes(2, "big")
    keyed = _all_keyed()[0].copy()
    keyed.update(body)
    return binascii.b2a_base64(body + keyed.digest(), newline=False).translate(_TO_URL).decode()


def read(token: str, *, now: float) -> Ask | None:
    """What a token asks for; None when it is not one of ours, or too old."""
    if len(token) != LENGTH or not token.isascii():
        return None
    try:
        raw = binascii.a2b_base64(token.encode().translate(_FROM_URL), strict_mode=True)
    except ValueError:
        return None
    body, given = raw[:_BODY], raw[_BODY:]
    if not any(_is_ours(body, given, keyed) for keyed in _all_keyed()):
        return None
    age = int(now) // _DAY_SECONDS - int.from_bytes(body[19:21], "big")
    if age > GOOD_DAYS or body[18] not in _NAMES:
        return None
    return Ask(UUID(bytes=body[:16]), int.from_bytes(body[16:18], "big"), _NAMES[body[18]])


def _is_ours(body: bytes, given: bytes, keyed: blake2b) -> bool:
    mac = keyed.copy()
    mac.update(body)
    return compare_digest(mac.digest(), given)


def _all_keyed() -> Sequence[blake2b]:
    """For the installation's secret and each that it replaced."""
    return _keyed(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def _keyed(secret: str, fallbacks: tuple[str, ...]) -> Sequence[blake2b]:
    return [blake2b(key=_key(one), digest_size=_MAC) for one in (secret, *fallbacks)]


def _key(secret: str) -> bytes:
    return salted_hmac(key_salt="carillon.unsubscribe", value="", secret=secret, algorithm="sha256").digest()
