"""An alert's life, as a function of what was seen and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts.choices import Condition, Phase
from analytics.alerts.machine import BLIND, Bounds, Move, Pace, Reading, State, step

T0 = datetime(2026, 11, 27, 12, tzinfo=UTC)
PACE = Pace(wait=timedelta(seconds=60), clear=timedelta(seconds=40))
BAD, BETWEEN, GOOD, QUIET, UNKNOWN = Reading.BAD, Reading.BETWEEN, Reading.GOOD, Reading.QUIET, Reading.UNKNOWN


def lived(*readings: Reading, pace: Pace = PACE, every: float = 10) -> tuple[State | None, list[tuple[int, Move]]]:
    """The state after a look every ten seconds, and what happened at which second."""
    state: State | None = None
    moves = []
    for n, reading in enumerate(readings):
        state, move = step(state, reading, T0 + timedelta(seconds=n * every), pace)
        if move is not None:
            moves.append((int(n * every), move))
    return state, moves


def test_it_opens_only_when_it_was_bad_all_the_time() -> None:
    state, moves = lived(*[BAD] * 8)

    assert moves == [(0, Move.BEGAN), (60, Move.OPENED)]
    assert state is not None
    assert (state.phase, state.since) == (Phase.FIRING, T0)


def test_a_short_dip_opens_nothing() -> None:
    state, moves = lived(BAD, BAD, GOOD, BAD)

    assert moves == [(0, Move.BEGAN), (20, Move.WITHDREW), (30, Move.BEGAN)]
    assert state is not None
    assert state.since == T0 + timedelta(seconds=30)


def test_without_a_wait_the_first_bad_look_opens_it() -> None:
    _, moves = lived(BAD, pace=Pace(timedelta(0), PACE.clear))

    assert moves == [(0, Move.OPENED)]


def test_it_clears_only_when_it_was_good_all_the_time() -> None:
    state, moves = lived(*[BAD] * 7, GOOD, GOOD, BAD, *[GOOD] * 5)

    assert state is None
    assert moves[-1] == (140, Move.RESOLVED), "the clearing began anew at 100 s"


@pytest.mark.parametrize("reading", [BETWEEN, UNKNOWN])
def test_between_good_and_bad_and_without_knowledge_it_stays_open(reading: Reading) -> None:
    state, moves = lived(*[BAD] * 7, GOOD, *[reading] * 20, GOOD)

    assert state is not None
    assert state.phase == Phase.FIRING
    assert moves == [(0, Move.BEGAN), (60, Move.OPENED)]


def test_it_clears_when_there_is_nothing_to_judge_by_any_more() -> None:
    assert lived(*[BAD] * 7, *[QUIET] * 5)[0] is None


def test_nothing_is_concluded_from_what_could_not_be_read() -> None:
    assert lived(*[UNKNOWN] * 20) == (None, [])
    state, moves = lived(BAD, UNKNOWN, UNKNOWN, BAD, BAD, BAD, BAD)
    assert state is not None, "two missing looks do not begin the wait anew"
    assert state.phase == Phase.FIRING
    assert moves[-1] == (60, Move.OPENED)


def test_after_an_evaluator_was_away_the_wait_begins_anew() -> None:
    _, moves = lived(BAD, BAD, every=BLIND.total_seconds() + 1)

    assert moves == [(0, Move.BEGAN), (61, Move.BEGAN)], "nobody knows whether it was bad in between"


def test_a_look_from_before_the_last_one_changes_nothing() -> None:
    state, _ = lived(*[BAD] * 8)

    assert step(state, GOOD, T0, PACE) == (state, None)


_readings = st.lists(st.sampled_from(list(Reading)), max_size=60)


@given(_readings)
def test_opened_and_resolved_alternate_and_each_had_its_reason(readings: list[Reading]) -> None:
    _, moves = lived(*readings)

    shown = [(at, move) for at, move in moves if move in {Move.OPENED, Move.RESOLVED}]
    for n, (at, move) in enumerate(shown):
        assert move is (Move.OPENED if n % 2 == 0 else Move.RESOLVED)
        span = PACE.wait if move is Move.OPENED else PACE.clear
        seen = readings[(at - int(span.total_seconds())) // 10 : at // 10 + 1]
        fine = {BAD, UNKNOWN} if move is Move.OPENED else {GOOD, QUIET}
        assert set(seen) <= fine
        assert seen[-1] in fine - {UNKNOWN}


@given(_readings)
def test_looking_twice_at_the_same_moment_is_looking_once(readings: list[Reading]) -> None:
    state: State | None = None
    twice: State | None = None
    for n, reading in enumerate(readings):
        now = T0 + timedelta(seconds=10 * n)
        state, _ = step(state, reading, now, PACE)
        twice, _ = step(twice, reading, now, PACE)
        if twice is not None:  # a second evaluator, a moment later
            twice, again = step(twice, reading, now, PACE)
            assert again is None
    assert state == twice


@given(
    st.sampled_from([Condition.ABOVE, Condition.BELOW]),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
    st.floats(-1e7, 1e7),
)
def test_each_value_is_bad_good_or_between(condition: Condition, bad_at: float, band: float, value: float) -> None:
    clear_at = bad_at - band if condition == Condition.ABOVE else bad_at + band
    reading = Bounds(condition, bad_at, clear_at).read(value)

    is_bad = value >= bad_at if condition == Condition.ABOVE else value < bad_at
    assert (reading is BAD) == is_bad
    if clear_at == bad_at:
        assert reading is not BETWEEN, "without a band there is nothing in between"
