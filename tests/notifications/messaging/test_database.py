"""What only rows can do: run out of their visibility, be taken twice, lose their connection."""

import threading

import pytest
from django.conf import LazySettings
from django.db import connection

from notifications.choices import Status
from notifications.models import DeadLetter, Delivery, OutboxMessage
from tests.notifications.messaging.harness import Recorder, enqueue, ids, queued_delivery, running, uuids, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_row_whose_worker_is_lost_comes_back_after_its_visibility(settings: LazySettings) -> None:
    # Given a worker that takes a row and is never heard of again
    settings.VISIBILITY_SECONDS = 1
    settings.DRAIN_SECONDS = 0.2
    deliveries = ids(2)
    enqueue(deliveries)
    lost = Recorder()
    lost.gate.clear()
    with running(lost):
        wait_for(lambda: lost.messages)

    # When another looks for work
    other = Recorder()
    with running(other):
        wait_for(lambda: other.done == deliveries)
        wait_for(lambda: not OutboxMessage.objects.exists())

    # Then it was told that somebody had it before
    assert other.messages[0].redelivered
    lost.gate.set()


def test_a_late_acknowledgement_does_not_delete_what_another_worker_has_taken(settings: LazySettings) -> None:
    # Given a slow worker whose row came back and was taken by a second one
    settings.VISIBILITY_SECONDS = 1
    settings.WORKER_THREADS = 1
    enqueue(ids(1))
    slow, second = Recorder(), Recorder()
    slow.gate.clear()
    second.gate.clear()
    with running(slow):
        wait_for(lambda: slow.messages)
        settings.VISIBILITY_SECONDS = 60
        with running(second):
            wait_for(lambda: second.messages)

            # When the slow one is done at last
            slow.gate.set()
            wait_for(lambda: slow.done)

            # Then the row is still the second one's to finish
            threading.Event().wait(0.3)
            assert OutboxMessage.objects.count() == 1
            second.gate.set()
    assert not OutboxMessage.objects.exists()


def test_work_goes_on_after_postgresql_drops_every_connection() -> None:
    worker = Recorder(seconds=0.02)
    deliveries = ids(40)
    with running(worker):
        for delivery in deliveries:
            enqueue([delivery])
            if delivery in (deliveries[10], deliveries[25]):
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
        wait_for(lambda: set(worker.done) == set(deliveries), seconds=30)


def test_single_sends_behind_a_crash_are_not_counted_down_with_it(settings: LazySettings) -> None:
    # Given poison among single sends that would all travel in one batch
    settings.BROKER_DELIVERY_LIMIT = 3
    deliveries = [queued_delivery() for _ in range(20)]
    for delivery in deliveries:
        enqueue([delivery])
    worker = Recorder()
    worker.poison = {deliveries[7]}

    with running(worker):
        wait_for(DeadLetter.objects.exists, seconds=60)
        wait_for(lambda: not OutboxMessage.objects.exists())

    # Then only it is buried, and the crash cost its companions one turn
    assert DeadLetter.objects.get().delivery_id == deliveries[7]
    assert Delivery.objects.get(id=deliveries[7]).status == Status.DEAD
    assert set(worker.done) == set(deliveries) - {deliveries[7]}
    assert max(worker.seen[id] for id in worker.done) == 2


def test_poison_in_a_full_row_is_found_in_parts_of_63_and_8_and_1(settings: LazySettings) -> None:
    # Given a full row with one delivery that crashes whoever handles it
    settings.BROKER_DELIVERY_LIMIT = 3
    deliveries = sorted(queued_delivery() for _ in range(500))
    poison = deliveries[200]
    enqueue(deliveries)
    worker = Recorder()
    worker.poison = {poison}

    # When
    with running(worker):
        wait_for(DeadLetter.objects.exists, seconds=60)
        wait_for(lambda: not OutboxMessage.objects.exists())

    # Then each step left an eighth of the suspects, in 24 rows and not in 500, and everybody else was delivered once
    suspects = [len(message.deliveries) for message in worker.messages if poison in uuids(message)]
    assert suspects == [500, 500, 63, 8, 1]
    assert len(worker.messages) == 2 + 8 + 8 + 8
    assert DeadLetter.objects.get().delivery_id == poison
    assert sorted(worker.done) == [id for id in deliveries if id != poison]


def test_nobody_is_buried_untried_alone_however_low_the_limit(settings: LazySettings) -> None:
    settings.BROKER_DELIVERY_LIMIT = 1
    deliveries = [queued_delivery() for _ in range(20)]
    enqueue(deliveries)
    worker = Recorder()
    worker.poison = {deliveries[7]}

    with running(worker):
        wait_for(DeadLetter.objects.exists, seconds=60)
        wait_for(lambda: not OutboxMessage.objects.exists())

    assert DeadLetter.objects.get().delivery_id == deliveries[7]
    assert set(worker.done) == set(deliveries) - {deliveries[7]}


def test_a_batch_never_exceeds_500_whatever_the_rows() -> None:
    sizes = [1, 499, 500, 2, 300, 300, 1, 250, 250, 7] * 3
    for size in sizes:
        enqueue(ids(size))
    worker = Recorder()

    with running(worker):
        wait_for(lambda: len(worker.done) == sum(sizes))

    assert max(len(message.deliveries) for message in worker.messages) <= 500
    assert max(worker.seen.values()) == 1
