"""STOP and START: which messages are one, and what follows from them in whatever order they come."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone

from preferences import retention
from preferences.choices import SuppressionReason, Way
from preferences.errors import ValidationProblem
from preferences.keywords import Keyword, meaning_of
from preferences.keywords.hearing import Said, hear
from preferences.models import ChangeRecord, HeardKeyword, Recipient, Suppression
from preferences.services import PreferencesService, Trace
from tests import factories

NUMBER = "+4915112345678"
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop", " Stop. ", "“STOP”", "STOP!!!", "stop 🙏", "Stop\n", "STOPALL", "stop all", "UNSUBSCRIBE",
     "Cancel", "END", "Quit", "REVOKE", "OPT OUT", "opt-out", "Arret", "ARRÊT", "ＳＴＯＰ"],
)  # fmt: skip
def test_stop_is_known_in_every_spelling(text: str) -> None:
    assert meaning_of(text) is Keyword.STOP


@pytest.mark.parametrize("text", ["START", "start.", "Yes", " YES! ", "unstop", "UNSTOP"])
def test_so_is_start(text: str) -> None:
    assert meaning_of(text) is Keyword.START


@pytest.mark.parametrize(
    "text",
    ["", " ", "HELP", "INFO", "please stop", "stop it", "STOP 5", "don't stop", "no", "yes please", "stopp",
     "cancel my order", "🛑", "\x00", "stop" + " " * 100, "s" * 100_000],
)  # fmt: skip
def test_anything_else_is_no_keyword(text: str) -> None:
    assert meaning_of(text) is None


def said(word: Keyword, minutes: int, *, id: str = "", number: str = NUMBER) -> Said:
    return Said("simulated_sms", id or f"m-{word}-{minutes}", number, word, NOON + timedelta(minutes=minutes))


@pytest.mark.django_db
class TestHearing:
    @pytest.fixture(autouse=True)
    def ada(self) -> Recipient:
        return factories.recipient("ada", phone=NUMBER)

    def reasons(self) -> list[str]:
        return list(Suppression.objects.order_by("id").values_list("reason", flat=True))

    def history(self) -> list[tuple[str, str, str, str]]:
        rows = ChangeRecord.objects.order_by("id")
        return list(rows.values_list("way", "channel", "before", "after"))

    def test_stop_holds_at_once_and_start_takes_it_back(self) -> None:
        service = PreferencesService()
        service.reach(["ada"])

        assert hear([said(Keyword.STOP, 0)]) == {("simulated_sms", "stop"): 1}
        assert service.reach(["ada"])["ada"].suppressed == ("sms",)
        assert Suppression.objects.get().source == "simulated_sms"
        assert hear([said(Keyword.START, 1)]) == {("simulated_sms", "start"): 1}
        assert service.reach(["ada"])["ada"].suppressed == ()

        assert self.history() == [
            ("keyword", "sms", "", "stop_keyword"),
            ("keyword", "sms", "stop_keyword", ""),
        ]
        assert NUMBER not in str(list(HeardKeyword.objects.values()))

    def test_in_whatever_order_they_come_the_last_word_said_holds(self) -> None:
        for order in permutations([(Keyword.STOP, 0), (Keyword.START, 1), (Keyword.STOP, 2), (Keyword.START, 3)]):
            HeardKeyword.objects.all().delete()
            Suppression.objects.all().delete()
            for one in order:
                hear([said(*one)])
            assert self.reasons() == [], order
            hear([said(Keyword.STOP, 4)])
            assert self.reasons() == ["stop_keyword"], order

    def test_a_message_told_of_again_is_one_even_where_its_moment_is_another(self) -> None:
        hear([said(Keyword.STOP, 0, id="a"), said(Keyword.START, 1, id="b")])

        assert hear([said(Keyword.STOP, 9, id="a")]) == {("simulated_sms", "repeated"): 1}
        assert hear([said(Keyword.START, 1, id="b")] * 2) == {("simulated_sms", "repeated"): 2}

        assert self.reasons() == []
        assert HeardKeyword.objects.count() == 2

    def test_two_at_the_same_moment_are_a_stop(self) -> None:
        hear([said(Keyword.START, 0), said(Keyword.STOP, 0)])

        assert self.reasons() == ["stop_keyword"]

    def test_a_clock_that_is_ahead_does_not_shut_the_way_back(self) -> None:
        ahead = timezone.now() + timedelta(days=400)
        hear([Said("simulated_sms", "a", NUMBER, Keyword.STOP, ahead)])
        HeardKeyword.objects.update(said_at=timezone.now() - timedelta(seconds=1))

        hear([Said("simulated_sms", "b", NUMBER, Keyword.START, timezone.now())])

        assert self.reasons() == []

    def test_a_number_of_nobody_is_kept_for_whoever_comes_with_it(self) -> None:
        assert hear([said(Keyword.STOP, 0, number="+491701234567")]) == {("simulated_sms", "unknown"): 1}

        factories.recipient("bo", phone="+491701234567")

        assert PreferencesService().reach(["bo"])["bo"].suppressed == ("sms",)

    @pytest.mark.parametrize("number", ["", "12345", "Carillon", "\x00", "+49", "x" * 500])
    def test_a_sender_that_is_no_number_is_counted_and_left(self, number: str) -> None:
        assert hear([said(Keyword.STOP, 0, number=number)]) == {("simulated_sms", "odd"): 1}
        assert not HeardKeyword.objects.exists()

    def test_a_number_is_known_as_its_vendor_writes_it(self) -> None:
        hear([said(Keyword.STOP, 0, number="+49 151 12345678")])

        assert PreferencesService().reach(["ada"])["ada"].suppressed == ("sms",)

    @pytest.mark.parametrize("bounce_first", [True, False])
    def test_start_lifts_the_stop_and_neither_bounce_nor_complaint(self, bounce_first: bool) -> None:
        steps = [
            lambda: PreferencesService().suppress("sms", NUMBER, "hard_bounce", "receipt", Trace(Way.PROVIDER)),
            lambda: hear([said(Keyword.STOP, 0)]),
        ]
        for step in steps if bounce_first else reversed(steps):
            step()
        assert sorted(self.reasons()) == ["hard_bounce", "stop_keyword"]

        hear([said(Keyword.START, 1)])

        assert self.reasons() == ["hard_bounce"]
        assert PreferencesService().reach(["ada"])["ada"].suppressed == ("sms",)
        assert self.history()[-1] == ("keyword", "sms", "stop_keyword", "hard_bounce")

    def test_lifting_a_bounce_that_came_after_a_stop_leaves_the_stop(self) -> None:
        hear([said(Keyword.STOP, 0)])
        PreferencesService().suppress("sms", NUMBER, "hard_bounce", "receipt")

        assert PreferencesService().lift("sms", NUMBER, trace=Trace(Way.ADMIN))

        assert self.reasons() == ["stop_keyword"]
        assert PreferencesService().reach(["ada"])["ada"].suppressed == ("sms",)

    @pytest.mark.parametrize("way", [Way.API, Way.ADMIN, Way.PAGE, Way.HOST])
    def test_nobody_but_the_number_lifts_a_stop(self, way: Way) -> None:
        hear([said(Keyword.STOP, 0)])

        with pytest.raises(ValidationProblem) as refused:
            PreferencesService().lift("sms", NUMBER, only=[SuppressionReason.STOP_KEYWORD.value], trace=Trace(way))
        assert refused.value.code == "stop_keyword"
        assert not PreferencesService().lift("sms", NUMBER, trace=Trace(way))

        assert self.reasons() == ["stop_keyword"]

    def test_a_thousand_cost_as_many_statements_as_one(self, django_assert_max_num_queries: Any) -> None:
        batch = [said(Keyword(("stop", "start")[n % 2]), n, number=f"+4915112{n:06}") for n in range(1000)]

        with django_assert_max_num_queries(20):
            hear(batch)

        assert Suppression.objects.count() == 500

    def test_what_still_holds_outlives_the_history(self, settings: Any) -> None:
        settings.PREFERENCE_HISTORY_DAYS = 10
        hear([said(Keyword.STOP, 0), said(Keyword.START, 1), said(Keyword.STOP, 2)])
        HeardKeyword.objects.update(heard_at=timezone.now() - timedelta(days=11))

        retention.purge()

        assert [row.said_at for row in HeardKeyword.objects.all()] == [NOON + timedelta(minutes=2)]
