"""Telling again what was told before, or could not be: with the same `webhook-id`, so that who has it already knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from analytics.webhooks.listener import schedule
from analytics.webhooks.models import WebhookEndpoint
from core import ids
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.choices import Priority

#: Messages put back by one call; whoever has more asks again.
MAX_MESSAGES = 5_000

# A fresh set of attempts: those made before count as holds. What has not ended is on its way already.
_REPLAY = """
    UPDATE analytics_webhookmessage
       SET status = 'queued', holds = attempts, lease_until = NULL, end_reason = '', ended_at = NULL, replayed_by = $2
     WHERE id = ANY($1::uuid[]) AND endpoint_id = $3 AND status IN ('delivered', 'failed')
 RETURNING id
"""
_FAILED = """
    SELECT id FROM analytics_webhookmessage
     WHERE endpoint_id = $1 AND status = 'failed' AND id >= $2 AND id < $3 ORDER BY id LIMIT $4
"""


class Replayed(NamedTuple):
    """How many went back, and whether there are more of the kind that was asked for."""

    messages: int
    more: bool


def replay(endpoint: WebhookEndpoint, messages: Sequence[UUID], *, by: str) -> int:
    """Put these back, whether they had failed or were delivered; how many there were. At most MAX_MESSAGES. They
    travel in the low lane: news come first. An endpoint that is off gets nothing, and they fail again."""
    if len(messages) > MAX_MESSAGES:
        raise ValueError(f"At most {MAX_MESSAGES} messages at a time.")
    if not messages:
        return 0
    with transaction.atomic(), direct_cursor() as cursor:
        cursor.execute(_REPLAY, [KeyArray.of(ids.keys_of(messages)), by[:150], endpoint.id])
        back = [row[0] for row in cursor.fetchall()]
        schedule(sorted(back), Priority.LOW.value)
    return len(back)


def replay_failed(endpoint: WebhookEndpoint, since: datetime, until: datetime, *, by: str) -> Replayed:
    """Put back what failed of the events from `since` up to `until`, oldest first, MAX_MESSAGES at most."""
    with direct_cursor() as cursor:
        cursor.execute(_FAILED, [endpoint.id, ids.floor(since), ids.floor(until), MAX_MESSAGES + 1])
        found = [ids.uuid(row[0]) for row in cursor.fetchall()]
    return Replayed(replay(endpoint, found[:MAX_MESSAGES], by=by), len(found) > MAX_MESSAGES)
