"""A queue that is full: the relay stops, asks little, goes on by itself, and nothing is lost or sent twice."""

import time
from collections.abc import Sequence

import pytest
from django.conf import LazySettings

from notifications import messaging, relay
from notifications.messaging.base import Publisher, WorkMessage
from notifications.models import OutboxMessage
from notifications.relay import Relay
from tests.notifications.messaging.harness import RabbitTransport, Recorder, enqueue, ids, running, wait_for

pytestmark = pytest.mark.rabbitmq

LENGTH = 10


class Counting:
    """Publishes, and notes when how many messages were offered."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.offered: list[tuple[float, int]] = []

    def publish(self, messages: Sequence[WorkMessage]) -> list[bool]:
        self.offered.append((time.monotonic(), len(messages)))
        return self.publisher.publish(messages)

    def close(self) -> None:
        self.publisher.close()


@pytest.fixture
def counting(rabbit: RabbitTransport, settings: LazySettings) -> Counting:
    """A relay's publisher to queues of LENGTH messages."""
    messaging.delete_topology()
    settings.BROKER_MAX_QUEUE_LENGTH = LENGTH
    messaging.declare_topology()
    return Counting(rabbit.relay.publisher)


def turn(the_relay: Relay, seconds: float) -> int:
    """Rounds as the relay's process makes them; the messages that were taken."""
    until, taken = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        taken += the_relay.step()
        if not the_relay.busy:
            time.sleep(0.03)
    return taken


@pytest.mark.parametrize("alone", [False, True], ids=["full messages", "rows that travel alone"])
def test_a_full_queue_is_offered_one_message_a_second_and_loses_none(counting: Counting, alone: bool) -> None:
    # Given far more work than the queue takes, and nobody who works
    size = 1 if alone else 500
    # A queue takes more than its length when much arrives at once: the refusal follows a moment later.
    rows = [enqueue(ids(size)) for _ in range(600 if alone else 80)]
    if alone:
        OutboxMessage.objects.update(takes=1)
    the_relay = Relay(counting)

    # When the queue has filled up
    accepted = turn(the_relay, 1.5)
    filled, counting.offered = len(counting.offered), []
    accepted += turn(the_relay, 3.0)

    # Then the broker is troubled with a probe now and then, and what it refused is in the outbox still
    assert filled
    assert sum(count for _, count in counting.offered) <= 4
    left = set(OutboxMessage.objects.values_list("id", flat=True))
    assert len(left) == len(rows) - accepted
    assert messaging.depths()["email", "normal"] == accepted
    assert accepted < len(rows)

    # And with a worker all of it goes, each once
    recorder = Recorder()
    with running(recorder, priorities=["normal"]):
        wait_for(
            lambda: turn(the_relay, 0.2) >= 0 and sum(recorder.seen.values()) == size * len(rows),
            seconds=60,
            what="all work done",
        )
    assert set(recorder.seen.values()) == {1}
    assert not OutboxMessage.objects.exists()


def test_a_queue_with_room_again_is_filled_at_once(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FULL_PAUSE_SECONDS", 0.2)
    for _ in range(30):
        enqueue(ids(500))
    the_relay = Relay(counting)
    turn(the_relay, 1.0)

    with running(Recorder(), priorities=["normal"]):
        wait_for(lambda: not messaging.depths()["email", "normal"], what="the queue is empty")
    began = time.monotonic()
    wait_for(lambda: the_relay.step() >= 0 and messaging.depths()["email", "normal"] >= LENGTH, what="full again")

    assert time.monotonic() - began < 2.0
    assert OutboxMessage.objects.count() <= 30 - LENGTH
