"""Addresses that prove themselves: a few bytes and our signature over them, as the last part of a URL. No row is kept.

    body | MAC (15 bytes)

as base64url without padding, so a body of three times n bytes needs none. The MAC is keyed BLAKE2b over the body: 120
bits, since a guess would act in somebody's name. Each purpose brings a key of its own, made with a salt of its own:
what was sealed for one is refused for another.
"""

import binascii
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest

from django.conf import settings

MAC_BYTES = 15
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/\x00\x00")  # what the standard alphabet writes is not ours


class Seal:
    """Writes and reads the tokens of one purpose. `key` makes its key from a secret of the installation: SECRET_KEY, or
    one of those that it replaced. `body` is the length of every token's body in bytes, a multiple of three."""

    def __init__(self, key: Callable[[str], bytes], body: int) -> None:
        self._body = body
        self.length = (body + MAC_BYTES) // 3 * 4

        @lru_cache(maxsize=8)
        def keyed(secret: str, fallbacks: tuple[str, ...]) -> Sequence[blake2b]:
            return [blake2b(key=key(one), digest_size=MAC_BYTES) for one in (secret, *fallbacks)]

        self._keyed = keyed

    def write(self, body: bytes) -> str:
        """The token that says `body`."""
        mac = self._all_keyed()[0].copy()
        mac.update(body)
        return binascii.b2a_base64(body + mac.digest(), newline=False).translate(_TO_URL).decode()

    def read(self, token: str) -> bytes | None:
        """What a token says; None when it is not one of ours."""
        if len(token) != self.length or not token.isascii():
            return None
        try:
            raw = binascii.a2b_base64(token.encode().translate(_FROM_URL), strict_mode=True)
        except ValueError:
            return None
        body, given = raw[: self._body], raw[self._body :]
        return body if any(_is_ours(body, given, keyed) for keyed in self._all_keyed()) else None

    def _all_keyed(self) -> Sequence[blake2b]:
        return self._keyed(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


def _is_ours(body: bytes, given: bytes, keyed: blake2b) -> bool:
    mac = keyed.copy()
    mac.update(body)
    return compare_digest(mac.digest(), given)
