"""`manage.py counts`: the proof that counters are what the record says, and the repair."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from analytics import retention
from analytics.models import CategoryCell, MinuteCount, SourceCell, TotalCell
from analytics.observer import MinuteCounts
from analytics.rollups import reading, record, rolling, spans
from analytics.rollups.reading import Where
from analytics.services import CannotRebuild, rebuild, verify, verify_cells
from core import ids
from core.moments import database_now
from notifications import latency
from notifications.choices import EventType
from notifications.drafts import Draft
from notifications.models import Delivery, DeliveryEvent
from notifications.observers import OutcomeKey
from notifications.services.notification import NotificationService
from tests import factories

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
SENT = OutcomeKey("api:abc", 0, "email", "smtp", "sent")


@pytest.fixture
def now() -> datetime:
    return database_now()


@pytest.fixture
def hour(now: datetime) -> datetime:
    """An hour of the day before yesterday, in which three emails were sent, two of them at once and one after a minute;
    rolled up."""
    category = factories.category("orders")
    factories.template("order-shipped")
    factories.recipients(3)
    hour = spans.floor(now - timedelta(days=2), 60)
    drafts = [
        Draft(recipient=f"person-{n}", category="orders", template="order-shipped", channels=("email",))
        for n in range(3)
    ]
    NotificationService().send(drafts, source="api:abc")
    MinuteCount.objects.all().delete()
    DeliveryEvent.objects.all().delete()
    sent = SENT._replace(category_id=category.id)
    for delivery, minutes, took in zip(Delivery.objects.order_by("id"), (5, 5, 40), (1, 1, 60), strict=True):
        happen(delivery, hour + timedelta(minutes=minutes), timedelta(seconds=took), sent)
    MinuteCounts().record({sent._replace(channel="", provider="", outcome="accepted"): 3}, hour)
    roll()
    return hour


def happen(delivery: Delivery, at: datetime, took: timedelta, key: OutcomeKey) -> None:
    """A send of the past, on the record and counted."""
    Delivery.objects.filter(pk=delivery.pk).update(created_at=at - took)
    id = ids.deterministic(at, [delivery.pk])
    DeliveryEvent.objects.create(id=id, delivery=delivery, type="sent", provider="smtp", at=at)
    MinuteCounts().record({key: 1, key._replace(outcome=latency.OUTCOME, reason=latency.bucket(took)): 1}, at)


def roll() -> None:
    while rolling.roll():
        pass


def counts(*arguments: str) -> str:
    out = StringIO()
    call_command("counts", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def spanning(hour: datetime) -> tuple[str, str, str, str]:
    return ("--since", f"{hour:%Y-%m-%dT%H:%M}", "--until", f"{hour + HOUR:%Y-%m-%dT%H:%M}")


def test_what_is_right_is_said_to_be_right(hour: datetime) -> None:
    assert "is what the record says" in counts("verify", *spanning(hour))
    assert verify(hour - HOUR, hour + 2 * HOUR) == []
    assert verify_cells(hour - timedelta(days=20), database_now()) == []


@pytest.mark.parametrize("outcome", ["sent", latency.OUTCOME])
def test_a_wrong_counter_is_named_and_the_command_fails(hour: datetime, outcome: str) -> None:
    MinuteCount.objects.filter(outcome=outcome, minute=hour + timedelta(minutes=5)).update(count=70)

    with pytest.raises(CommandError, match="not what the record says"):
        counts("verify", *spanning(hour))

    (wrong,) = verify(hour, hour + HOUR)
    assert (wrong.key.outcome, wrong.counted, wrong.happened, wrong.size) == (outcome, 70, 2, 1)


@pytest.mark.parametrize("model", [TotalCell, CategoryCell, SourceCell])
@pytest.mark.parametrize("size", [60, 1440])
def test_a_wrong_cell_is_named(hour: datetime, model: Any, size: int) -> None:
    model.objects.filter(step=size, outcome="sent").update(count=70)

    (wrong, *_) = [one for one in verify_cells(hour - timedelta(days=8), database_now()) if one.size == size]

    assert (wrong.key.outcome, wrong.counted, wrong.happened) == ("sent", 70, 3)


@pytest.mark.parametrize("size", [60, 1440])
def test_a_lost_cell_is_named(hour: datetime, size: int) -> None:
    CategoryCell.objects.filter(step=size, outcome="sent").delete()

    assert [(one.counted, one.happened) for one in verify_cells(hour - timedelta(days=8), database_now())] == [(0, 3)]


def assert_all_right(hour: datetime) -> None:
    assert verify(hour - HOUR, hour + 2 * HOUR) == []
    assert verify_cells(hour - timedelta(days=20), database_now()) == []
    for where in (Where(), Where(source="api:abc")):
        told = reading.tallies(since=hour - timedelta(days=20), where=where)
        assert (told.total("sent"), told.total("accepted")) == (3, 3)


def test_an_hour_is_counted_anew_in_every_table(hour: datetime) -> None:
    MinuteCount.objects.filter(outcome="sent").update(count=70)
    MinuteCount.objects.filter(outcome=latency.OUTCOME).delete()
    for model in (TotalCell, CategoryCell, SourceCell):
        model.objects.filter(outcome="sent").update(count=70)
        model.objects.filter(outcome=latency.OUTCOME).delete()

    said = counts("rebuild", *spanning(hour))

    assert "4 counters were wrong" in said
    assert_all_right(hour)
    assert "0 counters were wrong" in counts("rebuild", *spanning(hour))
    assert_all_right(hour)


def test_an_hour_whose_minutes_are_gone_is_counted_anew_by_the_hour(hour: datetime, settings: Any) -> None:
    settings.COUNTS_MINUTES_DAYS = 1
    for _ in range(2):
        retention.purge()
    assert not MinuteCount.objects.exists()
    SourceCell.objects.filter(step=60, outcome="sent").update(count=70)
    assert [(one.counted, one.happened, one.size) for one in verify(hour, hour + HOUR)] == [(70, 3, 60)]

    rebuild(hour)

    assert verify(hour, hour + HOUR) == []
    assert not MinuteCount.objects.exists()
    assert_all_right(hour)


def test_an_hour_that_is_not_over_is_left_alone(now: datetime) -> None:
    with pytest.raises(CannotRebuild, match="not over"):
        rebuild(now)


def test_an_hour_whose_record_went_with_its_week_is_left_as_it_was_counted(hour: datetime) -> None:
    Delivery.objects.order_by("id").last().delete()

    with pytest.raises(CommandError, match="1 hours were left"):
        counts("rebuild", *spanning(hour))

    assert reading.tallies(since=hour).total("sent") == 3


def test_an_hour_before_the_record_begins_is_left_as_it_was_counted(now: datetime) -> None:
    with pytest.raises(CannotRebuild, match="no longer whole"):
        rebuild(now - timedelta(days=500))


def test_an_hour_of_which_only_the_day_is_kept_is_left_alone(hour: datetime, settings: Any) -> None:
    settings.COUNTS_MINUTES_DAYS = settings.COUNTS_TEN_MINUTES_DAYS = settings.COUNTS_HOURS_DAYS = 1
    for _ in range(2):
        retention.purge()

    with pytest.raises(CannotRebuild, match="by the day alone"):
        rebuild(hour)


def test_every_event_type_is_proven() -> None:
    assert {*EventType.values, latency.OUTCOME} <= set(record.RETOLD)


def test_a_span_without_time_is_refused() -> None:
    with pytest.raises(CommandError, match="nothing between"):
        counts("verify", "--since", "2026-01-02", "--until", "2026-01-01")
