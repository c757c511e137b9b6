"""What each metric reads, from the counters, lanes, beats and circuits as they are."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from analytics.alerts.choices import Metric
from analytics.alerts.look import Ask, Look
from analytics.alerts.metrics import METRICS, Sample
from analytics.alerts.muting import Scope
from analytics.observer import MinuteCounts
from core import redis
from core.moments import database_now
from notifications.choices import EventType
from notifications.models import OutboxMessage, ProcessBeat, ProviderSwitch, ReceivedEvent
from notifications.observers import OutcomeKey
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from notifications.services import events_lane
from notifications.services.events_lane import Incoming

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def key(channel: str, provider: str, outcome: str, reason: str = "", source: str = "api:abc") -> OutcomeKey:
    return OutcomeKey(source, 1, channel, provider, outcome, reason)


def counted(counts: dict[OutcomeKey, int], *, ago: timedelta = timedelta(0)) -> None:
    MinuteCounts().record(counts, database_now() - ago)


def read(metric: str, window: timedelta = HOUR, **ask: Any) -> dict[Scope, Sample]:
    return {one.scope: one for one in METRICS[metric](Look(database_now()), Ask(window, **ask))}


def test_the_delivery_rate_leaves_out_addresses_that_do_not_exist() -> None:
    counted(
        {
            key("email", "ses", "sent"): 90,
            key("email", "ses", "deferred", "unavailable"): 8,
            key("email", "ses", "failed", "rejected"): 2,
            key("email", "ses", "failed", "invalid_address"): 50,
            key("sms", "tw", "sent"): 10,
        }
    )
    counted({key("email", "ses", "dead", "timeout"): 1000}, ago=2 * HOUR)

    found = read(Metric.DELIVERY_RATE, by="channel")

    assert (found[Scope("email")].value, found[Scope("email")].traffic) == (0.9, 100)
    assert found[Scope("sms")].value == 1.0
    assert read(Metric.FAILURE_RATE)[Scope()].value == pytest.approx(10 / 110)


def test_a_provider_answers_for_its_own_errors_also_when_the_next_one_helped_out() -> None:
    counted(
        {
            key("email", "simulated_email", "sent"): 50,
            key("email", "simulated_email", "declined", "unavailable"): 30,
            key("email", "simulated_email", "deferred", "timeout"): 10,
            key("email", "simulated_email", "deferred", "throttled"): 5,
            key("email", "simulated_email", "failed", "content_refused"): 5,
            key("email", "simulated_email_backup", "sent"): 30,
        }
    )

    found = read(Metric.PROVIDER_ERRORS, by="provider")

    assert found[Scope("email", "simulated_email")].value == 0.4
    assert found[Scope("email", "simulated_email_backup")].value == 0.0


def test_a_campaign_is_told_from_the_rest() -> None:
    counted({key("email", "ses", "sent"): 100, key("email", "ses", "bounced"): 1})
    counted(
        {
            key("email", "ses", "sent", source="campaign:7"): 10,
            key("email", "ses", "bounced", source="campaign:7"): 5,
        }
    )

    assert read(Metric.BOUNCE_RATE, source="campaign:7")[Scope()].value == 0.5


def test_what_should_come_in_is_what_came_at_this_hour_yesterday() -> None:
    quarter = timedelta(minutes=15)
    counted({key("", "", "accepted"): 200}, ago=timedelta(days=1, minutes=5))
    counted({key("", "", "accepted"): 5000}, ago=timedelta(hours=3))

    [sample] = read(Metric.ACCEPTED, quarter).values()

    assert (sample.value, sample.traffic) == (0.0, 200)


def test_a_provider_that_never_reports_is_not_missed() -> None:
    counted({key("email", "quiet", "sent"): 500, key("email", "talks", "sent"): 500})
    counted({key("email", "talks", "delivered"): 400}, ago=2 * HOUR)

    found = read(Metric.RECEIPT_RATE, by="provider")

    assert found[Scope("", "quiet")].traffic == 0
    assert (found[Scope("", "talks")].value, found[Scope("", "talks")].traffic) == (0.0, 500)


@pytest.mark.parametrize("by", ["provider", "channel", ""])
def test_people_who_do_not_look_into_the_inbox_are_no_missing_receipts(by: str) -> None:
    counted(
        {key("in_app", "feed", "sent"): 500, key("sms", "talks", "sent"): 100, key("sms", "talks", "delivered"): 90}
    )
    counted({key("in_app", "feed", "delivered"): 3, key("sms", "talks", "delivered"): 90}, ago=2 * HOUR)

    found = read(Metric.RECEIPT_RATE, by=by).values()

    assert sum(one.traffic or 0 for one in found) == 100
    assert {one.value for one in found} <= {None, 0.9}


def test_the_age_of_what_waits_by_channel_and_priority() -> None:
    now = database_now()
    for channel, priority, age in (("email", "low", 300), ("email", "critical", 40), ("sms", "low", 5)):
        OutboxMessage.objects.create(
            channel=channel, priority=priority, due_at=now - timedelta(seconds=age), delivery_ids=[uuid4()]
        )

    found = read(Metric.OLDEST_DUE, by="channel")
    assert found[Scope("email")].value == pytest.approx(300, abs=5)
    assert found[Scope("push")].value == 0.0
    assert read(Metric.OLDEST_DUE, by="channel", priority="critical")[Scope("email")].value == pytest.approx(40, abs=5)
    assert read(Metric.OUTBOX_LAG)[Scope()].value == pytest.approx(300, abs=5)


def test_the_age_of_what_came_from_outside_and_is_not_applied() -> None:
    events_lane.put([Incoming(type=EventType.DELIVERED, origin="simulated_email", delivery_id=uuid4())])
    ReceivedEvent.objects.update(due_at=database_now() - timedelta(seconds=90))

    assert read(Metric.EVENTS_LAG)[Scope()].value == pytest.approx(90, abs=5)


def test_workers_are_missed_only_where_something_waits_for_them() -> None:
    ProcessBeat.objects.create(
        kind="worker", name="w", host="h", pid=1, started_at=timezone.now(), stats={"channels": ["email"]}
    )
    OutboxMessage.objects.create(channel="sms", priority="low", due_at=database_now(), delivery_ids=[uuid4()])

    found = read(Metric.WORKERS, by="channel")

    assert found[Scope("email")].value == 1
    assert (found[Scope("sms")].value, found[Scope("sms")].traffic) == (0, 1)
    assert found[Scope("push")].traffic == 0


def test_the_kinds_of_processes_that_are_missing_are_named() -> None:
    ProcessBeat.objects.create(kind="web", name="web", host="h", pid=1, started_at=timezone.now(), stats={})

    [sample] = read(Metric.PROCESSES_MISSING).values()

    assert (sample.value, sample.note) == (2.0, "campaigns, events")


def test_an_open_circuit_and_a_channel_that_nobody_serves() -> None:
    Breaker().report("simulated_email", Report(answered=0, failed=30))

    found = read(Metric.BREAKER_OPEN, by="provider")
    assert found[Scope("email", "simulated_email")].value == 1.0
    assert found[Scope("email", "simulated_email_backup")].value == 0.0
    assert read(Metric.NOBODY_SERVES, by="channel")[Scope("email")].value == 0.0

    ProviderSwitch.objects.create(provider="simulated_email_backup", by="ada", reason="x")
    assert read(Metric.NOBODY_SERVES, by="channel")[Scope("email")].value == 1.0


def test_without_redis_circuits_are_unknown_and_redis_is_said_to_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: object) -> Any:
        raise redis.RedisError

    monkeypatch.setattr(Breaker, "read", gone)

    assert {one.value for one in read(Metric.BREAKER_OPEN, by="provider").values()} == {None}
    assert read(Metric.NOBODY_SERVES, by="channel")[Scope("email")].value is None
    assert read(Metric.REDIS_AWAY)[Scope()].value == 1.0
