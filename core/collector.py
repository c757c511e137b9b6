"""Python's cycle collector, for processes that handle batches, and for the one that people wait for.

It runs after every 700 new objects, and a batch of 500 makes thousands that live just as long as the batch: it looked
at all of them again and again, and found nothing. What has no cycles is freed without it. And every so often it looks
at everything there is, half a million objects that were imported: nobody is answered for a tenth of a second then.
"""

import gc

#: New objects before the youngest are looked at: some batches. Then so many of those looks before an older look.
BATCHES = (50_000, 20, 20)
#: A request leaves cycles behind, with what hangs on them: they go sooner.
REQUESTS = (10_000, 10, 10)


def relax(threshold: tuple[int, int, int] = BATCHES) -> None:
    """To be called once a process has imported what it needs: that is left alone from then on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*threshold)
