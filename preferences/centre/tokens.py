"""The last part of an address of the preference centre: whose, since when, and our signature. No row is kept for it.

    recipient id (16 bytes) | when it was made, in Unix seconds (5, big-endian) | MAC (core.sealing)

as base64url: 48 characters without padding. There are three kinds, with keys of their own, so none passes for another:
the way to one's choices, which stands in messages and is good for PREFERENCES_LINK_DAYS; the way to one's data, to take
along or erase, which is sent to the person who asks and is good for half an hour; and the confirmation of an address,
which is sent there and is good for a day. The last two name a SentLink instead of a recipient, so that they work once.
"""

from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from core.ids import Key
from core.sealing import Seal

#: How long the way to one's data works: long enough to find the message that brings it.
DATA_SECONDS = 30 * 60
#: How long an address can be confirmed.
EMAIL_SECONDS = 24 * 3600
_DAY_SECONDS = 86_400
#: A clock that is behind the one of the process that made a link.
_SKEW_SECONDS = 60


def address(recipient: Key, *, now: float) -> str:
    """Where this person says what they want. `now` in Unix seconds."""
    return f"{settings.PUBLIC_URL}/preferences/{make(recipient, now=now)}/"


def make(recipient: Key, *, now: float) -> str:
    return _choices.write(_body(recipient, now))


def read(token: str, *, now: float) -> UUID | None:
    """Whose choices a token leads to; None when it is not one of ours, or too old."""
    return _whose(_choices.read(token), settings.PREFERENCES_LINK_DAYS * _DAY_SECONDS, now)


def make_data(link: Key, *, now: float) -> str:
    return _data.write(_body(link, now))


def read_data(token: str, *, now: float) -> UUID | None:
    """Which SentLink leads to somebody's data; None when it is not one of ours, or older than DATA_SECONDS."""
    return _whose(_data.read(token), DATA_SECONDS, now)


def make_email(link: Key, *, now: float) -> str:
    return _email.write(_body(link, now))


def read_email(token: str, *, now: float) -> UUID | None:
    """Which SentLink confirms an address; None when it is not one of ours, or older than EMAIL_SECONDS."""
    return _whose(_email.read(token), EMAIL_SECONDS, now)


def _body(recipient: Key, now: float) -> bytes:
    return recipient + int(now).to_bytes(5, "big")


def _whose(body: bytes | None, good_seconds: int, now: float) -> UUID | None:
    if body is None:
        return None
    age = now - int.from_bytes(body[16:], "big")
    return UUID(bytes=body[:16]) if -_SKEW_SECONDS <= age <= good_seconds else None


def _choices_key(secret: str) -> bytes:
    return salted_hmac(key_salt="carillon.preferences", value="", secret=secret, algorithm="sha256").digest()


def _data_key(secret: str) -> bytes:
    return salted_hmac(key_salt="carillon.personal-data", value="", secret=secret, algorithm="sha256").digest()


def _email_key(secret: str) -> bytes:
    return salted_hmac(key_salt="carillon.confirm-email", value="", secret=secret, algorithm="sha256").digest()


_choices = Seal(_choices_key, body=21)
_data = Seal(_data_key, body=21)
_email = Seal(_email_key, body=21)
LENGTH = _choices.length
