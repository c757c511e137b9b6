"""Read queries: how endpoints do, and what they were told."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from analytics.webhooks.models import WebhookEndpoint, WebhookMessage
from core import ids

#: Messages of one endpoint that are counted; above that there are more.
COUNTED = 10_000
#: Of an endpoint's page.
RECENT = 12

# Endpoint by endpoint along the index, so that what is read is bounded however busy one was.
_DAY = """
    SELECT one.id, count(*) FILTER (WHERE few.status = 'delivered'), count(*) FILTER (WHERE few.status = 'failed'),
           count(*) FILTER (WHERE few.status IN ('queued', 'sending'))
      FROM unnest(%(endpoints)s::uuid[]) AS one (id)
      LEFT JOIN LATERAL (
           SELECT status FROM analytics_webhookmessage m
            WHERE m.endpoint_id = one.id AND m.id >= %(since)s ORDER BY m.id DESC LIMIT %(most)s) few ON true
     GROUP BY one.id
"""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of an endpoint's messages of the last 24 hours, of the newest COUNTED."""

    delivered: int = 0
    failed: int = 0
    waiting: int = 0

    @property
    def all(self) -> int:
        return self.delivered + self.failed + self.waiting

    @property
    def words(self) -> str:
        if not self.all:
            return "—"
        said = [f"{self.delivered:,} delivered"]
        said += [f"{self.failed:,} failed"] if self.failed else []
        said += [f"{self.waiting:,} waiting"] if self.waiting else []
        return ", ".join(said) + (" of the newest" if self.all >= COUNTED else "")


def last_day(endpoints: Collection[UUID]) -> dict[UUID, Tally]:
    """By endpoint; each that was asked for is there."""
    found = dict.fromkeys(endpoints, Tally())
    if endpoints:
        since = ids.floor(timezone.now() - timedelta(days=1))
        with connection.cursor() as cursor:
            cursor.execute(_DAY, {"endpoints": list(endpoints), "since": since, "most": COUNTED})
            found.update((row[0], Tally(*row[1:])) for row in cursor.fetchall())
    return found


def recent(endpoint: WebhookEndpoint) -> list[WebhookMessage]:
    """The newest messages."""
    return list(WebhookMessage.objects.filter(endpoint=endpoint).order_by("-id")[:RECENT])
