"""The latency of what is sent, as workers count it and as the record tells it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from analytics.models import MinuteCount
from analytics.rollups import reading
from analytics.services import verify
from core.moments import database_now
from notifications import latency
from notifications.choices import EventType
from notifications.drafts import Draft
from notifications.models import Delivery, DeliveryEvent, Notification
from notifications.services.claims import Claim, Result
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker
from tests import factories

HOUR = timedelta(hours=1)


@pytest.fixture
def started(db: None) -> datetime:
    """The moment of everything in such a test: it is one transaction."""
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipients(3)
    return database_now()


def accept(n: int, *, send_at: datetime | None = None) -> None:
    """As if it had taken no time at all."""
    what: dict[str, Any] = {"category": "orders", "template": "order-shipped", "channels": ("email",)}
    drafts = [Draft(recipient=f"person-{i}", send_at=send_at, **what) for i in range(n)]
    NotificationService().send(drafts, source="api:abc")
    Delivery.objects.update(created_at=database_now())


def claim() -> list[Claim]:
    ids = [id.bytes for id in Delivery.objects.order_by("id").values_list("id", flat=True)]
    return DeliveryTracker().claim(ids, channel="email", priority="normal")


def counted() -> dict[str, int]:
    found = MinuteCount.objects.filter(outcome=latency.OUTCOME)
    assert all((row.source, row.channel, row.provider) == ("api:abc", "email", "smtp") for row in found)
    return dict(found.values_list("reason", "count"))


def test_each_send_is_counted_by_how_long_it_took(started: datetime) -> None:
    # Given three messages accepted 0.5 s, 0.5 s and 40 s ago
    accept(3)
    ages = [timedelta(seconds=s) for s in (0.5, 0.5, 40)]
    for row, age in zip(Delivery.objects.order_by("id"), ages, strict=True):
        Delivery.objects.filter(pk=row.pk).update(created_at=F("created_at") - age)

    # When they are sent
    DeliveryTracker().record([Result(one, EventType.SENT, "smtp") for one in claim()])

    # Then the histogram holds these three
    assert counted() == {latency.bucket(ages[0]): 2, latency.bucket(ages[2]): 1}
    (found,) = reading.latency(since=started).values()
    assert found.count == 3
    assert verify(started - HOUR, started + HOUR) == []


def test_a_scheduled_message_is_not_late_before_its_time(started: datetime) -> None:
    accept(1, send_at=started + timedelta(minutes=5))
    Delivery.objects.update(created_at=started - timedelta(hours=5))  # and not in this very moment
    Notification.objects.update(send_at=started - timedelta(seconds=2))

    DeliveryTracker().record([Result(one, EventType.SENT, "smtp") for one in claim()])

    assert counted() == {latency.bucket(timedelta(seconds=2)): 1}
    assert verify(started - HOUR, started + HOUR) == []


def test_an_event_is_of_the_moment_of_its_transaction_as_its_counter_is(started: datetime) -> None:
    accept(1)
    DeliveryTracker().record([Result(one, EventType.SENT, "smtp") for one in claim()])

    # Not of its statement's: that may be in the next minute.
    assert DeliveryEvent.objects.get(type=EventType.SENT).at == started


def test_what_was_not_sent_has_no_latency(started: datetime) -> None:
    accept(2)
    one, other = claim()

    DeliveryTracker().record(
        [Result(one, EventType.FAILED, "smtp", "rejected"), Result(other, EventType.DEFERRED, "smtp", "timeout")]
    )

    assert counted() == {}


def test_recording_again_after_a_lost_answer_counts_no_second_latency(started: datetime) -> None:
    accept(1)
    results = [Result(one, EventType.SENT, "smtp") for one in claim()]

    for _ in range(3):
        DeliveryTracker().record(results)

    assert sum(counted().values()) == 1


def test_a_miscounted_latency_is_found(started: datetime) -> None:
    accept(1)
    DeliveryTracker().record([Result(one, EventType.SENT, "smtp") for one in claim()])

    MinuteCount.objects.filter(outcome=latency.OUTCOME).update(reason="42")

    wrong = verify(started - HOUR, started + HOUR)
    assert [(d.key.outcome, d.key.reason, d.counted, d.happened) for d in wrong] == [
        ("latency", "00", 0, 1), ("latency", "42", 1, 0),
    ]  # fmt: skip


def _by_postgresql(ages: list[timedelta]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lpad(width_bucket(age, %s::interval[])::text, 2, '0') FROM unnest(%s::interval[]) age",
            [list(latency.EDGES), ages],
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.django_db
def test_postgresql_and_python_agree_at_every_edge() -> None:
    near = [edge + n * timedelta(microseconds=1) for edge in latency.EDGES for n in (-1, 0, 1)]

    assert _by_postgresql(near) == [latency.bucket(age) for age in near]


@given(st.timedeltas(min_value=timedelta(seconds=-5), max_value=timedelta(days=30)))
def test_a_bucket_holds_what_lies_between_its_edges(age: timedelta) -> None:
    number = int(latency.bucket(age))

    assert number == 0 or latency.EDGES[number - 1] <= age
    assert number == len(latency.EDGES) or age < latency.EDGES[number]
