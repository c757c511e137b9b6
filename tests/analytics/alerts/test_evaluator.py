"""Rules are looked at; alerts open once, clear by themselves, and say why nobody is told."""

from datetime import timedelta

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from analytics.alerts import selectors
from analytics.alerts.choices import Condition, Happening, Metric, Phase
from analytics.alerts.evaluator import LOCK
from analytics.alerts.metrics import METRICS, Sample
from analytics.alerts.models import Alert, AlertEvent, AlertMessage, AlertRule, Silence
from analytics.alerts.muting import Scope
from tests.analytics.alerts.conftest import Clock, open_titles, route, rule

pytestmark = pytest.mark.django_db
EMAIL, SMS = Scope("email"), Scope("sms")


def history(alert: Alert) -> list[str]:
    return [event.what for event in alert.events.all()]


def told() -> list[list[str]]:
    """What each message is about, oldest first."""
    return [
        [f"{event.what} {event.alert.title}" for event in message.events.order_by("id")]
        for message in AlertMessage.objects.order_by("id")
    ]


def test_an_alert_opens_after_its_wait_and_clears_by_itself(clock: Clock) -> None:
    rule()

    clock.set(Metric.DEAD, 12)
    clock.looks(2)
    assert open_titles() == [], "bad for 10 s"
    clock.look()
    assert open_titles() == ["dead rule"]

    clock.set(Metric.DEAD, 3)
    clock.looks(2)
    assert open_titles() == ["dead rule"], "good for 10 s"
    clock.look()
    alert = Alert.objects.get()
    assert (alert.phase, alert.opened_at, alert.resolved_at) == (
        Phase.RESOLVED,
        clock.now - timedelta(seconds=30),
        clock.now,
    )
    assert history(alert) == [Happening.OPENED, Happening.RESOLVED]


def test_a_value_between_the_two_thresholds_neither_opens_nor_clears(clock: Clock) -> None:
    rule()
    clock.set(Metric.DEAD, 7)
    clock.looks(5)
    assert not Alert.objects.exists()

    clock.set(Metric.DEAD, 12)
    clock.looks(3)
    clock.set(Metric.DEAD, 7)
    clock.looks(10)
    assert open_titles() == ["dead rule"]


def test_there_is_one_open_alert_for_each_channel(clock: Clock) -> None:
    rule(split_by="channel", for_seconds=0)
    clock.samples[Metric.DEAD] = [Sample(EMAIL, 12.0), Sample(SMS, 20.0)]
    clock.looks(4)

    assert open_titles() == ["dead rule: Email", "dead rule: SMS"]
    assert Alert.objects.count() == 2


