"""Whose feed it is: decided here, from a session or a feed token, never from what the browser asks for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, parse_cookie
from django.utils import timezone

from channels_app.models import FeedCursor
from preferences.models import Recipient
from preferences.visiting import SESSION_KEY, external_id_of

__all__ = ["SESSION_KEY", "FeedToken", "Identity", "from_request", "from_token", "issue_token"]

#: A purpose of its own, so that no other signed value passes for a feed token. The separator is one that a
#: `Sec-WebSocket-Protocol` value may contain (RFC 9110, token), where a token travels.
_signer = signing.TimestampSigner(salt="carillon.feed-token", sep=".")

_NEXT_GENERATION = """
    INSERT INTO channels_app_feedcursor AS c (recipient_id, last_seq, version, token_generation) VALUES (%s, 0, 0, 1)
    ON CONFLICT (recipient_id) DO UPDATE SET token_generation = c.token_generation + 1
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """A recipient who is here in person. Stands as `request.user` in the feed API.

    What says so runs out: a feed token at `until` (Unix time; 0.0 for a session), or with its `generation`; a session
    when it ends.
    """

    recipient_id: UUID
    external_id: str
    is_authenticated: bool = True
    until: float = field(default=0.0, compare=False)
    session_key: str = field(default="", compare=False, repr=False)
    generation: int = field(default=0, compare=False)

    @property
    def claim(self) -> "Claim":
        return Claim(self.recipient_id, self.until, self.session_key, self.generation)


@dataclass(frozen=True, slots=True)
class FeedToken:
    token: str
    expires_at: datetime


def issue_token(recipient_id: UUID) -> FeedToken:
    """A token for one recipient's feed, good for FEED_TOKEN_SECONDS. The service that asks hands it to its page."""
    expires_at = timezone.now() + timedelta(seconds=settings.FEED_TOKEN_SECONDS)
    cursor = FeedCursor.objects.filter(recipient_id=recipient_id)
    generation = cursor.values_list("token_generation", flat=True).first() or 0
    return FeedToken(_signer.sign_object({"r": str(recipient_id), "g": generation}), expires_at)


def revoke_tokens(recipient_id: UUID) -> None:
    """End every feed token of a person that was issued until now. The next one is of another generation."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_GENERATION, [recipient_id])


def from_token(token: str) -> Identity | None:
    """Who a token speaks for; None when it is forged, expired, or its recipient is gone."""
    try:
        claims = _signer.unsign_object(token, max_age=settings.FEED_TOKEN_SECONDS)
        recipient_id = UUID(claims["r"])
        generation = int(claims["g"])
        issued_at = signing.b62_decode(token.rsplit(_signer.sep, 2)[1])
    except (signing.BadSignature, AttributeError, KeyError, TypeError, ValueError):
        return None
    return find_all([Claim(recipient_id, float(issued_at + settings.FEED_TOKEN_SECONDS), "", generation)])[0]


@dataclass(frozen=True, slots=True)
class Claim:
    """What let somebody in before: a token of a generation that runs out at `until`, or a session."""

    recipient_id: UUID
    until: float
    session_key: str
    generation: int


def find_all(claims: Sequence[Claim | None]) -> list[Identity | None]:
    """Who they are, where what let them in holds yet: the token's time, the session, the recipient. One query for all,
    and one for each session."""
    now = time.time()
    tokens = {claim.recipient_id for claim in claims if claim is not None and not claim.session_key}
    found = _with_generation().filter(id__in=tokens) if tokens else ()
    people = {id: (external_id, generation) for id, external_id, generation in found}

    def who(claim: Claim | None) -> Identity | None:
        if claim is None or 0 < claim.until <= now:
            return None
        if claim.session_key:
            of_session = from_session(_stored_session(claim.session_key))
            return of_session if of_session is not None and of_session.recipient_id == claim.recipient_id else None
        name, generation = people.get(claim.recipient_id, ("", -1))
        if generation != claim.generation:
            return None
        return Identity(claim.recipient_id, name, until=claim.until, generation=generation)

    return [who(claim) for claim in claims]


def from_request(request: HttpRequest) -> Identity | None:
    return from_session(request.session)


def from_session(session: SessionBase) -> Identity | None:
    """The recipient a session names, else the one whose external id is the signed-in user's name."""
    external_id = external_id_of(session)
    return _found(external_id=external_id, session_key=session.session_key or "") if external_id else None


def from_headers(headers: Mapping[bytes, bytes]) -> Identity | None:
    """The recipient of a socket's session cookie."""
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    return from_session(_stored_session(key))


def _found(*, external_id: str, session_key: str) -> Identity | None:
    found = Recipient.objects.filter(external_id=external_id).values_list("id", "external_id").first()
    return Identity(*found, session_key=session_key) if found else None


def _with_generation() -> "QuerySet[Recipient, tuple[UUID, str, int]]":
    """Recipients as (id, external id, generation of their tokens)."""
    cursor = FeedCursor.objects.filter(recipient_id=OuterRef("pk")).values("token_generation")
    named = Recipient.objects.annotate(generation=Coalesce(Subquery(cursor), 0))
    return named.values_list("id", "external_id", "generation")


def _stored_session(key: str) -> SessionBase:
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    return cast(SessionBase, store(key))
