"""What every transport promises, whoever carries the work."""

import threading
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from notifications.choices import Status
from notifications.messaging.base import Verdict
from notifications.models import DeadLetter, Delivery, OutboxMessage
from tests.notifications.messaging.harness import (
    PRIORITIES,
    Recorder,
    Transport,
    enqueue,
    ids,
    queued_delivery,
    running,
    uuids,
    wait_for,
)


def test_a_batch_arrives_once_and_done_removes_it(transport: Transport) -> None:
    deliveries = ids(500)
    enqueue(deliveries)
    transport.flush()
    worker = Recorder()

    with running(worker):
        wait_for(lambda: worker.done)
        wait_for(lambda: transport.left() == 0)

    assert [uuids(message) for message in worker.messages] == [deliveries]
    assert (worker.messages[0].channel, worker.messages[0].priority) == ("email", "normal")


def test_single_sends_of_a_lane_travel_together(transport: Transport) -> None:
    deliveries = ids(600)
    for delivery in deliveries:
        enqueue([delivery])
    transport.flush()
    worker = Recorder()

    with running(worker):
        wait_for(lambda: len(worker.done) == 600)

    assert sorted(len(message.deliveries) for message in worker.messages) == [100, 500]
    assert sorted(worker.done) == deliveries


def test_a_row_that_is_not_due_stays(transport: Transport) -> None:
    later, now = enqueue(ids(1)), ids(1)
    OutboxMessage.objects.filter(id=later.id).update(due_at=Now() + timedelta(hours=1))
    enqueue(now)
    transport.flush()
    worker = Recorder()

    with running(worker):
        wait_for(lambda: worker.done == now)
        wait_for(lambda: transport.left() == 1)

    assert OutboxMessage.objects.get().id == later.id


def test_a_channel_sees_only_its_own_work(transport: Transport) -> None:
    email, sms = ids(1), ids(1)
    enqueue(email)
    enqueue(sms, channel="sms")
    transport.flush()
    worker = Recorder()

    with running(worker, channel="sms"):
        wait_for(lambda: worker.done == sms)

    assert transport.left() == 1


def test_again_brings_the_batch_back_and_burns_no_attempt(transport: Transport, settings: LazySettings) -> None:
    # Given a record that cannot be written more often than the poison limit allows crashes
    deliveries = ids(2)
    enqueue(deliveries)
    transport.flush()
    worker = Recorder()
    worker.answers = [Verdict.AGAIN] * (settings.BROKER_DELIVERY_LIMIT + 2)

    with running(worker):
        wait_for(lambda: worker.done == deliveries, seconds=30)
        wait_for(lambda: transport.left() == 0)

    assert len(worker.messages) == settings.BROKER_DELIVERY_LIMIT + 3


def test_a_crash_of_the_handler_brings_the_batch_back(transport: Transport) -> None:
    deliveries = ids(2)
    enqueue(deliveries)
    transport.flush()
    worker = Recorder()
    worker.answers = [RuntimeError("crash")]

    with running(worker):
        wait_for(lambda: sorted(worker.done) == deliveries)
        wait_for(lambda: transport.left() == 0)

    # Together or one by one, but marked as handed out before
    assert [message.redelivered for message in worker.messages][:2] == [False, True]


def test_poison_ends_as_a_dead_letter_and_its_neighbours_are_delivered(transport: Transport) -> None:
    # Given a batch in which one delivery crashes whoever handles it, and another batch behind it
    poison, *neighbours = [queued_delivery() for _ in range(5)]
    enqueue([poison, *neighbours[:3]])
    enqueue(neighbours[3:])
    transport.flush()
    worker = Recorder()
    worker.poison = {poison}

    # When workers and maintenance go on
    def buried() -> bool:
        transport.drain_dead()
        return DeadLetter.objects.exists()

    with running(worker):
        wait_for(buried, seconds=60)
        wait_for(lambda: transport.left() == 0)
        wait_for(lambda: len(worker.done) == 4)

    # Then
    letter = DeadLetter.objects.get()
    assert (letter.delivery_id, letter.cause) == (poison, "poison")
    assert Delivery.objects.get(id=poison).status == Status.DEAD
    assert sorted(worker.done) == sorted(neighbours)


