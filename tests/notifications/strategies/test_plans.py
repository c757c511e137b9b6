"""What a strategy may be, and what the pure rules make of it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.attention import Attention
from notifications.choices import Status
from notifications.strategies.deciding import Decision, Leg, Times, decide
from notifications.strategies.plan import Plan, decode, delays, encode
from preferences.strategies import DEFAULT_STEPS, Refused, Step, as_json, asked, steps

START = datetime(2026, 11, 28, 9, tzinfo=UTC)
ESCALATION = Plan("escalate", DEFAULT_STEPS)
IN_TURN = Plan("first", (Step("push"), Step("sms"), Step("email")), 120)
SMS = {"channel": "sms", "after": 9}
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
NAMES = st.sampled_from(["escalate", "first", "channel", "after", "unless"])
STATUSES = st.sampled_from(Status.values)


def leg(channel: str, status: str, *, sent: float | None = None) -> Leg:
    at = START + timedelta(seconds=sent) if sent is not None else None
    return Leg(channel.encode().ljust(16), channel, status, 0, True, at, None, None, None)


@pytest.mark.parametrize(
    ("value", "path", "code"),
    [
        ("some", "", "invalid"),
        ({"first": 1}, "/first", "invalid"),
        ({"escalate": [{"channel": "push"}]}, "/escalate", "invalid"),
        ({"escalate": [{"channel": "push"}, {"channel": "fax", "after": 5}]}, "/escalate/1/channel", "invalid"),
        ({"escalate": [{"channel": "push"}, {"channel": "push", "after": 5}]}, "/escalate/1/channel", "repeated"),
        ({"escalate": [{"channel": "push"}, {"channel": "sms", "after": 0}]}, "/escalate/1/after", "order"),
        ({"escalate": [{"channel": "push", "after": 5}, {"channel": "sms"}]}, "/escalate/0/after", "invalid"),
        ({"escalate": [{"channel": "push"}, {"channel": "sms", "unless": "x"}]}, "/escalate/1/after", "order"),
        ({"escalate": [{"channel": "in_app"}, {**SMS, "unless": "x"}]}, "/escalate/1/unless", "invalid"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(value, path, code):
    with pytest.raises(Refused) as refused:
        asked(value)

    assert (refused.value.faults[0].path, refused.value.faults[0].code) == (path, code)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_anything_at_all_is_taken_or_refused_and_never_an_error(value):
    with suppress(Refused):
        assert asked(value).strategy in {"all", "first", "escalate"}


def test_a_plan_is_read_as_it_was_written():
    assert decode(encode(ESCALATION).decode()) == ESCALATION
    assert steps(as_json(DEFAULT_STEPS)) == DEFAULT_STEPS


def test_the_first_that_is_usable_is_due_at_once():
    assert delays(ESCALATION, ("push", "email")) == {"push": 0, "email": 3600}
    assert delays(IN_TURN, ("sms", "email")) == {"sms": 0, "email": 120}


@given(push=STATUSES, sms=STATUSES, sent=st.floats(0, 300), now=st.floats(0, 900))
def test_under_first_two_channels_never_wait_for_each_other(push, sms, sent, now):
    legs = [leg("push", push, sent=sent), leg("sms", sms, sent=sent), leg("email", "queued")]
    at = START + timedelta(seconds=now)

    decisions = [decide(IN_TURN, one, legs, {}, Times(START, at, None, 1)) for one in ("push", "sms", "email")]

    assert all(one.until is None or one.until > at for one in decisions)
    later = decide(IN_TURN, "email", legs, {}, Times(START, START + timedelta(hours=1), None, 1))
    assert later.until is None  # whatever the others do, it comes to an end


@given(first=STATUSES, seen=st.booleans(), read=st.booleans(), now=st.floats(0, 599 - 10))
def test_a_later_step_never_goes_out_before_its_time_while_somebody_may_yet_see(first, seen, read, now):
    legs = [leg("in_app", first), leg("push", "queued"), leg("email", "queued")]
    attention = Attention(START if seen else None, START if read else None)

    times = Times(START, START + timedelta(seconds=now), None, 0)
    decision = decide(ESCALATION, "push", legs, {legs[0].id: attention}, times)

    if seen or read:
        assert decision.found is not None
    elif first not in {"skipped", "bounced", "failed", "dead"}:
        assert decision.until == START + timedelta(seconds=600)
    else:
        assert decision == Decision()
