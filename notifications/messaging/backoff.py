"""How long to wait before trying again. Full jitter, so that twenty workers don't come back in the same moment."""

import random


def full_jitter(attempt: int, *, base: float, cap: float) -> float:
    """Seconds to wait after `attempt` failures in a row (1 = the first): uniform in [0, min(cap, base * 2^(n-1))].

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    window = min(cap, base * 2 ** min(max(attempt, 1) - 1, 30))
    return random.uniform(0, window)
