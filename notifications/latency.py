"""How long a message took from acceptance to its provider's yes, as one of a few dozen buckets that can be counted.

The edges stand at three to a doubling from a millisecond on, in whole microseconds, so PostgreSQL puts an event into
the very bucket that a worker did: its latency can be counted anew from the record. A bucket is named by how many edges
are at or below it, in two digits.
"""

from bisect import bisect_right
from datetime import timedelta

#: The outcome under which latencies are counted; the bucket is the reason.
OUTCOME = "latency"
#: From 1 ms to 30 hours; what took longer is in the last bucket.
EDGES = tuple(timedelta(microseconds=round(1000 * 2 ** (n / 3))) for n in range(81))
LABELS = tuple(f"{n:02d}" for n in range(len(EDGES) + 1))


def bucket(age: timedelta) -> str:
    """The name of the bucket of a latency."""
    return LABELS[bisect_right(EDGES, age)]
