"""Who listens to which source, in memory: asked for every batch that is recorded, and nearly always nobody."""

import time
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from django.db import connection

#: A new endpoint, and one that is changed or off, is known everywhere after this long; it costs a query a process.
KEEP_SECONDS = 5.0

# A revoked key is out: whoever had it may have named the endpoint.
_LISTENING = """
    SELECT key.prefix, endpoint.id, endpoint.events
      FROM analytics_webhookendpoint endpoint
      JOIN analytics_webhookendpoint_keys theirs ON theirs.webhookendpoint_id = endpoint.id
      JOIN notifications_apikey key ON key.id = theirs.apikey_id
     WHERE endpoint.is_on AND key.revoked_at IS NULL
"""


class Listening(NamedTuple):
    """An endpoint and the kinds of events it wants; none given: all."""

    id: UUID
    events: frozenset[str]

    def wants(self, type: str) -> bool:
        return not self.events or type in self.events


class Known:
    """Endpoints by source, `api:<prefix>`; read again when older than KEEP_SECONDS."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._by_source: Mapping[str, tuple[Listening, ...]] = {}

    def by_source(self) -> Mapping[str, tuple[Listening, ...]]:
        now = time.monotonic()
        if now - self._read_at >= KEEP_SECONDS:
            self._by_source = _read()
            self._read_at = now
        return self._by_source

    def expire(self) -> None:
        """Read again at the next call: this process has changed something."""
        self._read_at = float("-inf")

    def assume_nobody(self) -> None:
        """Nobody listens until the next reading. For tests."""
        self._by_source, self._read_at = {}, time.monotonic()


def _read() -> Mapping[str, tuple[Listening, ...]]:
    found: dict[str, tuple[Listening, ...]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LISTENING)
        for prefix, id, events in cursor.fetchall():
            source = f"api:{prefix}"
            found[source] = (*found.get(source, ()), Listening(id, frozenset(events)))
    return found


#: Shared by everything in the process.
known = Known()
