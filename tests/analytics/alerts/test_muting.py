"""Which alerts another one explains, and which a silence covers."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.alerts.muting import Cause, Quiet, Scope, cause_of, makes_a_circle, silence_of

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
WORKERS, BREAKER, RATE = 1, 2, 3


def explained(scope: Scope, *causes: Cause, by: tuple[int, ...] = (WORKERS, BREAKER), minutes: int = 5) -> int | None:
    return cause_of(scope, by, causes, now=NOW, memory=timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("symptom", "cause", "is_explained"),
    [
        (Scope("email"), Scope("email"), True),
        (Scope("email"), Scope("sms"), False),
        (Scope("email"), Scope(), True),
        (Scope(), Scope("email"), True),
        (Scope("email", "ses"), Scope("email"), True),
        (Scope("email", "ses"), Scope("email", "other"), False),
    ],
)
def test_a_cause_explains_what_it_has_in_common(symptom: Scope, cause: Scope, is_explained: bool) -> None:
    assert (explained(symptom, Cause(7, WORKERS, cause)) == 7) == is_explained


def test_only_the_rules_that_are_named_explain() -> None:
    assert explained(Scope("email"), Cause(7, RATE, Scope("email"))) is None


def test_a_cause_that_is_over_explains_as_long_as_the_symptom_looks_back() -> None:
    over = Cause(7, WORKERS, Scope(), until=NOW - timedelta(minutes=4))

    assert explained(Scope("email"), over) == 7
    assert explained(Scope("email"), over, minutes=3) is None


def test_one_that_fires_comes_before_one_that_is_over() -> None:
    over = Cause(7, WORKERS, Scope(), until=NOW - timedelta(minutes=1))

    assert explained(Scope("email"), over, Cause(9, BREAKER, Scope())) == 9


def test_a_silence_covers_what_lies_within_it() -> None:
    everything, mail, one = Quiet(1, None, Scope()), Quiet(2, None, Scope("email")), Quiet(3, RATE, Scope())

    assert silence_of(RATE, Scope("sms"), [everything]) == 1
    assert silence_of(RATE, Scope("email", "ses"), [mail]) == 2
    assert silence_of(RATE, Scope("sms"), [mail]) is None
    assert silence_of(RATE, Scope(), [mail]) is None, "an alert about all channels is about others, too"
    assert silence_of(BREAKER, Scope("sms"), [one]) is None


def test_rules_may_not_explain_each_other_in_a_circle() -> None:
    edges = {2: [3], 3: [4], 4: []}

    assert not makes_a_circle(1, [2], edges)
    assert makes_a_circle(4, [2], edges)
    assert makes_a_circle(1, [1], {})
