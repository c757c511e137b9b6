"""Circuits: when they open, who may ask, when they close."""

from typing import Any

import pytest

from notifications.providers import circuit as pure
from notifications.providers.circuit import Answer, Circuit, Report, Rules, Tally

RULES = Rules(
    window=60.0, min_calls=10, failure_rate=0.5, slow_rate=0.5, slow_seconds=5.0, open_seconds=16.0, open_max=100.0,
    probe_seconds=25.0, pause_max=900.0,
)  # fmt: skip
START = 1_000_000.0


class Provider:
    """A circuit with a clock, told things in order."""

    def __init__(self) -> None:
        self.now = START
        self.circuit = Circuit()

    def passes(self, seconds: float) -> "Provider":
        self.now += seconds
        return self

    def hears(self, answered: int = 0, failed: int = 0, seconds: float = 0.1, **more: Any) -> "Provider":
        self.circuit = pure.report(self.circuit, self.now, RULES, Report(answered, failed, seconds, **more), 0.0)
        return self

    def asked(self, token: str = "t") -> Answer:
        self.circuit, answer = pure.ask(self.circuit, self.now, RULES, token)
        return answer

    @property
    def wait(self) -> float:
        return pure.wait_of(pure.settle(self.circuit, self.now, RULES), self.now)


@pytest.fixture
def provider() -> Provider:
    return Provider()


def half_open() -> Provider:
    """One whose circuit opened 16 seconds ago."""
    return Provider().hears(failed=10).passes(16)


class TestOpening:
    def test_half_of_the_messages_failed(self, provider: Provider) -> None:
        provider.hears(answered=5, failed=5)

        assert provider.asked() == Answer("circuit_open", 16.0)
        assert (provider.circuit.why, provider.circuit.bad, provider.circuit.of) == ("failing", 5, 10)

    def test_fewer_than_half_do_not(self, provider: Provider) -> None:
        assert provider.hears(answered=6, failed=5).asked() == Answer()

    def test_too_few_messages_say_nothing(self, provider: Provider) -> None:
        assert provider.hears(failed=9).asked() == Answer()
        assert provider.hears(failed=1).asked().reason == "circuit_open"

    def test_messages_count_and_not_calls(self, provider: Provider) -> None:
        for _ in range(9):
            provider.hears(answered=1)
        assert provider.hears(failed=500).asked().reason == "circuit_open"

    def test_slow_answers_open_it_though_none_failed(self, provider: Provider) -> None:
        assert provider.hears(answered=10, seconds=5.0).asked() == Answer()
        assert provider.hears(answered=10, seconds=5.1).asked().reason == "circuit_open"
        assert (provider.circuit.why, provider.circuit.bad, provider.circuit.of) == ("slow", 10, 20)

    def test_refusals_for_good_show_that_it_is_alive(self, provider: Provider) -> None:
        assert provider.hears(answered=1000).asked() == Answer()

    def test_failures_leave_the_window(self, provider: Provider) -> None:
        provider.hears(failed=9).passes(61)

        assert provider.hears(failed=9).asked() == Answer()
        assert set(provider.circuit.tallies.values()) == {Tally(9, 9, 0)}

    def test_failures_within_the_window_add_up(self, provider: Provider) -> None:
        provider.hears(failed=5).passes(55)

        assert provider.hears(failed=5).asked().reason == "circuit_open"

    def test_the_jitter_spares_it_a_tenth_at_most(self) -> None:
        opened = pure.report(Circuit(), START, RULES, Report(failed=10), 1.0)

        assert opened.until - START == pytest.approx(14.4)


class TestHalfOpen:
    def test_one_asks_and_everybody_else_waits_for_the_answer(self) -> None:
        provider = half_open()

        assert provider.asked("first") == Answer(probe="first")
        assert provider.asked("second") == Answer("circuit_open", pure.PROBE_LOOK_SECONDS)

    def test_a_success_closes_it_and_forgets_the_old_counts(self) -> None:
        provider = half_open()
        provider.hears(answered=1, probe=provider.asked().probe)

        assert provider.asked() == Answer()
        assert provider.passes(1).hears(failed=9).asked() == Answer()
        assert provider.hears(failed=1).asked() == Answer("circuit_open", 16.0)

    def test_a_failure_opens_it_for_twice_as_long_up_to_a_limit(self) -> None:
        provider, waits = half_open(), []
        for _ in range(5):
            provider.hears(failed=1, probe=provider.asked().probe)
            waits.append(provider.wait)
            provider.passes(provider.wait)

        assert waits == [32.0, 64.0, 100.0, 100.0, 100.0]
        assert provider.circuit.opened_at == START

    def test_a_slow_success_is_none(self) -> None:
        provider = half_open()
        provider.hears(answered=1, seconds=6.0, probe=provider.asked().probe)

        assert (provider.wait, provider.circuit.why) == (32.0, "probe_slow")

    def test_a_probe_never_heard_of_opens_it_again_from_its_end(self) -> None:
        provider = half_open()
        provider.asked("lost")
        provider.passes(RULES.probe_seconds + 1)

        assert provider.asked("next") == Answer("circuit_open", 31.0)
        assert provider.circuit.why == "probe_lost"
        assert provider.passes(31).asked("next") == Answer(probe="next")

    def test_what_a_lost_probe_says_after_all_is_too_late(self) -> None:
        provider = half_open()
        provider.asked("lost")
        provider.passes(RULES.probe_seconds).hears(answered=1, probe="lost")

        assert provider.asked().reason == "circuit_open"

    def test_one_given_back_lets_the_next_try_at_once(self) -> None:
        provider = half_open()
        provider.hears(probe=provider.asked("unused").probe)

        assert provider.asked("next") == Answer(probe="next")

    def test_a_throttled_probe_is_neither_success_nor_failure(self) -> None:
        provider = half_open()
        provider.hears(probe=provider.asked().probe, pause=7.0)

        assert provider.asked() == Answer("throttled", 7.0)
        assert provider.passes(7).asked("next") == Answer(probe="next")
        assert provider.circuit.streak == 1


