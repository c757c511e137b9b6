"""API keys: `ck_<mode>_<prefix>_<secret>`. The plaintext exists once, in the answer of `issue`.

The secret has 190 bits, so a plain SHA-256 at rest is enough: there is nothing to guess that a slow hash would protect.
Keys are looked up in PostgreSQL on every request, so a revoked key is refused at once.
"""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.utils import timezone

from notifications.errors import CarillonError
from notifications.models import ApiKey
from notifications.models.api_key import KeyMode, Scope

PREFIX_LENGTH = 12  # of 36 characters: 62 bits, unique without trying
SECRET_LENGTH = 32  # of 62 characters: 190 bits
#: `last_used_at` answers "is this key still in use?"; a minute is close enough and spares a write per request.
USED_RESOLUTION = timedelta(minutes=1)

_PREFIX_ALPHABET = string.ascii_lowercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits
_SHAPE = re.compile(r"ck_(live|test)_([a-z0-9]{1,16})_([A-Za-z0-9]{22,128})")


class InvalidKey(CarillonError):
    """The text is not a key that may be used now; the message says why without saying more than the caller knows."""


def issue(
    name: str,
    mode: KeyMode = KeyMode.LIVE,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    owner: AbstractBaseUser | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; returns the row and the plaintext, which cannot be had again. No scopes given means all of them.
    `owner` is whom it acts as with campaigns; without one it can only read them.

    Raises ValueError for an unknown scope.
    """
    granted = list(scopes) or list(Scope.values)
    if unknown := set(granted) - set(Scope.values):
        raise ValueError(f"Unknown scope: {', '.join(sorted(unknown))}. Known: {', '.join(Scope.values)}.")
    prefix = _random(_PREFIX_ALPHABET, PREFIX_LENGTH)
    secret = _random(_SECRET_ALPHABET, SECRET_LENGTH)
    key = ApiKey.objects.create(
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        mode=mode,
        scopes=granted,
        expires_at=expires_at,
        owner_id=owner.pk if owner else None,
    )
    return key, f"ck_{KeyMode(mode).value}_{prefix}_{secret}"


def revoke(key: ApiKey) -> None:
    """From now on the key is refused; revoking twice keeps the first time."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db(fields=["revoked_at"])


def authenticate(plaintext: str) -> ApiKey:
    """The key behind the text. Raises InvalidKey."""
    shape = _SHAPE.fullmatch(plaintext)
    if shape is None:
        raise InvalidKey("This is not an API key.")
    mode, prefix, secret = shape.groups()
    key = ApiKey.objects.filter(prefix=prefix, mode=mode).first()
    # Compared against something even when there is no such prefix, so that the time taken tells nothing.
    matches = hmac.compare_digest(_hash(secret), key.secret_hash if key else _hash(""))
    if key is None or not matches:
        raise InvalidKey("The API key is not known.")
    now = timezone.now()
    if key.revoked_at is not None:
        raise InvalidKey("The API key was revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise InvalidKey("The API key has expired.")
    _touch(key, now)
    return key


def _touch(key: ApiKey, now: datetime) -> None:
    """Note the use, at most once a minute; of several at once, one writes."""
    stale = now - USED_RESOLUTION
    if key.last_used_at is None or key.last_used_at <= stale:
        ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lte=stale), pk=key.pk).update(last_used_at=now)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
