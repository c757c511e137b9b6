"""The events lane: what was put on it is there, until the transaction that takes it commits."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from core.ids import uuid7
from notifications.choices import EventType
from notifications.models import ReceivedEvent
from notifications.services import events_lane
from notifications.services.events_lane import MAX_EVENT_ID, Incoming, LaneFull, lane_gauge
from tests.plans import plans

pytestmark = pytest.mark.django_db(transaction=True)


def event(**more: Any) -> Incoming:
    return Incoming(**{"type": EventType.DELIVERED, "origin": "mailhouse", "delivery_id": uuid7(), **more})


def taken(limit: int = 10) -> list[Incoming]:
    """As they were put: without the moment, which the lane adds."""
    with transaction.atomic():
        events = events_lane.take(limit)
    assert all(event.at is not None for event in events)
    return [msgspec.structs.replace(event, at=None) for event in events]


def test_what_was_put_is_taken_as_it_was_and_once() -> None:
    events = [
        event(type=EventType.BOUNCED, event_id="e-1", code="invalid_address", detail="550 5.1.1"),
        event(type=EventType.CLICKED, origin="link", machine="scanner"),
    ]

    events_lane.put(events)

    assert sorted(taken(), key=lambda each: each.type) == events
    assert taken() == []


def test_a_batch_is_one_statement_whatever_its_size(django_assert_num_queries: Any) -> None:
    assert not lane_gauge.is_full()  # asked once a second, by one more

    with django_assert_num_queries(1):
        events_lane.put([event() for _ in range(300)])
    assert ReceivedEvent.objects.count() == 300
    with django_assert_num_queries(0):
        events_lane.put([])


def test_taken_in_a_transaction_that_is_undone_they_are_still_there() -> None:
    events_lane.put([event(), event()])

    with transaction.atomic():
        assert len(events_lane.take(10)) == 2
        transaction.set_rollback(True)

    assert len(taken()) == 2


def test_at_most_so_many_are_taken_oldest_first() -> None:
    first, second, third = event(), event(), event()
    for each in (first, second, third):
        events_lane.put([each])

    assert taken(2) in ([first, second], [second, first])
    assert taken(2) == [third]


def test_what_is_set_aside_is_not_taken_before_its_time() -> None:
    events_lane.put([event(detail="odd")])

    with transaction.atomic():
        events_lane.set_aside(events_lane.take(10), seconds=60)

    assert taken() == []
    assert events_lane.depth()[::2] == (0, 1)
    ReceivedEvent.objects.update(due_at="2020-01-01T00:00Z")
    assert [each.detail for each in taken()] == ["odd"]


def test_what_is_set_aside_keeps_the_moment_it_came() -> None:
    events_lane.put([event()])
    ReceivedEvent.objects.update(received_at="2020-01-01T00:00Z")

    with transaction.atomic():
        events_lane.set_aside(events_lane.take(10), seconds=60)

    assert ReceivedEvent.objects.get().received_at == datetime(2020, 1, 1, tzinfo=UTC)


def test_taking_outside_a_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        events_lane.take(10)
    with pytest.raises(transaction.TransactionManagementError):
        events_lane.set_aside([event()], seconds=1)


def test_what_only_a_newer_release_has_a_word_for_is_left_to_it() -> None:
    events_lane.put([event(), event(origin="new")])
    ReceivedEvent.objects.filter(origin="new").update(type="tomorrow")

    assert [each.origin for each in taken()] == ["mailhouse"]
    assert ReceivedEvent.objects.get().type == "tomorrow"


def test_a_vendors_odd_text_is_made_fit() -> None:
    events_lane.put([event(event_id="x" * 500, code="\x00bad", detail="half a pair \ud800, " + "y" * 5000)])

    (found,) = taken()

    assert (len(found.event_id), found.code) == (MAX_EVENT_ID, "bad")
    assert found.detail.startswith("half a pair ?, y")
    assert len(found.detail) == 500


def test_a_full_lane_takes_nothing_more(settings: Any) -> None:
    settings.EVENTS_MAX_ROWS = 2
    events_lane.put([event(), event(), event()])
    lane_gauge.forget()

    with pytest.raises(LaneFull):
        events_lane.put([event()])

    assert ReceivedEvent.objects.count() == 3


def test_no_bound_is_no_bound(settings: Any, django_assert_num_queries: Any) -> None:
    settings.EVENTS_MAX_ROWS = 0

    with django_assert_num_queries(1):
        events_lane.put([event()])


def test_it_tells_how_much_waits_and_for_how_long() -> None:
    assert events_lane.depth() == (0, 0.0, 0)
    events_lane.put([event(), event()])
    with transaction.atomic():
        events_lane.set_aside(events_lane.take(1), seconds=3600)
    ReceivedEvent.objects.filter(due_at__lte=Now()).update(due_at=Now() - timedelta(minutes=2))

    due, oldest, later = events_lane.depth()

    assert (due, later) == (1, 1)
    assert 120 <= oldest < 150


def test_a_taker_passes_over_what_was_taken_and_looks_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a taker that has taken something and does not look back for an hour
    monkeypatch.setattr(events_lane, "REST", 1_000_000)
    taker = events_lane.Taker()

    def found() -> list[str]:
        with transaction.atomic():
            return sorted(one.origin for one in taker.take(10))

    events_lane.put([event(origin="first")])
    assert found() == ["first"]
    # When one appears that came a moment before, one that came long before, and a new one
    events_lane.put([event(origin="moment"), event(origin="long"), event(origin="new")])
    for origin, seconds in (("moment", 1), ("long", 60)):
        ReceivedEvent.objects.filter(origin=origin).update(due_at=Now() - timedelta(seconds=seconds))
    # Then the long one is found when it looks back, and the others at once
    assert found() == ["moment", "new"]
    monkeypatch.setattr(taker, "_look_back_at", 0.0)
    assert found() == ["long"]


def test_a_taker_looks_back_at_most_a_twentieth_of_its_time() -> None:
    taker = events_lane.Taker()
    with transaction.atomic():
        began = time.monotonic()
        taker.take(10)
        took = time.monotonic() - began

    assert 0 < taker._look_back_at - time.monotonic() <= events_lane.REST * took


def test_a_long_lane_is_taken_by_its_index() -> None:
    events_lane.put([event() for _ in range(5000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_receivedevent")

    with plans("DELETE") as seen:
        taken(100)

    assert len(seen) == 1
    assert "received_event_due" in seen[0]
    assert "Seq Scan" not in seen[0]
