"""What operators see and do of providers: the service and the command."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core import redis
from notifications.models import ProviderSwitch
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report, Tally
from notifications.services import providers
from notifications.services.providers import State, UnknownProvider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _chains(settings: Any) -> None:
    settings.PROVIDERS = dict.fromkeys(("first", "second", "only", "spare"), settings.PROVIDERS["feed"])
    settings.PROVIDER_CHAINS = {"email": ["first", "second"], "sms": ["only"]}


def standing(name: str) -> providers.Standing:
    overview = providers.overview()
    found = [one for chain in overview.chains for one in chain.providers] + overview.others
    return next(one for one in found if one.name == name)


def serving(channel: str) -> str | None:
    found = next(chain.serving for chain in providers.overview().chains if chain.channel == channel)
    return found.name if found else None


class TestOverview:
    def test_every_channel_has_its_chain_in_order(self) -> None:
        overview = providers.overview()

        assert [(chain.channel, [one.name for one in chain.providers]) for chain in overview.chains] == [
            ("email", ["first", "second"]),
            ("sms", ["only"]),
        ]
        assert {one.state for chain in overview.chains for one in chain.providers} == {State.CLOSED}
        assert (overview.others, overview.redis_away) == ([], False)

    def test_figures_are_those_of_the_window(self) -> None:
        breaker = Breaker()
        breaker.report("first", Report(answered=6, failed=2, seconds=1.0))
        breaker.report("first", Report(answered=2, seconds=9.0))

        one = standing("first")

        assert one.tally == Tally(10, 2, 2)
        assert (one.failure_rate, one.slow_rate) == (0.2, 0.2)
        assert standing("second").failure_rate is None

    def test_the_next_in_the_chain_serves_while_the_first_is_open(self) -> None:
        assert serving("email") == "first"
        Breaker().report("first", Report(failed=10))

        one = standing("first")

        assert one.state == State.OPEN
        assert 10 < one.open_for <= 15
        assert serving("email") == "second"

    def test_nobody_serves_when_all_are_shut(self) -> None:
        Breaker().report("only", Report(failed=10))

        assert serving("sms") is None

    def test_a_circuit_whose_time_is_over_is_half_open_and_tells_of_its_probe(self, settings: Any) -> None:
        settings.BREAKER_OPEN_SECONDS = 1e-6
        breaker = Breaker()
        breaker.report("first", Report(failed=10))

        assert (standing("first").state, standing("first").is_probed) == (State.HALF_OPEN, False)
        assert breaker.ask("first").probe
        assert (standing("first").state, standing("first").is_probed) == (State.HALF_OPEN, True)

    def test_a_pause_shows_until_when(self) -> None:
        Breaker().report("first", Report(pause=40.0))

        assert standing("first").state == State.PAUSED
        assert 38 < standing("first").paused_for <= 40

    def test_a_switched_off_one_in_no_chain_is_not_forgotten(self) -> None:
        providers.switch_off("spare", by="grace", reason="not yet")

        [one] = providers.overview().others
        assert (one.name, one.state) == ("spare", State.SWITCHED_OFF)

    def test_without_redis_only_the_switches_are_known(self, redis_away: Any) -> None:
        providers.switch_off("first", by="grace", reason="unpaid")
        redis_away.leave()

        overview = providers.overview()

        assert overview.redis_away
        assert standing("first").state == State.SWITCHED_OFF
        assert standing("second").state == State.UNKNOWN
        assert serving("email") is None

    def test_costs_one_query(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(1):
            providers.overview()


class TestSwitching:
    def test_who_why_and_when_are_kept(self) -> None:
        assert providers.switch_off("first", by="grace", reason="unpaid")

        one = standing("first")
        assert one.state == State.SWITCHED_OFF
        assert one.switch is not None
        assert (one.switch.by, one.switch.reason) == ("grace", "unpaid")
        assert serving("email") == "second"

    def test_the_first_reason_stays(self) -> None:
        providers.switch_off("first", by="grace", reason="unpaid")

        assert not providers.switch_off("first", by="ada", reason="another")
        assert ProviderSwitch.objects.get().by == "grace"

    def test_on_again(self) -> None:
        providers.switch_off("first", by="grace")

        assert providers.switch_on("first", by="ada")
        assert not providers.switch_on("first", by="ada")
        assert standing("first").state == State.CLOSED

    def test_one_that_left_the_settings_can_still_be_cleared(self) -> None:
        ProviderSwitch.objects.create(provider="bygone", by="grace")

        assert providers.switch_on("bygone", by="ada")

    def test_reset_closes_the_circuit_and_ends_the_pause(self) -> None:
        Breaker().report("first", Report(failed=10, pause=60.0))
        assert standing("first").has_history

        providers.reset("first", by="grace")

        assert standing("first").state == State.CLOSED
        assert not standing("first").has_history

    def test_reset_says_when_there_is_no_redis(self, redis_away: Any) -> None:
        redis_away.leave()
        with pytest.raises(redis.RedisError):
            providers.reset("first", by="grace")

    def test_an_unknown_name_is_an_error_that_names_the_known(self) -> None:
        for act in (providers.switch_off, providers.switch_on, providers.reset):
            with pytest.raises(UnknownProvider, match="first, only, second, spare"):
                act("nobody", by="grace")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("providers", *arguments, stdout=out)
    return out.getvalue()


class TestCommand:
    def test_list_has_a_line_for_every_place_in_a_chain(self) -> None:
        Breaker().report("first", Report(answered=10, failed=30))
        providers.switch_off("only", by="grace", reason="unpaid")

        head, *lines = run("list").splitlines()

        assert head.split() == ["channel", "#", "provider", "state", "messages", "failed", "slow", "for", "why"]
        first, second, only = (line.split() for line in lines)
        assert first[:7] == ["email", "1", "first", "open", "40", "75.0%", "0.0%"]
        assert first[8:] == ["s", "failing"]
        assert second[:4] == ["email", "2", "second", "closed"]
        assert only[:4] == ["sms", "1", "only", "switched_off"]
        assert only[-2:] == ["grace:", "unpaid"]

    def test_list_says_that_redis_is_away(self, redis_away: Any, capsys: pytest.CaptureFixture[str]) -> None:
        redis_away.leave()
        err = StringIO()

        call_command("providers", "list", stdout=StringIO(), stderr=err)

        assert "Redis does not answer" in err.getvalue()

    def test_off_and_on(self) -> None:
        assert "is switched off" in run("off", "first", "--reason", "unpaid")
        assert ProviderSwitch.objects.get().reason == "unpaid"
        assert "off already" in run("off", "first", "--reason", "again")
        assert "is switched on" in run("on", "first")
        assert "on already" in run("on", "first")

    def test_reset(self) -> None:
        Breaker().report("first", Report(failed=10))

        assert "is closed" in run("reset", "first")
        assert standing("first").state == State.CLOSED

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["off", "nobody", "--reason", "x"], "Known: first"),
            (["on", "nobody"], "Known: first"),
            (["reset", "nobody"], "Known: first"),
            (["off", "first"], "--reason"),
            (["off", "first", "--reason", "  "], "1 to 200"),
            (["off", "first", "--reason", "x" * 201], "1 to 200"),
            ([], "COMMAND"),
        ],
    )
    def test_bad_input_is_answered_with_a_sentence(self, arguments: list[str], words: str) -> None:
        with pytest.raises(CommandError, match=words):
            run(*arguments)

    def test_reset_without_redis_fails_with_a_sentence(self, redis_away: Any) -> None:
        redis_away.leave()
        with pytest.raises(CommandError, match="nothing was reset"):
            run("reset", "first")