def test_the_higher_priority_goes_first(transport: Transport, settings: LazySettings) -> None:
    # Given one batch in each lane, the lowest put in first
    settings.WORKER_THREADS = 1
    batches = {priority: ids(1) for priority in PRIORITIES}
    for priority in reversed(PRIORITIES):
        enqueue(batches[priority], priority=priority)
    transport.flush()
    worker = Recorder(seconds=0.1)
    worker.gate.clear()  # the first pick may come before all lanes have arrived

    with running(worker):
        wait_for(lambda: worker.messages)
        threading.Timer(0.3, worker.gate.set).start()
        wait_for(lambda: len(worker.done) == 4)

    order = [message.priority for message in worker.messages]
    assert order[1:] == [priority for priority in PRIORITIES if priority != order[0]]


def test_the_lower_priority_is_not_starved(transport: Transport, settings: LazySettings) -> None:
    # Given more critical work than the worker gets done, and one low batch that came first
    settings.WORKER_THREADS = 1
    low = ids(1)
    enqueue(low, priority="low")
    for _ in range(60):
        enqueue(ids(500), priority="critical")
    transport.flush()
    worker = Recorder(seconds=0.01)

    with running(worker):
        wait_for(lambda: low[0] in worker.done)

    assert sum(message.priority == "critical" for message in worker.messages) < 30


def test_stop_finishes_what_is_in_hand_and_returns_the_rest(transport: Transport, settings: LazySettings) -> None:
    # Given a worker that is busy with one batch while others wait, some of them perhaps already handed to it
    settings.WORKER_THREADS = 1
    for _ in range(8):
        enqueue(ids(500))
    transport.flush()
    worker = Recorder()
    worker.gate.clear()

    with running(worker) as [consumer]:
        wait_for(lambda: worker.messages)
        consumer.stop()
        threading.Timer(0.5, worker.gate.set).start()

    # Then it finished that one, took no other, and a second worker gets the seven that are left
    assert len(worker.done) == 500
    assert len(worker.messages) == 1
    other = Recorder()
    with running(other):
        wait_for(lambda: len(other.done) == 7 * 500)
        wait_for(lambda: transport.left() == 0)
    assert not set(other.done) & set(worker.done)


def test_stop_gives_up_on_a_batch_that_does_not_end(transport: Transport, settings: LazySettings) -> None:
    # Given a handler that hangs
    settings.DRAIN_SECONDS = 0.5
    settings.VISIBILITY_SECONDS = 1
    deliveries = ids(1)
    enqueue(deliveries)
    transport.flush()
    hung = Recorder()
    hung.gate.clear()

    with running(hung):
        wait_for(lambda: hung.messages)

    # Then another worker gets its batch
    other = Recorder()
    with running(other):
        wait_for(lambda: other.done == deliveries)
    hung.gate.set()


def test_two_consumers_share_without_overlap(transport: Transport) -> None:
    deliveries = ids(16 * 500)
    for start in range(0, len(deliveries), 500):
        enqueue(deliveries[start : start + 500])
    transport.flush()
    one, two = Recorder(seconds=0.05), Recorder(seconds=0.05)

    with running(one, two):
        wait_for(lambda: len(one.done) + len(two.done) >= len(deliveries))
        wait_for(lambda: transport.left() == 0)

    assert one.done
    assert two.done
    assert sorted(one.done + two.done) == deliveries


@pytest.mark.parametrize("priorities", [["critical"], ["normal", "low"]])
def test_a_worker_of_some_priorities_leaves_the_others(transport: Transport, priorities: list[str]) -> None:
    batches = {priority: ids(1) for priority in PRIORITIES}
    for priority, batch in batches.items():
        enqueue(batch, priority=priority)
    transport.flush()
    worker = Recorder()

    with running(worker, priorities=priorities):
        wait_for(lambda: len(worker.done) == len(priorities))

    assert {message.priority for message in worker.messages} == set(priorities)
    assert transport.left() == 4 - len(priorities)
