"""Transactions that PostgreSQL ended because they waited for each other: nothing was kept, and they begin anew."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected, SerializationFailure

log = structlog.get_logger(__name__)

#: Transactions that are begun for one piece of work, at most.
TIMES = 3
#: Seconds before the next, times what was tried: who begins at once can take a lock before the other side has woken up
#: that waited for it, and meets it again.
PAUSE = 0.05

T = TypeVar("T")


def repeated(work: Callable[[], T]) -> T:
    """Do work that is one whole transaction, again if it was a deadlock's victim. Locks have one order wherever there
    can be one; this is for where there is none. Inside a caller's transaction it is done once: only they can repeat it.
    """
    if connection.in_atomic_block:
        return work()
    for tried in range(1, TIMES):
        try:
            return work()
        except OperationalError as error:
            if not is_deadlock(error):
                raise
            log.warning("deadlock.again", error=type(error.__cause__).__name__)
            time.sleep(PAUSE * tried * random.uniform(1.0, 2.0))
    return work()


def is_deadlock(error: OperationalError) -> bool:
    return isinstance(error.__cause__, DeadlockDetected | SerializationFailure)
