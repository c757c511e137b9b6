"""Telling open sockets. Costs nothing for people who have none: one PUBSUB NUMSUB asks for a whole batch.

Works on the names of the pub/sub channel layer, over the ordinary Redis client: two round trips for any number of
people, from synchronous code, without an event loop. Redis down: nobody is told, and the sockets find what they missed
in the table at their next ping.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import structlog
from channels.layers import get_channel_layer
from django.conf import settings

from core import redis

log = structlog.get_logger(__name__)


def group(recipient_id: UUID) -> str:
    """The channel layer's group of one person's sockets."""
    return f"feed.{recipient_id.hex}"


def watched(recipients: Collection[UUID]) -> set[UUID]:
    """Those of the recipients who have a socket open in any web process."""
    ids = list(recipients)
    if not ids:
        return set()
    try:
        answer = redis.client().pubsub_numsub(*map(_redis_channel, ids))
    except redis.RedisError as error:
        log.warning("feed.presence_unknown", error=type(error).__name__)
        return set()
    return {id for id, (_, sockets) in zip(ids, answer, strict=True) if sockets}


def publish(messages: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Send each person's sockets one message, in one round trip; serialized once however many tabs there are."""
    if not messages:
        return
    layer = get_channel_layer()
    try:
        pipeline = redis.client().pipeline(transaction=False)
        for recipient_id, message in messages.items():
            addressed = {**message, "to": recipient_id.bytes}  # see `channels_app.hub`
            pipeline.publish(_redis_channel(recipient_id), layer.serialize(addressed))
        pipeline.execute()
    except redis.RedisError as error:
        log.warning("feed.publish_failed", recipients=len(messages), error=type(error).__name__)


def end(recipient_id: UUID, *, session_key: str = "") -> None:
    """Close a person's sockets: those of one session that ended, or all. Without Redis they notice at a
    ping within the next minute or so (`limits.RESYNC_SECONDS`)."""
    publish({recipient_id: {"type": "feed.ended", "session": mark(session_key)}})


def end_tokens(recipient_id: UUID) -> None:
    """Close those of a person's sockets that a feed token opened: their tokens were revoked. Otherwise as `end`."""
    publish({recipient_id: {"type": "feed.revoked"}})


def mark(session_key: str) -> str:
    """What stands for a session in a message: it says which one, and opens nothing."""
    return hashlib.sha256(session_key.encode()).hexdigest() if session_key else ""


def _redis_channel(recipient_id: UUID) -> str:
    """Where RedisPubSubChannelLayer listens for a group; a test holds this against a real socket."""
    layers: Any = settings.CHANNEL_LAYERS
    return f"{layers['default']['CONFIG']['prefix']}__group__{group(recipient_id)}"
