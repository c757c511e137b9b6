"""A careful vendor: sends signed webhooks until each is answered with 200, and keeps a book of those that were."""

import http.client
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import psycopg

from core import standard_webhooks
from notifications.receivers import simulated
from tests.faults.stack import Stack

PROVIDER = "simulated_email"
#: Receipts in a webhook.
BATCH = 20

_SENT = """
    INSERT INTO notifications_notification
           (id, recipient_id, category_id, priority, source, is_test, data, metadata, dedup_key)
    SELECT id, (SELECT id FROM preferences_recipient ORDER BY external_id LIMIT 1), 1, 'normal', 'test', false, '{}',
           '{}', '' FROM unnest(%(ids)s::uuid[]) id;
    INSERT INTO notifications_delivery (id, notification_id, recipient_id, channel, priority, status, skip_reason,
           attempts, provider, error_code, sent_at)
    SELECT id, id, (SELECT id FROM preferences_recipient ORDER BY external_id LIMIT 1), 'email', 'normal', 'sent', '',
           1, %(provider)s, '', now() FROM unnest(%(ids)s::uuid[]) id;
"""


def sent(stack: Stack, count: int) -> list[uuid.UUID]:
    """Deliveries that a provider took, as a worker leaves them."""
    from core.ids import uuid7

    ids = [uuid7() for _ in range(count)]
    with psycopg.connect(stack.database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_SENT, {"ids": ids, "provider": PROVIDER})
    return ids


class Vendor:
    """Tells that deliveries were delivered: one webhook after the other, each again until it was taken."""

    def __init__(self, stack: Stack, deliveries: Sequence[uuid.UUID]) -> None:
        self.answered = 0  # receipts that a 200 was given for
        self.again = 0  # webhooks that had to be sent again
        self._port = stack.web_port
        self._secret = simulated.secret(PROVIDER, stack.environment["SECRET_KEY"])
        self._batches = [deliveries[start : start + BATCH] for start in range(0, len(deliveries), BATCH)]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        for number, batch in enumerate(self._batches):
            while not self._post(f"msg_{number}", batch):
                self.again += 1
                time.sleep(0.1)
            self.answered += len(batch)

    def _post(self, id: str, batch: Sequence[uuid.UUID]) -> bool:
        events = [simulated.Event(f"{one.hex}-delivered", "delivered", f"sim-{one.hex}") for one in batch]
        body = msgspec.json.encode(simulated.Webhook(events))
        headers = standard_webhooks.sign([self._secret], id=id, timestamp=int(time.time()), body=body)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", f"/webhooks/{PROVIDER}/", body, headers)
            return connection.getresponse().status == 200
        return False
