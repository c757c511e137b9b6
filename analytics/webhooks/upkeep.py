"""What must happen to webhook messages from time to time: a sweep for those that nothing reaches, and retention."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now
from django.utils import timezone

from analytics.webhooks.listener import CHANNEL, schedule
from analytics.webhooks.models import WebhookEndpoint
from core import ids, metrics
from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications import messaging
from notifications.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

_RESCUED = metrics.counter("webhook_rescues_total", "Webhook messages that nothing would have sent any more.")

#: Messages put back by one sweep: the next goes on.
PAGE = 20_000
#: Rows deleted in one statement, and statements in one call: the next call goes on.
BATCH = 5_000
BATCHES = 20
#: A deleted endpoint's row stays for so long. Others may not have heard of it (`known.KEEP_SECONDS`) and still write
#: messages to it: without the row, what they record in the same transaction, sends among it, would fail with them.
STAYS = timedelta(hours=1)

_STRANDED = """
    SELECT id FROM analytics_webhookmessage
     WHERE status IN ('queued', 'sending') AND id < $1 AND (status = 'queued' OR lease_until < now())
    EXCEPT
    SELECT unnest(delivery_ids) FROM notifications_outbox WHERE channel = $2
     LIMIT $3
"""
_OLD = """
    SELECT id FROM analytics_webhookmessage
     WHERE id < %(before)s AND status NOT IN ('queued', 'sending') ORDER BY id LIMIT %(limit)s
"""
_OF_ENDPOINT = "SELECT id FROM analytics_webhookmessage WHERE endpoint_id = %(endpoint)s ORDER BY id LIMIT %(limit)s"
_DELETE = """
    WITH old AS MATERIALIZED ({which}), log AS (
        DELETE FROM analytics_webhookattempt WHERE message_id IN (SELECT id FROM old))
    DELETE FROM analytics_webhookmessage WHERE id IN (SELECT id FROM old)
"""


class Sweeper:
    """Finds what has not ended, is older than `settings.RECONCILE_AFTER_SECONDS` and neither in the outbox, nor in a
    worker's hands, nor maybe in the broker. A worker may have taken a message from the broker and not begun it yet: so
    only what was found before, too, is put back. In calm weather that is nothing.
    """

    def __init__(self) -> None:
        self._suspects: set[Key] = set()

    def step(self) -> int:
        """How many were put back. Under an advisory lock: a second maintenance process finds it taken."""
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('carillon.webhooks'))")
            found = self._stranded(cursor) if cursor.fetchone()[0] else set()
            lost, self._suspects = found & self._suspects, found - self._suspects
            if lost:
                schedule(sorted(lost))
        if lost:
            _RESCUED.inc(by=len(lost))
            log.warning("webhooks.rescued", messages=len(lost))
        return len(lost)

    def _stranded(self, cursor: CursorWrapper) -> set[Key]:
        before = ids.floor(timezone.now() - timedelta(seconds=settings.RECONCILE_AFTER_SECONDS))
        cursor.execute(_STRANDED, [before, CHANNEL, PAGE])
        found = {row[0] for row in cursor.fetchall()}
        return set() if found and _broker_may_have_them() else found


_sweeper = Sweeper()


def sweep() -> int:
    """A step of this process's sweeper, for `run_maintenance`."""
    return _sweeper.step()


def _broker_may_have_them() -> bool:
    try:
        return any(depth for (channel, _), depth in messaging.depths().items() if channel == CHANNEL)
    except BrokerUnavailable:
        return True


def purge() -> int:
    """Delete messages older than `settings.WEBHOOK_RETENTION_DAYS` (0: none) that have ended, and those of deleted
    endpoints, with their log, STAYS after these were deleted; how many. Bounded: the next call goes on."""
    deleted = 0
    if days := settings.WEBHOOK_RETENTION_DAYS:
        deleted += _delete(_OLD, {"before": ids.floor(timezone.now() - timedelta(days=days))})
    for endpoint in WebhookEndpoint.objects.filter(deleted_at__lt=Now() - STAYS).order_by("deleted_at")[:BATCHES]:
        found = _delete(_OF_ENDPOINT, {"endpoint": endpoint.id})
        deleted += found
        if found < BATCH * BATCHES:
            endpoint.delete()
    return deleted


def _delete(which: str, parameters: Mapping[str, UUID]) -> int:
    deleted = 0
    for _ in range(BATCHES):
        with connection.cursor() as cursor:
            cursor.execute(_DELETE.format(which=which), {**parameters, "limit": BATCH})
            found = cursor.rowcount
        deleted += found
        if found < BATCH:
            break
    return deleted
