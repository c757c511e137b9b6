"""A running Carillon with one lane at work, and a client that goes on posting."""

import time

from tests.faults import ledger
from tests.faults.books import read_calls, read_record
from tests.faults.client import Client
from tests.faults.stack import Stack

#: An answer that took longer would have been held up by what it must not know of.
PROMPT = 2.0


class Flow:
    """Posts to twenty people in turn, by email, and closes the books at the end."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self.stack, self.client = stack, client
        self._sent = 0

    def post(self, count: int) -> None:
        """Each is accepted at the first try, promptly."""
        retries = self.client.book.retries
        for _ in range(count):
            began = time.monotonic()
            self.client.send(f"person-{self._sent % 20}")
            assert time.monotonic() - began < PROMPT
            self._sent += 1
        assert self.client.book.retries == retries

    def expect(self, count: int) -> None:
        """So many more were accepted by others than `post`."""
        self._sent += count

    def waiting(self) -> int:
        """Deliveries in the outbox."""
        return int(self.stack.one("SELECT coalesce(sum(size), 0) FROM notifications_outbox"))

    def finish(self, seconds: float = 60.0) -> None:
        """Everything is sent, once."""
        self.stack.drain(seconds)
        record, calls = read_record(self.stack.database_url), read_calls(self.stack.journal)
        ledger.every_acceptance_has_ended(self.client.book, record)
        ledger.sent_means_taken(record, calls)
        ledger.duplicates_are_bounded(record, calls, allowed=0)
        ledger.status_is_the_fold_of_events(record)
        ledger.counters_are_the_sum_of_events(record)
        assert self.stack.statuses() == {"sent": self._sent}
