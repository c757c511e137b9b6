"""What differs between two contents."""

import time

from hypothesis import given
from hypothesis import strategies as st

from notifications.services.template_diffs import GONE, MAX_LINES, NEW, SAME, SKIPPED, diff

TEXT = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map("\n".join)


def sms(body: str) -> dict[str, dict[str, dict[str, str]]]:
    return {"en": {"sms": {"body": body}}}


def test_alike_contents_have_no_difference() -> None:
    assert diff(sms("x"), sms("x")) == []
    assert diff({}, {"en": {"sms": {"body": ""}}}) == []


def test_each_line_says_what_became_of_it() -> None:
    [change] = diff(sms("one\ntwo\nthree"), sms("one\n2\nthree"))

    assert [(line.mark, line.text, line.old, line.new) for line in change.lines] == [
        (SAME, "one", 1, 1),
        (GONE, "two", 2, None),
        (NEW, "2", None, 2),
        (SAME, "three", 3, 3),
    ]
    assert change.change == "changed"


def test_fields_come_in_the_order_of_the_editor() -> None:
    new = {"en": {"sms": {"body": "b"}, "email": {"text": "t", "subject": "s"}}, "de": {"sms": {"body": "b"}}}

    found = diff(sms("a"), new)

    assert [(one.locale, one.channel, one.field, one.change) for one in found] == [
        ("de", "sms", "body", "added"),
        ("en", "email", "subject", "added"),
        ("en", "email", "text", "added"),
        ("en", "sms", "body", "changed"),
    ]
    assert [one.change for one in diff(new, sms("b"))] == ["removed"] * 3


def test_long_stretches_without_a_change_are_left_out() -> None:
    lines = [str(n) for n in range(50)]

    [change] = diff(sms("\n".join(lines)), sms("\n".join([*lines[:25], "x", *lines[26:]])))

    skipped = [line.text for line in change.lines if line.mark == SKIPPED]
    assert skipped == ["22 unchanged lines", "21 unchanged lines"]


def test_a_line_break_at_the_end_is_a_difference() -> None:
    [change] = diff(sms("a"), sms("a\n"))

    assert [line.mark for line in change.lines] == [SAME, NEW]


@given(TEXT, TEXT)
def test_the_lines_make_up_both_texts(old: str, new: str) -> None:
    for change in diff(sms(old), sms(new)):
        shown = [line for line in change.lines if line.mark != SKIPPED]
        assert all(old.split("\n")[line.old - 1] == line.text for line in shown if line.old)
        assert all(new.split("\n")[line.new - 1] == line.text for line in shown if line.new)
        assert any(line.mark in (GONE, NEW) for line in shown)


def test_a_text_of_very_many_lines_is_quick() -> None:
    started = time.monotonic()

    [change] = diff(sms("a\n" * (MAX_LINES + 1)), sms("b\n" * 40_000))

    assert {line.mark for line in change.lines} == {GONE, NEW}
    assert time.monotonic() - started < 2