class TestLateReports:
    def test_a_success_does_not_close_it(self, provider: Provider) -> None:
        provider.hears(failed=10).passes(1).hears(answered=500, seconds=2.0)

        assert provider.asked() == Answer("circuit_open", 15.0)

    def test_neither_does_it_while_a_probe_is_under_way(self) -> None:
        provider = half_open()
        provider.asked("probe")
        provider.hears(answered=500).hears(failed=500).hears(answered=1, probe="another")

        assert provider.circuit.probe == "probe"
        assert provider.asked().reason == "circuit_open"

    def test_a_failure_of_before_does_not_open_it_after_it_closed(self) -> None:
        # Given a call that began before the circuit opened, and a probe that closed it
        provider = half_open()
        provider.hears(answered=1, probe=provider.asked().probe)
        # When the old call times out
        provider.passes(1).hears(failed=500, seconds=20.0)
        # Then it tells of the time before
        assert provider.asked() == Answer()

    def test_a_failure_of_after_does(self) -> None:
        provider = half_open()
        provider.hears(answered=1, probe=provider.asked().probe)

        assert provider.passes(2).hears(failed=500, seconds=1.0).asked().reason == "circuit_open"


class TestPause:
    def test_is_over_at_its_deadline(self, provider: Provider) -> None:
        provider.hears(pause=30.0)

        assert provider.asked() == Answer("throttled", 30.0)
        assert provider.passes(30).asked() == Answer()

    def test_the_later_of_two_deadlines_holds(self, provider: Provider) -> None:
        provider.hears(pause=30.0).passes(1).hears(pause=5.0)
        assert provider.wait == 29.0
        assert provider.hears(pause=60.0).wait == 60.0

    def test_is_no_failure(self, provider: Provider) -> None:
        for _ in range(100):
            provider.hears(pause=1.0)

        assert provider.passes(1).asked() == Answer()

    def test_outlasts_an_open_circuit_if_it_is_longer(self, provider: Provider) -> None:
        assert provider.hears(failed=10, pause=40.0).asked() == Answer("throttled", 40.0)
        assert provider.passes(40).asked("probe") == Answer(probe="probe")

    def test_is_as_long_as_the_longest_that_is_obeyed_at_most(self, provider: Provider) -> None:
        assert provider.hears(pause=86_400.0).wait == RULES.pause_max


class TestClockSetBack:
    """By an hour: nothing set before it holds anybody for that hour."""

    HOUR = -3600.0

    def test_an_open_circuit_lets_a_probe_through(self, provider: Provider) -> None:
        provider.hears(failed=10).passes(self.HOUR)

        assert provider.wait == 0.0
        assert provider.asked("probe") == Answer(probe="probe")
        assert provider.hears(answered=1, probe="probe").asked() == Answer()

    def test_a_pause_is_over(self, provider: Provider) -> None:
        provider.hears(pause=30.0).passes(self.HOUR)

        assert provider.wait == 0.0
        assert provider.asked() == Answer()

    def test_a_probe_under_way_is_given_up_without_a_verdict(self) -> None:
        provider = half_open()
        provider.asked("old")
        provider.passes(self.HOUR)

        assert provider.wait == 0.0
        assert provider.asked("new") == Answer(probe="new")
        assert provider.hears(failed=1, probe="old").circuit.probe == "new"
        assert (provider.circuit.streak, provider.circuit.why) == (1, "failing")

    def test_one_that_closed_in_the_future_counts(self) -> None:
        provider = half_open()
        provider.hears(answered=1, probe=provider.asked().probe).passes(self.HOUR)

        assert provider.hears(failed=10).asked() == Answer("circuit_open", 16.0)

    def test_what_failed_in_the_future_does_not(self, provider: Provider) -> None:
        provider.hears(failed=9).passes(self.HOUR).hears(failed=1).passes(-self.HOUR)

        assert provider.hears(failed=8).asked() == Answer()

    def test_what_is_over_stays_over_when_the_clock_comes_there_again(self, provider: Provider) -> None:
        provider.hears(failed=10, pause=30.0).passes(self.HOUR).asked("probe")
        provider.hears(answered=1, probe="probe").passes(-self.HOUR)

        assert provider.asked() == Answer()

    def test_a_step_that_may_as_well_be_a_long_wait_is_waited_for(self, provider: Provider) -> None:
        provider.hears(failed=10).passes(-5.0)

        assert provider.wait == 21.0
        assert provider.passes(21.0).asked("probe") == Answer(probe="probe")
