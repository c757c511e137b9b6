"""The stop button: sources whose notifications must not leave, however many of them are queued.

A worker knows the held sources, at most REFRESH_SECONDS late, and pays nothing for them while there are none. It puts
held deliveries back into the outbox unclaimed, in rows that carry their source, and a release makes exactly those due.
What a cancelled source has left is skipped by its claim; a digest with anything of it waits until that is taken out.
"""

import threading
import time
from collections.abc import Mapping, Sequence

from django.db import transaction

from core.ids import Key
from core.postgresql.direct import KeyArray, TextArray, direct_cursor
from notifications.digests.sources import SOURCE as DIGEST
from notifications.digests.sources import carried
from notifications.models import HoldKind, SourceHold
from notifications.services import tracking_sql as sql
from notifications.services.tracking_sql import of_record

#: How late a process may hear of a hold.
REFRESH_SECONDS = 1.0
#: Held deliveries are looked at again after this long, should nobody release them: two reads and a row for 500.
LOOK_AGAIN_SECONDS = 3600.0

_HOLD = """
    INSERT INTO notifications_sourcehold (source, kind) VALUES ($1, $2)
    ON CONFLICT (source) DO UPDATE SET kind = $2, at = now()
"""
#: Kept until the transaction's end, so that a release comes after what is put back here, and finds it.
_STILL_HELD = "SELECT source FROM notifications_sourcehold WHERE source = ANY($1::text[]) AND kind = 'held' FOR SHARE"
_PARK = """
    INSERT INTO notifications_outbox (channel, priority, due_at, delivery_ids, takes, held_for)
    VALUES ($1, $2, now() + $3::float8 * interval '1 second', $4::uuid[], $5::int, $6)
"""
_RELEASE = "UPDATE notifications_outbox SET due_at = now(), held_for = NULL WHERE held_for = $1"


class Holds:
    """What this process knows of held sources. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._kinds: Mapping[str, str] = {}

    def kinds(self) -> Mapping[str, str]:
        """A HoldKind by source, mostly none. Raises django.db.Error when PostgreSQL is away."""
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            with self._lock:
                if time.monotonic() - self._read_at >= REFRESH_SECONDS:
                    self._kinds = dict(SourceHold.objects.values_list("source", "kind"))
                    self._read_at = time.monotonic()
        return self._kinds

    def cancelled(self) -> frozenset[str]:
        """The sources of which nothing is sent any more."""
        return frozenset(source for source, kind in self.kinds().items() if kind == HoldKind.CANCELLED)

    def held(self) -> frozenset[str]:
        """The sources of which nothing is sent for now."""
        return frozenset(source for source, kind in self.kinds().items() if kind == HoldKind.HELD)

    def forget(self) -> None:
        """Read again at the next call."""
        self._read_at = float("-inf")

    def park(self, deliveries: Sequence[Key], lane: tuple[str, str], *, alone: bool = False) -> Sequence[Key]:
        """Put back what belongs to held sources, digests with anything of theirs among it; the deliveries that may go
        on. `lane` is (channel, priority)."""
        held = self.held()
        if not held:
            return deliveries
        with transaction.atomic(), direct_cursor() as cursor:
            owners = of_record(cursor, sql.OWNERS, deliveries)
            sources = of_record(cursor, sql.SOURCES, {row[1] for row in owners.values()})
            of_digests = {id for id, (_, source) in sources.items() if source.startswith(DIGEST)}
            parts = carried(cursor, of_digests, held)
            theirs: dict[str, list[Key]] = {}
            for id, row in owners.items():
                source = parts.get(row[1]) or (sources[row[1]][1] if row[1] in sources else "")
                if source in held:
                    theirs.setdefault(source, []).append(id)
            if not theirs:
                return deliveries
            cursor.execute(_STILL_HELD, [TextArray.of(theirs)])
            parked: set[Key] = set()
            for (source,) in cursor.fetchall():
                ids = theirs[source]
                cursor.execute(_PARK, [*lane, LOOK_AGAIN_SECONDS, KeyArray.of(ids), int(alone), source])
                parked.update(ids)
        return [id for id in deliveries if id not in parked]


def hold(source: str, kind: HoldKind) -> None:
    """From the commit on nothing of this source leaves: for now, or ever."""
    with direct_cursor() as cursor:
        cursor.execute(_HOLD, [source, kind.value])


def release(source: str) -> None:
    """Let it leave again, what was put back first."""
    with transaction.atomic(), direct_cursor() as cursor:
        cursor.execute("DELETE FROM notifications_sourcehold WHERE source = $1", [source])
        cursor.execute(_RELEASE, [source])


#: One for the process.
holds = Holds()
