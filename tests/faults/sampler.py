"""Looks at the record again and again during a run: everything accepted is there, and everything open is reachable."""

import threading

import psycopg

from tests.faults.client import Book
from tests.faults.stack import Stack

#: Of the deliveries that are open: which are neither in the outbox nor under a lease, and have been so for longer than
#: the broker or, in the end, the reconciler needs to bring them back. What is in the broker cannot be seen from here.
_LOST = """
    SELECT d.id FROM notifications_delivery d
     WHERE d.status IN ('queued', 'sending')
       AND (d.lease_until IS NULL OR d.lease_until < now() - %(bound)s * interval '1 second')
       AND d.created_at < now() - %(bound)s * interval '1 second'
       AND NOT EXISTS (SELECT FROM notifications_outbox o WHERE d.id = ANY(o.delivery_ids))
       AND NOT EXISTS (SELECT FROM notifications_deliveryevent e
                        WHERE e.delivery_id = d.id AND e.at > now() - %(bound)s * interval '1 second')
"""
_MISSING = "SELECT id FROM unnest(%s::uuid[]) AS id EXCEPT SELECT id FROM notifications_notification"


class Sampler:
    """Ten looks in five seconds, each one snapshot. `faults` must stay empty."""

    def __init__(self, stack: Stack, book: Book, *, bound: float) -> None:
        self.looks = 0
        self.faults: list[str] = []
        self._stack, self._book, self._bound = stack, book, bound
        self._seen = 0
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
                    lost = connection.execute(_LOST, {"bound": self._bound}).fetchall()
            except psycopg.Error:
                continue  # killed at this moment; the next look covers what this one would have
            self._seen = len(known)
            self.looks += 1
            self.faults += [f"{row[0]} was accepted and is not on the record" for row in missing]
            self.faults += [f"{row[0]} is open and nothing would ever send it" for row in lost]
