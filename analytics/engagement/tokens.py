"""The last part of a tracked address: whose message, which link, and our signature. No row is kept per message.

    delivery id (16 bytes) | link id (5, big-endian; 0 is the pixel) | MAC (6) | the rest of the address, if any

as base64url: 36 characters, and more only where a rest is carried. The MAC is keyed BLAKE2b over everything else. Its
48 bits are guessed online or not at all, which at a thousand tries a second takes thousands of years; and what a guess
wins is a click too many, never a destination of the guesser's choice, since that starts with a stored address.
"""

import binascii
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from django.conf import settings
from django.utils.crypto import salted_hmac

from core.ids import Key

#: Of a token without a rest.
LENGTH = 36
#: A token is looked at up to this length: browsers and proxies take addresses of 2,048 characters everywhere.
MAX_LENGTH = 2_048
PIXEL = bytes(5)

_ID, _LINK, _MAC = 16, 5, 6
_HEAD = _ID + _LINK + _MAC
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/\x00\x00")  # what the standard alphabet writes is not ours


class Token(NamedTuple):
    """What a genuine token says: `link` is 5 bytes, `rest` what follows the stored address."""

    delivery: Key
    link: bytes
    rest: bytes


class Tokens:
    """Makes tokens with one secret, and reads those made with it or with one it replaced."""

    def __init__(self, secret: str, fallbacks: tuple[str, ...] = ()) -> None:
        self._keyed = [blake2b(key=_key(one), digest_size=_MAC) for one in (secret, *fallbacks)]
        self._fresh = self._keyed[0].copy

    def make(self, delivery: Key, link: bytes, rest: bytes = b"") -> str:
        """The token of a link in a message."""
        mac = self._fresh()
        mac.update(delivery + link + rest)
        raw = delivery + link + mac.digest() + rest
        text = binascii.b2a_base64(raw, newline=False).translate(_TO_URL)
        return (text.rstrip(b"=") if rest else text).decode()

    def read(self, text: str) -> Token | None:
        """What a token says; None when it is not one of ours, whatever is wrong with it."""
        if not LENGTH <= len(text) <= MAX_LENGTH or not text.isascii():
            return None
        try:
            raw = binascii.a2b_base64(text.encode().translate(_FROM_URL) + b"=" * (-len(text) % 4), strict_mode=True)
        except ValueError:
            return None
        delivery, link, given, rest = raw[:_ID], raw[_ID : _ID + _LINK], raw[_ID + _LINK : _HEAD], raw[_HEAD:]
        for keyed in self._keyed:
            mac = keyed.copy()
            mac.update(delivery + link + rest)
            if compare_digest(mac.digest(), given):
                return Token(delivery, link, rest)
        return None


def _key(secret: str) -> bytes:
    return salted_hmac(key_salt="carillon.engagement", value="", secret=secret, algorithm="sha256").digest()


def tokens() -> Tokens:
    """Those of this installation."""
    return _tokens(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


_tokens = lru_cache(maxsize=8)(Tokens)
