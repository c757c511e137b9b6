"""The gate: switch, pause, circuit, limit, in this order, by one permit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import QuerySet

from core import redis
from notifications.models import ProviderSwitch
from notifications.providers import gate as module
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import PROBE_LOOK_SECONDS
from notifications.providers.gate import PAUSE_SECONDS, SWITCHED_OFF_SECONDS, Permit, ProviderGate
from notifications.services.rate_limiter import Allowance, RateLimiter

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[3]


def shut_for(gate: ProviderGate, chain: list[str]) -> float:
    """Seconds for which none of the chain may be asked."""
    return gate.room(chain, 1, priority="normal").wait


class Limits(RateLimiter):
    """Grants what it is told to, and remembers what it was asked."""

    def __init__(self, *, at_most: int = 1_000_000) -> None:
        self.at_most = at_most
        self.asked: list[tuple[str, int, str]] = []

    def provider(self, name: str, n: int, *, priority: str) -> Allowance:
        self.asked.append((name, n, priority))
        return Allowance(n) if n <= self.at_most else Allowance(self.at_most, 2.5, 10.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def gate(limits: Limits, clock: Clock) -> ProviderGate:
    return ProviderGate(limits, Breaker(clock=clock, spread=lambda: 0.0))


@pytest.fixture
def now_or_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is believed for longer than a call."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module, "SWITCHES_SECONDS", 0.0)


def fails(gate: ProviderGate, provider: str = "acme", messages: int = 10) -> None:
    permit = gate.ask(provider, messages, priority="normal")
    gate.report(provider, permit, answered=0, failed=messages, seconds=0.1)


class TestAsking:
    def test_a_healthy_provider_is_granted_everything(self, gate: ProviderGate, limits: Limits) -> None:
        assert gate.ask("acme", 500, priority="high") == Permit(500)
        assert limits.asked == [("acme", 500, "high")]

    def test_nothing_asked_is_nothing_granted_and_nothing_used(self, gate: ProviderGate, limits: Limits) -> None:
        assert gate.ask("acme", 0, priority="high") == Permit(0)
        assert limits.asked == []

    def test_beyond_the_limit_the_rest_waits(self, gate: ProviderGate, limits: Limits) -> None:
        limits.at_most = 3

        assert gate.ask("acme", 5, priority="low") == Permit(3, "rate_limit", 2.5, 10.0)

    def test_an_open_circuit_uses_up_no_limit(self, gate: ProviderGate, limits: Limits, clock: Clock) -> None:
        fails(gate)
        limits.asked.clear()

        assert gate.ask("acme", 5, priority="high") == Permit(0, "circuit_open", 15.0)
        assert limits.asked == []

    def test_a_failing_provider_does_not_shut_another(self, gate: ProviderGate) -> None:
        fails(gate)

        assert gate.ask("other", 5, priority="high") == Permit(5)

    def test_each_step_is_one_round_trip(self, gate: ProviderGate, monkeypatch: pytest.MonkeyPatch) -> None:
        permit = gate.ask("acme", 5, priority="high")  # the script is known from now on
        shut_for(gate, ["acme"])
        sent: list[object] = []
        send = redis.NoticingConnection.send_packed_command

        def counted(connection: Any, command: object, **options: Any) -> Any:
            sent.append(command)
            return send(connection, command, **options)

        monkeypatch.setattr(redis.NoticingConnection, "send_packed_command", counted)
        gate.ask("acme", 5, priority="high")
        assert len(sent) == 1
        gate.report("acme", permit, answered=4, failed=1, seconds=0.1)
        assert len(sent) == 2
        shut_for(gate, ["acme", "another", "a third"])
        assert len(sent) == 3


class TestProbing:
    @pytest.fixture(autouse=True)
    def _half_open(self, gate: ProviderGate, limits: Limits, clock: Clock) -> None:
        fails(gate)
        limits.asked.clear()
        clock.now += 15.0

    def test_one_message_goes_and_the_rest_waits(self, gate: ProviderGate, limits: Limits) -> None:
        permit = gate.ask("acme", 500, priority="high")

        assert permit[:4] == (1, "circuit_open", PROBE_LOOK_SECONDS, 0.0)
        assert permit.probe
        assert limits.asked == [("acme", 1, "high")]
        assert gate.ask("acme", 500, priority="high") == Permit(0, "circuit_open", PROBE_LOOK_SECONDS)

    def test_a_single_message_is_granted_whole(self, gate: ProviderGate) -> None:
        permit = gate.ask("acme", 1, priority="high")

        assert (permit.granted, permit.reason, permit.wait) == (1, "", 0.0)
        assert permit.probe

    def test_its_success_opens_the_gate(self, gate: ProviderGate) -> None:
        permit = gate.ask("acme", 500, priority="high")
        gate.report("acme", permit, answered=1, failed=0, seconds=0.1)

        assert gate.ask("acme", 500, priority="high") == Permit(500)

    def test_its_failure_shuts_it_for_longer(self, gate: ProviderGate) -> None:
        permit = gate.ask("acme", 500, priority="high")
        gate.report("acme", permit, answered=0, failed=1, seconds=0.1)

        assert gate.ask("acme", 500, priority="high") == Permit(0, "circuit_open", 30.0)

    def test_without_an_allowance_it_is_given_back(self, gate: ProviderGate, limits: Limits) -> None:
        limits.at_most = 0
        assert gate.ask("acme", 500, priority="high") == Permit(0, "rate_limit", 2.5, 10.0)

        limits.at_most = 1
        assert gate.ask("acme", 500, priority="high").probe

    def test_one_whose_call_was_not_made_is_given_back(self, gate: ProviderGate) -> None:
        permit = gate.ask("acme", 500, priority="high")
        gate.report("acme", permit, answered=0, failed=0, seconds=0.0)

        assert gate.ask("acme", 500, priority="high").probe

    def test_everybody_may_come_and_ask_until_one_does(self, gate: ProviderGate, now_or_never: None) -> None:
        assert shut_for(gate, ["acme"]) == 0.0
        gate.ask("acme", 500, priority="high")
        assert shut_for(gate, ["acme"]) == pytest.approx(PROBE_LOOK_SECONDS, abs=0.1)


class TestThrottling:
    def throttled(self, gate: ProviderGate, retry_after: float, provider: str = "acme") -> None:
        permit = gate.ask(provider, 5, priority="normal")
        gate.report(provider, permit, answered=2, failed=0, seconds=0.1, retry_after=retry_after)

    def test_nobody_asks_before_the_deadline(self, gate: ProviderGate, clock: Clock) -> None:
        self.throttled(gate, 30.0)

        assert gate.ask("acme", 5, priority="critical") == Permit(0, "throttled", 30.0)
        clock.now += 30.0
        assert gate.ask("acme", 5, priority="critical") == Permit(5)

    @pytest.mark.parametrize("asked_for", [86_400.0, 1e12, float("inf")])
    def test_a_day_is_cut_to_the_longest_that_is_obeyed(
        self, gate: ProviderGate, settings: Any, asked_for: float
    ) -> None:
        self.throttled(gate, asked_for)

        assert gate.ask("acme", 5, priority="normal") == Permit(0, "throttled", settings.RETRY_CAP_SECONDS)

    @pytest.mark.parametrize("asked_for", [0.0, -5.0, float("nan")])
    def test_without_a_time_it_is_left_alone_for_a_moment(self, gate: ProviderGate, asked_for: float) -> None:
        self.throttled(gate, asked_for)

        assert gate.ask("acme", 5, priority="normal") == Permit(0, "throttled", PAUSE_SECONDS)

    def test_it_is_no_failure_however_often(self, gate: ProviderGate, clock: Clock) -> None:
        for _ in range(50):
            self.throttled(gate, 1.0)
            clock.now += 1.0

        assert gate.ask("acme", 5, priority="normal") == Permit(5)


class TestSwitches:
    def test_what_a_person_switched_off_is_asked_nothing(self, gate: ProviderGate, limits: Limits) -> None:
        ProviderSwitch.objects.create(provider="acme", by="grace")

        assert gate.ask("acme", 5, priority="critical") == Permit(0, "switched_off", SWITCHED_OFF_SECONDS)
        assert limits.asked == []

    def test_a_change_takes_effect_soon(self, gate: ProviderGate, now_or_never: None) -> None:
        assert gate.ask("acme", 5, priority="high") == Permit(5)
        switch = ProviderSwitch.objects.create(provider="acme", by="grace")
        assert gate.ask("acme", 5, priority="high").reason == "switched_off"
        switch.delete()
        assert gate.ask("acme", 5, priority="high") == Permit(5)

    def test_they_are_not_read_for_every_batch(self, gate: ProviderGate, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(2):  # and the limits
            for _ in range(20):
                gate.ask("acme", 5, priority="high")
                shut_for(gate, ["acme", "other"])

    def test_an_empty_redis_switches_nothing_on(self, gate: ProviderGate, now_or_never: None) -> None:
        ProviderSwitch.objects.create(provider="acme", by="grace")
        fails(gate, "other")

        redis.client().delete(*redis.client().keys(redis.key("*")))

        assert gate.ask("acme", 5, priority="high").reason == "switched_off"
        assert gate.ask("other", 5, priority="high") == Permit(5)

    def test_without_postgresql_they_stay_as_last_read(
        self, gate: ProviderGate, now_or_never: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ProviderSwitch.objects.create(provider="acme", by="grace")
        gate.ask("acme", 5, priority="high")

        def gone(*_: object) -> Iterator[str]:
            raise OperationalError("the server closed the connection")

        monkeypatch.setattr(QuerySet, "__iter__", gone)
        assert gate.ask("acme", 5, priority="high").reason == "switched_off"
        assert gate.ask("other", 5, priority="high") == Permit(5)


class TestTheWholeChain:
    def test_is_shut_only_when_all_are_and_until_the_first_is_not(
        self, gate: ProviderGate, clock: Clock, now_or_never: None
    ) -> None:
        fails(gate, "one")
        assert shut_for(gate, ["one", "two"]) == 0.0
        clock.now += 5.0
        fails(gate, "two")
        assert shut_for(gate, ["one", "two"]) == pytest.approx(10.0, abs=0.1)

    def test_a_switched_off_one_is_looked_at_again_after_a_while(self, gate: ProviderGate, now_or_never: None) -> None:
        ProviderSwitch.objects.create(provider="two", by="grace")
        fails(gate, "one")

        assert shut_for(gate, ["two"]) == pytest.approx(SWITCHED_OFF_SECONDS, abs=0.1)
        assert shut_for(gate, ["one", "two"]) == pytest.approx(SWITCHED_OFF_SECONDS, abs=0.1)

    def test_a_chain_without_providers_is_not_shut(self, gate: ProviderGate) -> None:
        assert shut_for(gate, []) == 0.0

    def test_a_look_is_believed_for_a_moment(self, gate: ProviderGate) -> None:
        fails(gate)
        assert shut_for(gate, ["acme"]) == pytest.approx(15.0, abs=0.1)
        gate.breaker.reset("acme")

        assert shut_for(gate, ["acme"]) == pytest.approx(15.0, abs=0.3)
        assert shut_for(gate, ["acme", "other"]) == 0.0


class TestWithoutRedis:
    def test_it_judges_alone_and_goes_back(self, limits: Limits, redis_away: Any, now_or_never: None) -> None:
        gate = ProviderGate(limits)
        redis_away.leave()
        assert shut_for(gate, ["acme"]) == 0.0
        fails(gate)
        assert gate.ask("acme", 5, priority="high").reason == "circuit_open"
        assert shut_for(gate, ["acme"]) > 10.0

        redis_away.come_back()

        assert shut_for(gate, ["acme"]) == 0.0
        assert gate.ask("acme", 5, priority="high") == Permit(5)

    def test_switches_hold(self, limits: Limits, redis_away: Any) -> None:
        ProviderSwitch.objects.create(provider="acme", by="grace")
        redis_away.leave()

        assert ProviderGate(limits).ask("acme", 5, priority="high").reason == "switched_off"

    def test_what_is_not_granted_then_is_told_apart(self, limits: Limits, redis_away: Any) -> None:
        limits.at_most = 0
        redis_away.leave()

        assert ProviderGate(limits).ask("acme", 5, priority="low").reason == "redis_away"
