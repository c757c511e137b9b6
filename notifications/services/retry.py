"""When to try again, and when to stop. Pure."""

import random
from dataclasses import dataclass

#: Retries of one batch share this many due moments, so that a batch with 200 failures is a few outbox rows, not 200.
BUCKETS = 8
#: Holds in a row after which a delivery is tried less and less often.
PATIENCE = 8


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog).

    `base` and `cap` in seconds; `max_attempts` counts the first one, and each window is `factor` times the one before.
    A provider's Retry-After is a floor, itself capped: a provider that asks for a day gets `cap`.
    """

    base: float
    cap: float
    max_attempts: int
    factor: float = 2.0

    def exhausted(self, attempt: int) -> bool:
        """Whether the attempt that just failed (1 is the first) was the last."""
        return attempt >= self.max_attempts

    def delay(self, attempt: int, retry_after: float | None, jitter: float) -> float:
        """Seconds until the next attempt. `jitter` in [0, 1) picks the point in the window."""
        window = min(self.cap, self.base * self.factor ** min(attempt - 1, 32))
        wait = window * jitter
        return wait if retry_after is None else min(self.cap, max(0.0, retry_after)) + min(wait, self.base)

    def hold(self, holds: int, wait: float, jitter: float) -> float:
        """Seconds until a delivery that could not be offered is tried again: `wait`, and some to spread the rush.

        After PATIENCE holds the wait grows as after failures, so that what is held for days costs little.
        """
        if holds <= PATIENCE:
            spread = min(self.base, max(wait, 1.0))
        else:
            spread = min(self.cap, self.base * 2.0 ** min(holds - PATIENCE, 32))
        return min(self.cap, max(0.0, wait)) + spread * jitter


def jitter(rng: random.Random) -> float:
    """A random point in (0, 1): the middle of one of BUCKETS."""
    return (rng.randrange(BUCKETS) + 0.5) / BUCKETS
