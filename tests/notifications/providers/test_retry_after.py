"""What vendors write into Retry-After, and what is made of it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.providers.retry_after import LONGEST, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120\t", 120.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("2.", 2.0),
        ("86400", 86_400.0),
        ("9" * 5000, LONGEST),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90.0),
        ("Sunday, 01-Mar-26 12:01:30 GMT", 90.0),
        ("Sun Mar  1 12:01:30 2026", 90.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
    ],
)
def test_what_the_rfc_knows_is_understood(header: str, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None, "", "soon", "-1", "-0.5", "+5", "1e9", "0x10", "nan", "inf", "1,5", "1 2", "12s", "٣", ".5", "1_000",
        "2026-03-01T12:01:30Z", "Sun, 01 Mar 2026 12:01:30 +0100", "Sun, 99 Mar 2026 12:01:30 GMT",
        "Sun, 01 Mar 2026 25:01:30 GMT", "12\x00", "120, 60",
    ],
)  # fmt: skip
def test_anything_else_names_no_time(header: str | None) -> None:
    assert retry_after(header, NOW) is None


@given(st.text())
def test_no_header_is_an_error(header: str) -> None:
    found = retry_after(header, NOW)

    assert found is None or 0 <= found <= LONGEST


@given(st.integers(min_value=0, max_value=int(LONGEST)))
def test_whole_seconds_mean_what_they_say(seconds: int) -> None:
    assert retry_after(str(seconds), NOW) == seconds


@given(
    st.integers(min_value=0, max_value=400 * 86_400),
    st.integers(min_value=-400 * 86_400, max_value=364 * 86_400),
)
def test_a_date_is_a_distance_from_now_and_never_negative(since: int, seconds: int) -> None:
    now = NOW + timedelta(seconds=since)
    at = now + timedelta(seconds=seconds)

    assert retry_after(format_datetime(at, usegmt=True), now) == max(0.0, seconds)
