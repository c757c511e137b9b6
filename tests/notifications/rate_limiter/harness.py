"""What the tests of limits share: a clock to move, a limiter that finds no Redis, and the count by brute force."""

import bisect
import itertools
import math
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifications.models import RateLimit
from notifications.services.rate_limiter import LIMIT_SLACK_SECONDS, RateLimiter

SECOND = 1_000_000
#: What a provider's limit per second is held over.
SPAN = round((1 + LIMIT_SLACK_SECONDS) * SECOND)

_names = itertools.count()
quickly = hypothesis_settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Clock:
    """Microseconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += math.ceil(seconds * SECOND)


class WithoutRedis(RateLimiter):
    """Finds no Redis."""

    def _run(self, *args: Any) -> None:
        return None


def limit(scope: str, target: str, max: int, seconds: int = 1) -> RateLimit:
    return RateLimit.objects.create(scope=scope, target=target, max=max, per_seconds=seconds)


def fresh() -> str:
    """A target nothing was counted for yet: hypothesis runs many examples in one test."""
    return f"target-{next(_names)}"


def most_in_a_window(grants: list[tuple[int, int]], span: int) -> int:
    """The most that any closed window [t, t + span] holds: one that holds the most can begin at a grant."""
    times = [at for at, _ in grants]
    sums = [0, *itertools.accumulate(count for _, count in grants)]
    held = (sums[bisect.bisect_right(times, at + span)] - sums[bisect.bisect_left(times, at)] for at in times)
    return max(held, default=0)


#: Around every border there is: of buckets, windows, and the slack.
pauses = st.one_of(
    st.sampled_from([0, 1, 19_999, 20_000, 24_999, 25_000, 25_001, 250_000, 999_999, 1_000_000, 1_000_001, 1_020_000]),
    st.sampled_from([1_249_999, 1_250_000, 1_250_001, 1_274_999, 1_275_000, 3_000_000, 2_000_000_000]),
    st.integers(0, 2_000_000),
)
priorities = st.sampled_from(["critical", "high", "normal"])
patterns = st.lists(st.tuples(pauses, st.integers(1, 40), priorities), max_size=60)
