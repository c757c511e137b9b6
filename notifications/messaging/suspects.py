"""Who takes workers down. A suspect, a delivery that came back alone, is the only one in its worker's hands while it is
handled: whoever dies then, nobody else can be to blame.

The broker counts a return for every message a dying worker held, guilty or not. This counts one thing: how often in a
row a delivery was tried alone and the worker did not live to say so. In Redis, for a day. Without Redis nothing is
counted, and what the queues and the attempts say decides; after a flush counting starts anew.
"""

from collections.abc import Collection
from contextlib import suppress

from core import redis
from core.ids import Key
from core.turns import SharedLock
from notifications.messaging.base import Handler, Verdict, WorkMessage
from notifications.models.dead_letter import DeadCause

#: Workers lost in a row, each alone with the delivery, before it is poison.
DEADLY = 3
_KEEP_SECONDS = 86_400


class Guarded:
    """A handler for all threads of a process. What came back has a turn of its own: should it take the process down
    again, nothing else is in the middle of a call. A suspect is counted besides."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._turns = SharedLock()

    def __call__(self, message: WorkMessage) -> Verdict:
        with self._turns.held(alone=message.redelivered):
            return self._try_alone(message) if message.is_suspect else self._handle(message)

    def _try_alone(self, message: WorkMessage) -> Verdict:
        (suspect,) = message.deliveries
        if begin(suspect) >= DEADLY:
            from notifications.services.tracking import DeliveryTracker

            detail = f"Its worker was lost {DEADLY} times in a row, with nothing else in hand."
            DeliveryTracker().bury([suspect], cause=DeadCause.POISON, detail=detail)
            forget(suspect)  # a replay gives it a fresh chance
            return Verdict.DONE
        verdict = self._handle(message)
        forget(suspect)  # not after an exception: what crashes its handling each time is poison, too
        return verdict


def begin(delivery: Key) -> int:
    """Note that it is about to be tried alone; how often that went wrong before, in a row."""
    key = _key(delivery)
    try:
        with redis.client().pipeline(transaction=True) as pipe:
            pipe.incr(key)
            pipe.expire(key, _KEEP_SECONDS)
            return int(pipe.execute()[0]) - 1
    except redis.RedisError:
        return 0


def forget(delivery: Key) -> None:
    """The worker is still there: whatever took others down, it was not this."""
    with suppress(redis.RedisError):  # or it counts once too often, of several
        redis.client().delete(_key(delivery))


def deadly(deliveries: Collection[Key]) -> set[Key]:
    """Those that took down every worker they were alone with. Without Redis all of them: who comes back alone and
    cannot be told from the guilty must not go round for ever."""
    asked = list(deliveries)
    if not asked:
        return set()
    try:
        counts = redis.client().mget([_key(delivery) for delivery in asked])
    except redis.RedisError:
        return set(asked)
    return {delivery for delivery, count in zip(asked, counts, strict=True) if int(count or 0) >= DEADLY}


def _key(delivery: Key) -> str:
    return redis.key("suspect", delivery.hex())
