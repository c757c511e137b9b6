"""How fast an error budget is used up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts import burn

_objectives = st.floats(0.5, 0.9999)


@pytest.mark.parametrize(
    ("bad", "objective", "times"), [(0.01, 0.99, 1.0), (0.144, 0.99, 14.4), (0.0, 0.99, 0.0), (1.0, 0.97, 33.33)]
)
def test_the_rate_says_how_many_times_too_fast(bad: float, objective: float, times: float) -> None:
    assert burn.rate(bad, objective) == pytest.approx(times, rel=1e-3)


@given(st.floats(0, 1), _objectives)
def test_more_than_once_too_fast_is_more_bad_than_the_objective_allows(bad: float, objective: float) -> None:
    allowed = 1 - objective
    if bad > allowed * 1.0001:
        assert burn.rate(bad, objective) > 1
    if bad < allowed * 0.9999:
        assert burn.rate(bad, objective) < 1


@given(st.floats(0, 1), st.floats(0, 1), _objectives, st.floats(0.1, 20))
def test_a_pair_of_windows_burns_when_both_do(long: float, short: float, objective: float, limit: float) -> None:
    pair = burn.both(burn.rate(long, objective), burn.rate(short, objective))

    assert pair is not None
    assert (pair >= limit) == (burn.rate(long, objective) >= limit and burn.rate(short, objective) >= limit)


def test_a_window_that_is_unknown_leaves_the_pair_unknown() -> None:
    assert burn.both(None, 3.0) is None
    assert burn.both(3.0, None) is None
