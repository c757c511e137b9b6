"""When to try again: pure, so property-tested."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.services.retry import BUCKETS, RetryPolicy, jitter

POLICY = RetryPolicy(base=2.0, cap=900.0, max_attempts=8)
attempts = st.integers(min_value=1, max_value=1000)
points = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(attempts, points)
def test_a_wait_never_exceeds_the_cap_and_never_is_negative(attempt, point):
    assert 0 <= POLICY.delay(attempt, None, point) <= POLICY.cap


@given(attempts, st.floats(min_value=0, max_value=1e9), points)
def test_retry_after_is_a_floor_up_to_the_cap(attempt, retry_after, point):
    delay = POLICY.delay(attempt, retry_after, point)
    assert min(retry_after, POLICY.cap) <= delay <= POLICY.cap + POLICY.base


def test_windows_double():
    assert [POLICY.delay(n, None, 0.999999) for n in (1, 2, 3, 4)] == [
        pytest.approx(w, rel=1e-3) for w in (2, 4, 8, 16)
    ]


def test_the_last_attempt_is_known():
    assert [POLICY.exhausted(n) for n in (7, 8, 9)] == [False, True, True]


def test_a_batch_of_retries_shares_few_moments():
    rng = random.Random(1)
    assert len({jitter(rng) for _ in range(500)}) == BUCKETS
