"""How much waits on the broker, looked at every few seconds and written down for those who may not ask it.

`run_maintenance` does it on a thread of its own: a broker that hangs takes ten seconds to say so, and nothing else is
to wait for that. Several may run; whoever looks first has looked for all.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.db import connection, transaction
from django.db.models.functions import Now

from notifications import messaging
from notifications.errors import BrokerUnavailable
from notifications.models import MaintenanceState

log = structlog.get_logger(__name__)

#: Between two looks: sixteen passive declarations, some 20 ms of one core of the broker's.
LOOK_SECONDS = 5.0
#: A stop waits so long for a look under way; the thread does not keep the process.
LEAVE_SECONDS = 1.0
_TASK = "queue_depths"

_WRITE = """
INSERT INTO notifications_queuedepth AS known (channel, priority, messages, at, empty_at)
SELECT lane.channel, lane.priority, lane.messages, now(), CASE WHEN lane.messages = 0 THEN now() END
  FROM unnest(%s::text[], %s::text[], %s::int[]) AS lane(channel, priority, messages)
ON CONFLICT (channel, priority) DO UPDATE SET
       messages = EXCLUDED.messages, at = EXCLUDED.at, empty_at = coalesce(EXCLUDED.empty_at, known.empty_at)
"""


def look() -> bool:
    """Look at the queues and write down what waits, unless somebody just has; whether it did. Raises BrokerUnavailable,
    and then nothing is written: what is known grows old."""
    if not messaging.uses_broker() or not _is_due():
        return False
    write(messaging.depths())
    return True


def write(depths: Mapping[tuple[str, str], int]) -> None:
    """The messages that wait, by (channel, priority), as of now."""
    lanes = sorted(depths)
    channels, priorities = [lane[0] for lane in lanes], [lane[1] for lane in lanes]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [channels, priorities, [depths[lane] for lane in lanes]])


def _is_due() -> bool:
    """Whether this process is the one to look now. One that dies in between has spent a turn, no more."""
    with transaction.atomic():
        _, is_first = MaintenanceState.objects.get_or_create(task=_TASK)
        old = MaintenanceState.objects.filter(task=_TASK, done_at__lt=Now() - timedelta(seconds=LOOK_SECONDS * 0.8))
        return bool(old.update(done_at=Now())) or is_first


@contextmanager
def watched() -> Iterator[None]:
    """Looks go on until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(stop,), name="depths", daemon=True)
    if messaging.uses_broker():
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if thread.ident is not None:  # started
            thread.join(LEAVE_SECONDS)


def _watch(stop: threading.Event) -> None:
    failed = False
    while not stop.is_set():
        try:
            look()
            failed = False
        except Exception as error:  # PostgreSQL or the broker is away, or something new: the next look may go well
            if not failed:
                cause = "" if isinstance(error, BrokerUnavailable) else type(error).__name__
                log.warning("depths.unknown", error=cause or str(error)[:200])
            failed = True
        finally:
            connection.close()
        stop.wait(LOOK_SECONDS)
