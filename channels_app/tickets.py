"""A ticket opens one socket: once, within a minute, for whoever asked for it with a feed token or a session.

It lies in Redis under its hash and is taken out as it is used (GETDEL), so of two who come with the same ticket one
gets in. Without Redis none is issued and none is taken: no socket could open then anyhow, since the channel layer is
Redis, and the client asks the API until it is back.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from django.utils import timezone

from channels_app import identity
from channels_app.identity import Claim, Identity
from core import redis

#: Time to open a socket in after asking. Whoever reads a ticket later, in a log or a dump, reads waste.
LIFETIME = timedelta(seconds=60)
_BYTES = 32  # 256 bits


@dataclass(frozen=True, slots=True)
class Ticket:
    ticket: str
    expires_at: datetime


def issue(who: Identity) -> Ticket:
    """A ticket for one socket of theirs, which lasts no longer than what `who` came with. Raises RedisError."""
    ticket = secrets.token_urlsafe(_BYTES)
    holder = orjson.dumps(
        {
            "recipient": who.recipient_id,
            "until": who.until,
            "session": who.session_key,
            "generation": who.generation,
        }
    )
    expires_at = timezone.now() + LIFETIME
    redis.client().set(_key(ticket), holder, px=LIFETIME)
    return Ticket(ticket, expires_at)


def redeem(ticket: str) -> Identity | None:
    """Who may open a socket with it, the first time; None ever after, and for what is no ticket. Raises RedisError."""
    return redeem_all([ticket])[0]


def redeem_all(offered: Sequence[str]) -> list[Identity | None]:
    """The same for several, in their order."""
    pipeline = redis.client().pipeline(transaction=False)
    for ticket in offered:
        pipeline.getdel(_key(ticket))
    found: list[bytes | None] = pipeline.execute()
    holders = [orjson.loads(held) if held is not None else None for held in found]
    return identity.find_all(
        [
            holder and Claim(UUID(holder["recipient"]), holder["until"], holder["session"], holder["generation"])
            for holder in holders
        ]
    )


def _key(ticket: str) -> str:
    return redis.key("feed-ticket", hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest())
