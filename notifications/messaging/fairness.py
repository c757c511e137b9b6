"""Which lane next: the higher priority first, and yet the lower never waits for ever."""

import itertools

#: Every so many picks goes to whatever has waited longest. The lowest lane thus keeps an eighth of the worker.
FAIR_EVERY = 8


class Turns:
    """Counts picks. `fair()` says whether this one goes to the longest waiting instead of the highest priority."""

    def __init__(self) -> None:
        self._picks = itertools.count(1)  # next() on it is atomic under the GIL

    def fair(self) -> bool:
        return next(self._picks) % FAIR_EVERY == 0
