"""What the pipeline counts for Prometheus: each figure as somebody would find it on /metrics."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from prometheus_client.parser import text_string_to_metric_families

from core import metrics as core_metrics
from notifications import latency, metrics
from notifications.choices import EventType
from notifications.models import OutboxMessage, ProcessBeat, QueueDepth, ReceivedEvent
from notifications.observers import OutcomeKey
from notifications.relay import Relay
from notifications.services import events_lane, providers
from notifications.services.events_lane import Incoming
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

#: (name, values of the labels in the labels' alphabetical order) -> figure.
Figures = dict[tuple[str, tuple[str, ...]], float]


def figures(*, whole: bool = False) -> Figures:
    text, _ = core_metrics.exposition(whole=whole)
    families = text_string_to_metric_families(text.decode())
    return {(s.name.removeprefix("carillon_"), tuple(s.labels.values())): s.value for f in families for s in f.samples}


class Growth:
    """How much the counters grow from here on; they belong to the process and know nothing of tests."""

    def __init__(self) -> None:
        self._before = figures()

    def of(self, name: str, *labels: str) -> float:
        return figures().get((name, labels), 0.0) - self._before.get((name, labels), 0.0)


@pytest.fixture
def people(transactional_db: None, settings) -> None:
    use_provider(settings, FakeProvider("fake"))
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipients(3)


def test_a_batch_is_counted_from_acceptance_to_the_provider(people: None):
    grown = Growth()
    # When three people are sent an email, and a worker has done it
    send(*[draft(f"person-{n}", channels=["email"]) for n in range(3)])
    work("email")
    # Then each stage has counted it
    assert grown.of("accepted_total", "api") == 3
    assert grown.of("deliveries_total", "email", "queued", "") == 3
    assert grown.of("claims_total", "email", "normal") == 3
    assert grown.of("batches_total", "email", "normal", "done") >= 1
    assert grown.of("batch_seconds_count", "email") >= 1
    assert grown.of("deliveries_total", "email", "sent", "") == 3
    assert grown.of("provider_deliveries_total", "sent", "fake", "") == 3
    assert grown.of("provider_calls_total", "email", "fake", "answered") >= 1
    assert grown.of("accept_to_sent_seconds_count", "email") == 3


def test_what_is_rolled_back_is_not_counted(people: None):
    grown = Growth()
    with transaction.atomic():
        send(draft("person-0", channels=["email"]))
        transaction.set_rollback(True)  # the order was not placed after all
    assert grown.of("deliveries_total", "email", "queued", "") == 0


def test_a_latency_lies_in_the_bucket_that_its_counter_names():
    grown = Growth()
    for milliseconds in (3, 90, 5_000):
        bucket = latency.bucket(timedelta(milliseconds=milliseconds))
        metrics.count({OutcomeKey("api:x", 1, "sms", "p", latency.OUTCOME, bucket): 10})
    assert grown.of("accept_to_sent_seconds_bucket", "sms", "0.004") == 10
    assert grown.of("accept_to_sent_seconds_bucket", "sms", "0.064") == 10
    assert grown.of("accept_to_sent_seconds_bucket", "sms", "0.128") == 20
    assert grown.of("accept_to_sent_seconds_bucket", "sms", "8.192") == 30
    metrics.count({OutcomeKey("api:x", 1, "sms", "p", latency.OUTCOME, latency.LABELS[-1]): 1})
    assert grown.of("accept_to_sent_seconds_bucket", "sms", "+Inf") == 31


def test_of_a_source_its_kind_alone_is_kept():
    grown = Growth()
    metrics.count(
        {OutcomeKey("campaign:42", 1, "", "", "accepted"): 5, OutcomeKey("campaign:43", 1, "", "", "accepted"): 2}
    )
    assert grown.of("accepted_total", "campaign") == 7


def test_receipts_are_counted_by_what_they_changed():
    grown = Growth()
    metrics.count({OutcomeKey("", 0, "", "acme", "receipt", "unchanged"): 4})
    assert grown.of("receipts_total", "acme", "unchanged") == 4
    assert grown.of("deliveries_total", "", "receipt", "unchanged") == 0


class Broker:
    """Takes all but the last message it is offered."""

    def publish(self, messages):
        return [*[True] * (len(messages) - 1), False]

    def close(self) -> None: ...


@pytest.mark.django_db
def test_a_relay_counts_what_the_broker_took_and_what_it_refused():
    OutboxMessage.objects.create(channel="push", priority="low", delivery_ids=[uuid4()] * 500)
    OutboxMessage.objects.create(channel="push", priority="low", delivery_ids=[uuid4()] * 500)
    grown = Growth()
    Relay(Broker()).step()
    assert (grown.of("relay_messages_total", "push", "low"), grown.of("relay_refused_total", "push", "low")) == (1, 1)


# --- the installation's -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_lanes_processes_and_providers_are_shown_as_they_stand():
    OutboxMessage.objects.create(channel="sms", priority="high", delivery_ids=[uuid4()] * 3)
    ProcessBeat.objects.create(
        kind="worker", name="w", host="h", pid=1, stats={"channels": ["sms"], "priorities": ["high"]}
    )
    found = figures(whole=True)
    assert found["outbox_due", ("sms", "high")] == 3
    assert found["outbox_oldest_seconds", ("sms", "high")] >= 0
    assert (found["processes", ("worker",)], found["processes", ("web",)]) == (1, 0)
    assert (found["workers", ("sms",)], found["workers", ("email",)]) == (1, 0)
    assert found["lane_workers", ("sms", "high")] == 1
    assert found["provider_state", ("simulated_sms", "closed")] == 1
    assert found["provider_state", ("simulated_sms", "open")] == 0
    assert found["channel_open", ("sms",)] == 1
    assert found["collector_failed", ("standing",)] == 0


@pytest.mark.django_db
def test_a_provider_that_is_switched_off_is_shown_so():
    providers.switch_off("simulated_sms", by="anna", reason="contract ended")
    found = figures(whole=True)
    assert found["provider_state", ("simulated_sms", "switched_off")] == 1
    assert found["provider_state", ("simulated_sms", "closed")] == 0


@pytest.mark.django_db
def test_without_redis_circuits_are_unknown_and_channels_not_said_to_be_shut(redis_away):
    redis_away.leave()
    found = figures(whole=True)
    assert found["provider_state", ("simulated_sms", "unknown")] == 1
    assert not [name for name, _ in found if name == "channel_open"]
    assert figures()["redis_away", ()] == 1


@pytest.mark.django_db
def test_a_queue_nobody_looked_at_is_missing_and_not_empty(settings):
    settings.BROKER_URL = "amqp://never.asked"
    assert not [name for name, _ in figures(whole=True) if name == "queue_messages"]
    QueueDepth.objects.create(channel="push", priority="low", messages=7, at="2020-01-01T00:00Z")
    assert not [name for name, _ in figures(whole=True) if name == "queue_messages"]


@pytest.fixture
def unreachable_database(django_db_blocker: object) -> Iterator[None]:
    """PostgreSQL at a port where nobody listens."""
    good = connection.settings_dict.copy()
    connection.close()
    connection.settings_dict["PORT"] = "1"
    with django_db_blocker.unblock():
        yield
    connection.close()
    connection.settings_dict.update(good)


def test_without_postgresql_the_process_tells_what_it_counted_itself_and_what_is_missing(unreachable_database: None):
    found = figures(whole=True)
    assert found["collector_failed", ("standing",)] == 1
    assert found["beat_failures_total", ()] >= 0
    assert not [name for name, _ in found if name in {"outbox_lag_seconds", "dead_letters", "workers"}]


def test_no_metric_has_a_label_for_a_person_a_notification_or_a_campaign():
    text, _ = core_metrics.exposition()
    labels = {label for f in text_string_to_metric_families(text.decode()) for s in f.samples for label in s.labels}
    bounded = {"channel", "priority", "provider", "outcome", "reason", "result", "verdict", "via", "kind", "process"}
    assert labels <= bounded | {"method", "route", "status", "task", "what", "le", "generation"}


def test_what_waits_on_the_events_lane_is_shown_with_its_age(transactional_db: None):
    events_lane.put([Incoming(type=EventType.DELIVERED, origin="fake", delivery_id=uuid4()) for _ in range(3)])
    ReceivedEvent.objects.update(due_at=Now() - timedelta(minutes=2))

    found = figures(whole=True)

    assert found["events_waiting", ()] == 3
    assert 120 <= found["events_oldest_seconds", ()] < 150
