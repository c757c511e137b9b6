"""Which cells a span is read from: every minute exactly once, whatever the span and however far the tiers are."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rollups import spans
from analytics.rollups.spans import CELLS, Marks

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=spans.UTC)
MOMENTS = st.integers(0, 90 * 1440).map(lambda minutes: NOW - timedelta(minutes=minutes))
SIZES = st.sampled_from([CELLS, (1, 60, 1440, 10_080), (1,), (1, 10)])


@st.composite
def marks(draw: st.DrawFn) -> Marks:
    """Tiers as rolling and retention leave them: a size is rolled no further than what it is made of, and a size has
    lost nothing that the next one lacks."""
    rolled: dict[int, datetime] = {}
    limit = NOW
    for size in CELLS[1:]:
        limit = min(limit, spans.floor(draw(MOMENTS), size))
        rolled[size] = spans.floor(limit, size)
    kept: dict[int, datetime] = {}
    for size, needs in ((1, (10, 60)), (10, (60,)), (60, (1440,))):
        if draw(st.booleans()):
            kept[size] = spans.floor(min(draw(MOMENTS), *(rolled[n] for n in needs)), 1440)
    for size, larger in ((10, 1), (60, 10)):  # what is larger is kept longer
        if size in kept:
            kept[size] = min(kept[size], kept.get(larger, spans.ORIGIN))
    return Marks(rolled, kept)


@given(MOMENTS, MOMENTS, marks(), SIZES)
def test_the_pieces_of_a_window_meet_and_cover_it(
    one: datetime, other: datetime, tiers: Marks, sizes: tuple[int, ...]
) -> None:
    since, until = tiers.window(min(one, other), max(one, other), sizes)

    found = spans.pieces(since, until, tiers, sizes)

    edges = [since, *(piece.until for piece in found)]
    assert [piece.since for piece in found] == edges[:-1]
    assert edges[-1] == until or since == until
    for piece in found:
        assert piece.since == spans.floor(piece.since, piece.size)
        assert piece.since < piece.until
        if piece.size > 1:
            assert piece.until <= tiers.rolled[piece.size]


@given(MOMENTS, MOMENTS, marks(), st.sampled_from([CELLS, (1, 60, 1440, 10_080)]))
def test_nothing_is_read_where_it_is_no_longer_kept(
    one: datetime, other: datetime, tiers: Marks, sizes: tuple[int, ...]
) -> None:
    since, until = tiers.window(min(one, other), max(one, other), sizes)

    for piece in spans.pieces(since, until, tiers, sizes):
        assert piece.size not in tiers.kept or piece.since >= tiers.kept[piece.size]


@given(st.lists(MOMENTS, min_size=3, max_size=3), marks(), SIZES)
def test_spans_that_meet_still_meet_when_their_ends_are_put_back(
    moments: list[datetime], tiers: Marks, sizes: tuple[int, ...]
) -> None:
    first, second, third = sorted(moments)

    one, other = tiers.window(first, second, sizes), tiers.window(second, third, sizes)

    size = timedelta(minutes=tiers.finest(first, sizes))
    assert one[1] == other[0] or one == (other[0], other[0] + size)  # a span that would have been empty is one cell


@given(MOMENTS, MOMENTS, marks(), st.integers(1, 200), st.sampled_from([CELLS, (1, 60, 1440, 10_080)]))
def test_a_step_of_a_chart_is_made_of_whole_cells_that_are_there(
    one: datetime, other: datetime, tiers: Marks, points: int, sizes: tuple[int, ...]
) -> None:
    since, until = tiers.window(min(one, other), max(one, other) + spans.MINUTE, sizes)
    step = spans.step_for(since, until, points, sizes, tiers.finest(since, sizes))
    begins = list(spans.beginnings(since, until, step))

    read = spans.pieces(begins[0], until, tiers, [size for size in sizes if step % size == 0])

    assert len(begins) <= points + 1 or step == spans.STEPS[-1]
    for piece in read:
        assert spans.floor(piece.since, step) in begins
        assert piece.size <= step
        assert piece.size not in tiers.kept or piece.since >= tiers.kept[piece.size]


@pytest.mark.parametrize(
    ("days", "points", "step"),
    [(1, 60, 30), (7, 60, 180), (14, 60, 360), (30, 60, 1440), (30, 500, 120), (365, 60, 10_080)],
)
def test_no_more_cells_are_read_than_a_panel_has_time_for(days: int, points: int, step: int) -> None:
    until = spans.ORIGIN + timedelta(days=9000)

    assert spans.step_for(until - timedelta(days=days), until, points, CELLS, 1) == step