def test_the_database_refuses_a_second_open_alert_of_a_fingerprint(clock: Clock) -> None:
    rule(for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()
    twin = Alert.objects.get()
    twin.pk = None

    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save(force_insert=True)


def test_too_little_traffic_says_nothing(clock: Clock) -> None:
    rule(Metric.BOUNCE_RATE, threshold=0.05, clear_threshold=0.03, minimum_traffic=100, for_seconds=0)
    clock.set(Metric.BOUNCE_RATE, 0.5, traffic=99)
    clock.look()
    assert not Alert.objects.exists()

    clock.set(Metric.BOUNCE_RATE, 0.5, traffic=100)
    clock.look()
    assert open_titles() == ["bounce_rate rule"]


def test_a_rule_that_cannot_be_read_holds_its_alerts_and_lets_the_others_be_read(clock: Clock) -> None:
    rule(for_seconds=0, clear_seconds=0)
    other = rule(Metric.FAILED, for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()

    clock.samples[Metric.DEAD] = None  # type: ignore[assignment]  # reading it raises
    clock.set(Metric.FAILED, 12)
    clock.look()

    assert open_titles() == ["dead rule", "failed rule"]
    assert AlertRule.objects.get(metric=Metric.DEAD).standing == "unknown"
    assert AlertRule.objects.get(pk=other.pk).standing == "bad"


def test_a_burn_rate_takes_both_windows(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {3600: 0.5, 300: 0.0}
    monkeypatch.setitem(
        METRICS,  # type: ignore[arg-type]  # a dict
        Metric.PROVIDER_ERRORS,
        lambda look, ask: [Sample(Scope(), shares[int(ask.window.total_seconds())], 500)],
    )
    rule(
        Metric.PROVIDER_ERRORS,
        condition=Condition.BURN,
        objective=0.97,
        threshold=14.4,
        clear_threshold=7,
        window_seconds=3600,
        short_window_seconds=300,
        for_seconds=0,
    )
    clock.look()
    assert not Alert.objects.exists(), "it is over"

    shares[300] = 0.5
    clock.look()
    assert open_titles() == ["provider_errors rule"]
    assert "16.7 times too fast over 1 h and over 5 min" in Alert.objects.get().summary


def test_a_rule_that_is_switched_off_ends_its_alerts(clock: Clock) -> None:
    one = rule(for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()

    AlertRule.objects.filter(pk=one.pk).update(is_on=False)
    clock.look()

    alert = Alert.objects.get()
    assert alert.phase == Phase.RESOLVED
    assert alert.events.last().note == "Its rule was switched off."  # type: ignore[union-attr]  # there is one


def test_a_rule_may_be_deleted_while_its_alert_is_open(clock: Clock) -> None:
    one = rule(for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()

    one.delete()
    clock.look()

    assert Alert.objects.get().phase == Phase.RESOLVED


def test_what_opens_and_clears_is_told_once(clock: Clock) -> None:
    route()
    rule(for_seconds=0, clear_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.looks(5)
    AlertMessage.objects.update(attempts=1)  # on its way

    clock.set(Metric.DEAD, 0)
    clock.looks(5)

    assert told() == [["opened dead rule"], ["resolved dead rule"]]


def test_nobody_is_told_before_there_is_a_route_and_then_of_what_still_fires(clock: Clock) -> None:
    rule(for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()
    assert Alert.objects.get().told_at is None

    route()
    clock.look()

    assert told() == [["opened dead rule"]]


def test_a_route_is_told_of_what_it_receives(clock: Clock) -> None:
    route("all", receives="info")
    route("pager", receives="critical")
    route("stand-in", receives="nothing")
    rule(severity="warning", for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()

    assert [message.route.name for message in AlertMessage.objects.all()] == ["all"]


def test_a_rules_own_route_is_told_instead(clock: Clock) -> None:
    route("all")
    own = route("the team", receives="nothing")
    rule(for_seconds=0).routes.set([own])
    clock.set(Metric.DEAD, 12)
    clock.look()

    assert [message.route.name for message in AlertMessage.objects.all()] == ["the team"]


def test_it_is_told_again_after_a_while_unless_somebody_took_it_on(clock: Clock) -> None:
    route()
    rule(for_seconds=0, repeat_seconds=30)
    clock.set(Metric.DEAD, 12)
    clock.look()
    AlertMessage.objects.update(attempts=1)
    clock.looks(3)
    assert told() == [["opened dead rule"], ["reminded dead rule"]]

    Alert.objects.update(acknowledged_at=clock.now, acknowledged_by="ada")
    AlertMessage.objects.update(attempts=1)
    clock.looks(10)
    assert len(told()) == 2


def test_alerts_of_one_moment_go_into_one_message(clock: Clock) -> None:
    route(wait_seconds=30)
    rule(for_seconds=0)
    rule(Metric.FAILED, for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.look()
    clock.set(Metric.FAILED, 12)
    clock.look()

    assert told() == [["opened dead rule", "opened failed rule"]]


def test_a_route_may_want_a_message_for_each(clock: Clock) -> None:
    route(group_by="none")
    rule(for_seconds=0)
    rule(Metric.FAILED, for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.set(Metric.FAILED, 12)
    clock.look()

    assert sorted(told()) == [["opened dead rule"], ["opened failed rule"]]


class TestMuting:
    def test_a_symptom_is_not_told_while_its_cause_fires(self, clock: Clock) -> None:
        route()
        cause = rule(Metric.WORKERS, name="No worker", condition="below", threshold=1, clear_threshold=1, for_seconds=0)
        symptom = rule(Metric.OLDEST_DUE, name="Old", for_seconds=0)
        symptom.explained_by.add(cause)
        clock.set(Metric.WORKERS, 0, EMAIL)
        clock.set(Metric.OLDEST_DUE, 600, EMAIL)
        clock.look()

        assert open_titles() == ["No worker: Email", "Old: Email"]
        assert told() == [["opened No worker: Email"]]
        old = Alert.objects.get(rule=symptom)
        assert old.explained_by == Alert.objects.get(rule=cause)
        assert history(old) == [Happening.OPENED, Happening.INHIBITED]

    def test_the_cause_of_another_channel_explains_nothing(self, clock: Clock) -> None:
        cause = rule(Metric.WORKERS, condition="below", threshold=1, clear_threshold=1, for_seconds=0)
        rule(Metric.OLDEST_DUE, for_seconds=0).explained_by.add(cause)
        clock.set(Metric.WORKERS, 0, SMS)
        clock.set(Metric.OLDEST_DUE, 600, EMAIL)
        clock.look()

        assert not Alert.objects.exclude(explained_by=None).exists()

    def test_a_symptom_that_outlives_its_cause_is_told_when_it_no_longer_looks_back_to_it(self, clock: Clock) -> None:
        route()
        cause = rule(Metric.BREAKER_OPEN, name="Open", threshold=1, clear_threshold=0, for_seconds=0, clear_seconds=0)
        rule(Metric.FAILED, name="Failed", for_seconds=0, window_seconds=60).explained_by.add(cause)
        clock.set(Metric.BREAKER_OPEN, 1)
        clock.set(Metric.FAILED, 12)
        clock.look()
        AlertMessage.objects.update(attempts=1)
        clock.set(Metric.BREAKER_OPEN, 0)
        clock.look()
        AlertMessage.objects.update(attempts=1)
        clock.looks(6)
        assert told() == [["opened Open"], ["resolved Open"]], "its window still sees the time of the cause"

        clock.look()
        assert told()[-1] == ["opened Failed"]

    def test_a_symptom_that_goes_with_its_cause_is_never_told(self, clock: Clock) -> None:
        route()
        cause = rule(Metric.BREAKER_OPEN, name="Open", threshold=1, clear_threshold=0, for_seconds=0, clear_seconds=0)
        rule(Metric.FAILED, name="Failed", for_seconds=0, clear_seconds=0).explained_by.add(cause)
        clock.set(Metric.BREAKER_OPEN, 1)
        clock.set(Metric.FAILED, 12)
        clock.look()
        clock.set(Metric.BREAKER_OPEN, 0)
        clock.set(Metric.FAILED, 0)
        clock.looks(2)

        assert told() == [["opened Open", "resolved Open"]]

    def test_a_silence_keeps_people_from_being_told_and_nothing_else(self, clock: Clock) -> None:
        route()
        rule(for_seconds=0)
        Silence.objects.create(
            starts_at=clock.now, ends_at=clock.now + timedelta(seconds=60), reason="Moving house", by="ada"
        )
        clock.set(Metric.DEAD, 12)
        clock.look()
        assert open_titles() == ["dead rule"]
        assert told() == []

        clock.looks(6)
        assert told() == [["opened dead rule"]], "it still fires when the silence ends"


def test_what_the_last_look_said_stands_on_the_rule(clock: Clock) -> None:
    rule(Metric.BOUNCE_RATE, threshold=0.05, clear_threshold=0.03, split_by="channel")
    clock.set(Metric.BOUNCE_RATE, 0.081, EMAIL, traffic=1000)
    clock.look()

    seen = AlertRule.objects.get()
    assert (seen.standing, seen.seen, seen.seen_at) == ("bad", "email: 8.1%", clock.now)


@pytest.mark.django_db(transaction=True)
def test_while_one_evaluator_has_the_turn_another_writes_nothing(clock: Clock) -> None:
    rule(for_seconds=0)
    clock.set(Metric.DEAD, 12)
    database = connection.settings_dict
    with psycopg.connect(
        dbname=database["NAME"], user=database["USER"], host=database["HOST"] or None, port=database["PORT"] or None
    ) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        assert clock.look() is False
        assert not Alert.objects.exists()

    assert clock.look() is True
    assert Alert.objects.count() == 1


def test_open_alerts_come_the_most_severe_first(clock: Clock) -> None:
    rule(name="B", severity="warning", for_seconds=0)
    rule(Metric.FAILED, name="A", severity="critical", for_seconds=0)
    clock.set(Metric.DEAD, 12)
    clock.set(Metric.FAILED, 12)
    clock.look()
    Alert.objects.filter(title="A").update(acknowledged_at=clock.now, acknowledged_by="ada")

    found = selectors.open_alerts()

    assert [(one.title, one.is_loud) for one in found] == [("A", False), ("B", True)]
    assert selectors.loud_count() == 1
    assert found[0].url == f"/admin/analytics/alert/{found[0].id}/change/"
    assert AlertEvent.objects.count() == 2
