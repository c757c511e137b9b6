"""Circuits in Redis, shared by all workers: the same as the pure function does, and what happens without Redis."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.exceptions import ReadOnlyError

from core import redis
from notifications.providers import circuit as pure
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Answer, Circuit, Report, Rules
from notifications.services.limit_scripts import Script

START = 1_000_000.0

_names = itertools.count(1)
#: Fractions that a float keeps exactly.
_steps = st.sampled_from([0.0, 0.125, 1.0, 3.0, 14.5, 16.0, 25.0, 31.75, 61.0, 130.0])
_seconds = st.sampled_from([0.0, 0.25, 4.0, 5.0, 5.5, 20.0, 40.0])
_spreads = st.sampled_from([0.0, 0.5, 0.9375])


class TheSameInRedis(RuleBasedStateMachine):
    """Whatever happens in whatever order: what Redis keeps and answers is what the pure function says."""

    @initialize()
    def start(self) -> None:
        self.name = f"agree_{next(_names)}"
        self.now, self.spread = START, 0.0
        self.breaker = Breaker(clock=lambda: self.now, spread=lambda: self.spread)
        self.circuit = Circuit()
        self.tokens = ["stale"]

    @rule(seconds=_steps)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([0.125, 3.0, 40.0, 400.0, 3600.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.now -= seconds

    @rule()
    def somebody_asks(self) -> None:
        given = self.breaker.ask(self.name)
        self.circuit, expected = pure.ask(self.circuit, self.now, Rules.of_settings(), given.probe or "none")
        assert given == expected
        if given.probe:
            self.tokens.append(given.probe)

    @rule(
        answered=st.sampled_from([0, 1, 4, 6, 300]),
        failed=st.sampled_from([0, 1, 5, 7, 300]),
        seconds=_seconds,
        pause=st.sampled_from([0.0, 0.0, 2.0, 45.0, 2000.0]),
        spread=_spreads,
    )
    def a_call_ends(self, answered: int, failed: int, seconds: float, pause: float, spread: float) -> None:
        self._hear(Report(answered, failed, seconds, pause), spread)

    @rule(failed=st.sampled_from([0, 1]), seconds=_seconds, made=st.booleans(), back=st.integers(0, 2), spread=_spreads)
    def a_probe_ends(self, failed: int, seconds: float, made: bool, back: int, spread: float) -> None:
        token = self.tokens[max(0, len(self.tokens) - 1 - back)]
        said = Report(1 - failed, failed, seconds, probe=token) if made else Report(probe=token)
        self._hear(said, spread)

    @rule()
    def a_person_resets_it(self) -> None:
        self.breaker.reset(self.name)
        self.circuit = Circuit(since=self.now)

    def _hear(self, said: Report, spread: float) -> None:
        self.spread = spread
        self.breaker.report(self.name, said)
        self.circuit = pure.report(self.circuit, self.now, Rules.of_settings(), said, spread)

    @invariant()
    def both_agree(self) -> None:
        settled = pure.settle(self.circuit, self.now, Rules.of_settings())
        assert self.breaker.read([self.name]).circuits[self.name] == settled
        assert self.breaker.waits([self.name]) == [pure.wait_of(settled, self.now)]

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        rules = Rules.of_settings()
        assert self.breaker.waits([self.name])[0] <= max(rules.open_max, rules.pause_max)


def test_redis_and_the_pure_function_agree() -> None:
    run_state_machine_as_test(
        TheSameInRedis,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


class TestInRedis:
    def test_workers_share_what_they_know(self) -> None:
        one, other = Breaker(), Breaker()

        one.report("acme", Report(failed=10))

        assert other.ask("acme").reason == "circuit_open"
        assert other.waits(["acme", "another"])[1] == 0.0

    def test_the_clock_is_that_of_redis(self) -> None:
        breaker = Breaker()
        breaker.report("acme", Report(pause=3.0))

        now, circuits = breaker.read(["acme"])
        seconds, micros = redis.client().time()  # type: ignore[misc]  # not the async client's

        assert circuits["acme"].paused_until == pytest.approx(now + 3.0, abs=0.2)
        assert now == pytest.approx(seconds + micros / 1e6, abs=0.5)

    def test_looking_changes_nothing(self) -> None:
        breaker = Breaker()
        breaker.waits(["acme"])
        breaker.read(["acme"])
        breaker.ask("acme")

        assert redis.client().keys(redis.key("*")) == []

    def test_what_nobody_asks_about_is_forgotten(self) -> None:
        breaker = Breaker()
        breaker.report("acme", Report(failed=3, pause=1.0))

        client = redis.client()
        lives = [client.pttl(name) for name in client.keys(redis.key("*"))]

        assert len(lives) == 2
        assert all(0 < life <= 2 * 900_000 for life in lives)

    def test_a_restarted_redis_has_closed_circuits_and_takes_the_script_again(self) -> None:
        breaker = Breaker()
        breaker.report("acme", Report(failed=10))

        redis.client().delete(*redis.client().keys(redis.key("*")))
        redis.client().script_flush()

        assert breaker.ask("acme") == Answer()
        breaker.report("acme", Report(failed=9))
        assert breaker.ask("acme") == Answer()
        breaker.report("acme", Report(failed=1))
        assert breaker.ask("acme").reason == "circuit_open"

    def test_a_reset_closes_it_and_does_not_count_what_began_before(self) -> None:
        breaker = Breaker()
        breaker.report("acme", Report(failed=10, pause=60.0))

        breaker.reset("acme")
        assert breaker.ask("acme") == Answer()
        breaker.report("acme", Report(failed=500, seconds=20.0))
        assert breaker.ask("acme") == Answer()

    @pytest.mark.parametrize("said", [Report(failed=10), Report(pause=60.0)], ids=["open", "paused"])
    def test_a_clock_set_back_by_an_hour_holds_nobody_for_it(self, said: Report) -> None:
        now = START
        breaker = Breaker(clock=lambda: now)
        breaker.report("acme", said)
        assert breaker.waits(["acme"])[0] > 10.0

        now -= 3600.0

        assert breaker.waits(["acme"]) == [0.0]
        assert not breaker.ask("acme").reason
        now += 3600.0
        assert breaker.waits(["acme"]) == [0.0]

    def test_a_clock_set_back_during_a_probe_lets_the_next_try(self) -> None:
        now = START
        breaker = Breaker(clock=lambda: now, spread=lambda: 0.0)
        breaker.report("acme", Report(failed=10))
        now += 15.0
        first = breaker.ask("acme").probe

        now -= 3600.0

        assert breaker.waits(["acme"]) == [0.0]
        second = breaker.ask("acme").probe
        assert second not in ("", first)
        breaker.report("acme", Report(answered=1, probe=second))
        assert breaker.ask("acme") == Answer()

    def test_a_closed_circuit_goes_on_counting_after_the_clock_was_set_back(self) -> None:
        now = START
        breaker = Breaker(clock=lambda: now)
        breaker.reset("acme")

        now -= 3600.0
        breaker.report("acme", Report(failed=10))

        assert breaker.ask("acme").reason == "circuit_open"


def _refused(*_: object, **__: object) -> None:
    raise ReadOnlyError("You can't write against a read only replica.")


class TestWithoutRedis:
    @pytest.fixture(autouse=True)
    def _away(self, redis_away: Any) -> None:
        self.redis = redis_away

    def test_a_process_judges_on_its_own(self) -> None:
        now = START
        breaker = Breaker(clock=lambda: now, spread=lambda: 0.0)
        self.redis.leave()

        assert breaker.ask("acme") == Answer()
        breaker.report("acme", Report(failed=10))
        assert breaker.ask("acme") == Answer("circuit_open", 15.0)
        assert breaker.waits(["acme", "other"]) == [15.0, 0.0]
        now += 15.0
        assert breaker.ask("acme").probe
        assert breaker.ask("acme").reason == "circuit_open"
        assert Breaker().ask("acme") == Answer()

    def test_when_it_is_back_its_word_holds(self) -> None:
        breaker = Breaker()
        self.redis.leave()
        breaker.report("acme", Report(failed=10))
        assert breaker.ask("acme").reason == "circuit_open"

        self.redis.come_back()
        assert breaker.ask("acme") == Answer()
        self.redis.leave()
        assert breaker.ask("acme") == Answer()

    def test_one_that_takes_no_reports_is_as_good_as_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        breaker = Breaker()

        with monkeypatch.context() as replica:
            replica.setattr(redis, "writable", lambda: False)
            replica.setattr(Script, "__call__", _refused)
            breaker.report("acme", Report(failed=10))
            replica.undo()
            replica.setattr(redis, "writable", lambda: False)
            assert breaker.ask("acme").reason == "circuit_open"
            assert breaker.waits(["acme"])[0] > 10.0

        assert breaker.ask("acme") == Answer()

    def test_reading_and_resetting_say_that_it_is_away(self) -> None:
        self.redis.leave()

        with pytest.raises(redis.RedisError):
            Breaker().read(["acme"])
        with pytest.raises(redis.RedisError):
            Breaker().reset("acme")
