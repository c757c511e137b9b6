"""Signed HTTP messages, coming and going, as Standard Webhooks has them (standardwebhooks.com, specification 1.0).

The signature is an HMAC-SHA256 over `<id>.<timestamp>.<body>`, in Base64 behind `v1,`. A secret is written
`whsec_<Base64>`. While one is exchanged for another a message carries a signature of each, and either is enough.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
#: How far a message's time may lie from ours, in seconds: what is older may be a replay.
TOLERANCE_SECONDS = 300
#: Signatures that are compared, of those a message brings.
MAX_SIGNATURES = 16


class InvalidSignature(ValueError):
    """The message is not from who has the secret, or not of now. The text says which, and quotes nothing of it."""


def new_secret() -> str:
    """A secret of 256 bits, as it is shown and stored."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secrets: Sequence[str], *, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, with a signature for each secret. Raises ValueError for what is no secret."""
    signatures = " ".join(_signature(_key(secret), id, str(timestamp), body) for secret in secrets)
    return {ID: id, TIMESTAMP: str(timestamp), SIGNATURE: signatures}


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float) -> str:
    """The message's id. `headers` by lower-case name; `body` as it came, before anything parsed it; `now` in Unix
    seconds. Raises InvalidSignature."""
    id, timestamp, given = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (id and timestamp and given):
        raise InvalidSignature("The signature's headers are missing.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidSignature("The timestamp is not a number of seconds.")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidSignature(f"The timestamp is more than {TOLERANCE_SECONDS} seconds away from now.")
    signatures = [one.encode() for one in given.split(" ")[:MAX_SIGNATURES]]
    expected = [_signature(_key(secret), id, timestamp, body).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in signatures for other in expected):
        raise InvalidSignature("The signature does not fit the body.")
    return id


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("A secret is whsec_ followed by Base64.") from None


def _signature(key: bytes, id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
