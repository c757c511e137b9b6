"""The relay without a broker: what it puts together, and what it deletes."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from core.ids import keys_of
from notifications import relay
from notifications.errors import BrokerUnavailable
from notifications.messaging.base import WorkMessage
from notifications.models import OutboxMessage
from notifications.relay import DueRow, Relay, pack
from tests.notifications.messaging.harness import enqueue, ids


class FakePublisher:
    """Takes everything but the lanes it is told to refuse."""

    def __init__(self) -> None:
        self.published: list[WorkMessage] = []
        self.refused: set[tuple[str, str]] = set()
        self.down = False

    def publish(self, messages: Sequence[WorkMessage]) -> list[bool]:
        if self.down:
            raise BrokerUnavailable("down")
        taken = [(message.channel, message.priority) not in self.refused for message in messages]
        self.published += [message for message, ok in zip(messages, taken, strict=True) if ok]
        return taken

    def close(self) -> None: ...


def row(id: int, count: int, *, lane: tuple[str, str] = ("email", "normal"), alone: bool = False) -> DueRow:
    return DueRow(id, *lane, alone, ids(count))


def test_rows_are_packed_whole_up_to_500() -> None:
    parcels = list(pack([row(1, 300), row(2, 200), row(3, 1), row(4, 500), row(5, 1)]))

    assert [(len(parcel.message.deliveries), parcel.rows) for parcel in parcels] == [
        (500, (1, 2)),
        (1, (3,)),
        (500, (4,)),
        (1, (5,)),
    ]


def test_lanes_are_never_mixed() -> None:
    parcels = list(pack([row(1, 1), row(2, 1, lane=("sms", "normal")), row(3, 1, lane=("sms", "low"))]))

    assert [(p.message.channel, p.message.priority) for p in parcels] == [
        ("email", "normal"),
        ("sms", "normal"),
        ("sms", "low"),
    ]


def test_a_row_that_came_back_from_a_crash_travels_alone_and_says_so() -> None:
    parcels = list(pack([row(1, 1), row(2, 1, alone=True), row(3, 1)]))

    assert sorted((parcel.rows, parcel.message.redelivered) for parcel in parcels) == [
        ((1, 3), False),
        ((2,), True),
    ]


@pytest.mark.django_db
def test_what_is_due_is_published_once_and_leaves_the_outbox() -> None:
    deliveries = ids(3)
    for delivery in deliveries:
        enqueue([delivery])
    later = enqueue(ids(1))
    OutboxMessage.objects.filter(id=later.id).update(due_at=Now() + timedelta(minutes=1))
    publisher = FakePublisher()

    assert Relay(publisher).step() == 1
    assert Relay(publisher).step() == 0

    assert list(publisher.published[0].deliveries) == keys_of(deliveries)
    assert OutboxMessage.objects.get().id == later.id


@pytest.mark.django_db
def test_critical_is_published_before_what_came_earlier() -> None:
    enqueue(ids(1), channel="push", priority="low")
    enqueue(ids(1), channel="in_app", priority="critical")
    publisher = FakePublisher()

    Relay(publisher).step()

    assert [message.priority for message in publisher.published] == ["critical", "low"]


@pytest.mark.django_db
def test_a_campaign_fills_only_its_own_share_of_a_round() -> None:
    OutboxMessage.objects.bulk_create(
        OutboxMessage(channel="email", priority="low", delivery_ids=ids(500)) for _ in range(50)
    )
    enqueue(ids(1), channel="sms", priority="low")
    publisher = FakePublisher()
    the_relay = Relay(publisher)

    assert the_relay.step() == relay.ROUND_DELIVERIES // 500 + 1

    assert "sms" in {message.channel for message in publisher.published}
    assert the_relay.busy  # the rest follows at once
    while the_relay.step():
        pass
    assert not OutboxMessage.objects.exists()
    assert not the_relay.busy


@pytest.mark.django_db
def test_a_refused_message_keeps_its_rows_and_pauses_its_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FULL_PAUSE_SECONDS", 0.2)
    kept = enqueue(ids(1), channel="sms")
    enqueue(ids(1), channel="email")
    publisher = FakePublisher()
    publisher.refused = {("sms", "normal")}
    the_relay = Relay(publisher)

    assert the_relay.step() == 1
    assert OutboxMessage.objects.get().id == kept.id

    # The lane has room again, but is asked only after its pause; the others meanwhile
    publisher.refused = set()
    enqueue(ids(1), channel="email")
    assert the_relay.step() == 1
    assert OutboxMessage.objects.get().id == kept.id
    deadline_rounds = 100
    while the_relay.step() == 0 and deadline_rounds:
        deadline_rounds -= 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db
def test_an_unreachable_broker_deletes_nothing() -> None:
    enqueue(ids(1))
    publisher = FakePublisher()
    publisher.down = True

    with pytest.raises(BrokerUnavailable):
        Relay(publisher).step()

    assert OutboxMessage.objects.count() == 1


def test_without_a_broker_the_command_says_that_no_relay_is_needed(settings: LazySettings) -> None:
    settings.BROKER_URL = ""

    with pytest.raises(CommandError, match="no relay is needed"):
        call_command("run_relay")
