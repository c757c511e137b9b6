"""Looks at the record again and again during a run: everything accepted is there, and everything open is reachable."""

import subprocess
import threading
from collections import Counter
from typing import Any

import psycopg

from tests.faults.client import Book
from tests.faults.servers import Rabbit
from tests.faults.stack import Stack

#: Outbox and broker cannot be looked at together, and work that waits for a provider goes round between them.
#: A delivery is lost when it is found in neither this often in a row, some two seconds apart.
IN_A_ROW = 5
#: Of the deliveries that are open: which are neither in the outbox nor under a lease, and have been so for longer than
#: the broker or, in the end, the reconciler needs to bring them back; with their lanes. The broker may still have them.
_LOST = """
    SELECT d.id, d.channel || '.' || d.priority
      FROM notifications_delivery d
     WHERE d.status IN ('queued', 'sending')
       AND (d.lease_until IS NULL OR d.lease_until < now() - %(bound)s * interval '1 second')
       AND d.created_at < now() - %(bound)s * interval '1 second'
       AND NOT EXISTS (SELECT FROM notifications_outbox o WHERE d.id = ANY(o.delivery_ids))
       AND NOT EXISTS (SELECT FROM notifications_deliveryevent e
                        WHERE e.delivery_id = d.id AND e.at > now() - %(bound)s * interval '1 second')
"""
_MISSING = "SELECT id FROM unnest(%s::uuid[]) AS id EXCEPT SELECT id FROM notifications_notification"


class Sampler:
    """A look every half second, each one snapshot. `faults` must stay empty."""

    def __init__(self, stack: Stack, rabbit: Rabbit, book: Book, *, bound: float) -> None:
        self.looks = 0
        self.faults: list[str] = []
        self._stack, self._rabbit, self._book, self._bound = stack, rabbit, book, bound
        self._seen = 0
        self._suspects: Counter[tuple[Any, ...]] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def leave(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            known = self._book.accepted[:]  # answered before the snapshot is taken
            try:
                with self._stack.connect() as connection, connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    missing = connection.execute(_MISSING, [[a.id for a in known[self._seen :]]]).fetchall()
                    lost = set(connection.execute(_LOST, {"bound": self._bound}).fetchall())
            except psycopg.Error:
                continue  # killed at this moment; the next look covers what this one would have
            self._seen = len(known)
            self.looks += 1
            self.faults += [f"{row[0]} was accepted and is not on the record" for row in missing]
            self._suspect(self._gone(lost))

    def _suspect(self, gone: set[tuple[Any, ...]]) -> None:
        self._suspects = Counter({one: self._suspects[one] + 1 for one in gone})
        found = [one for one, times in self._suspects.items() if times == IN_A_ROW]
        self.faults += [f"{id} ({lane}) is open, and nothing would ever send it" for id, lane in found]

    def _gone(self, lost: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
        """Those that are not in the broker either, nor on their way since they were looked at."""
        if not lost:
            return lost
        try:
            holding = self._rabbit.holding()
            again = self._stack.query(_LOST % {"bound": self._bound})
        except (psycopg.Error, AssertionError, subprocess.TimeoutExpired):
            return set()  # one of them is down at this moment; the next look asks again
        prefix = self._stack.environment["BROKER_PREFIX"]
        return {(id, lane) for id, lane in lost.intersection(again) if f"{prefix}.{lane}" not in holding}
