"""Python's cycle collector, for processes that handle batches.

It runs after every 700 new objects, and a batch of 500 makes thousands that live just as long as the batch: it looked
at all of them again and again, and found nothing. What has no cycles is freed without it.
"""

import gc

#: New objects before the youngest are looked at: some batches. Then so many of those looks before an older look.
THRESHOLD = (50_000, 20, 20)


def relax() -> None:
    """To be called once a process has imported what it needs: that is left alone from then on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLD)
