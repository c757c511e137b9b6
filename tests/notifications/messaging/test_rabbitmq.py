"""What only a broker can do to us."""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pika
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from notifications import messaging
from notifications.choices import Status
from notifications.errors import BrokerUnavailable
from notifications.lanes import LANES
from notifications.messaging import suspects, topology
from notifications.messaging.base import WorkMessage
from notifications.messaging.connection import short_lived
from notifications.messaging.publisher import RabbitPublisher
from notifications.models import DeadLetter, Delivery, OutboxMessage
from notifications.relay import Relay
from tests.notifications.messaging.harness import (
    RabbitTransport,
    Recorder,
    enqueue,
    ids,
    queued_delivery,
    running,
    wait_for,
)
from tests.notifications.messaging.proxy import Proxy

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def proxy(rabbit: RabbitTransport, settings: LazySettings) -> Iterator[Proxy]:
    """Everything from here on reaches the broker through a proxy that the test may break."""
    where = pika.URLParameters(settings.BROKER_URL)
    proxy = Proxy(where.host, where.port)
    settings.BROKER_URL = (
        f"amqp://{where.credentials.username}:{where.credentials.password}@127.0.0.1:{proxy.port}/"
        f"{where.virtual_host.replace('/', '%2F')}"
    )
    yield proxy
    proxy.close()


def message(count: int = 1, *, channel: str = "email", priority: str = "normal") -> WorkMessage:
    return WorkMessage.of(channel, priority, ids(count))


# --- publishing -------------------------------------------------------------------------------------------------------


def test_a_window_of_thousands_is_confirmed_message_by_message(rabbit: RabbitTransport) -> None:
    publisher = rabbit.relay.publisher

    taken = publisher.publish([message() for _ in range(2000)])

    assert taken == [True] * 2000
    assert messaging.depths()["email", "normal"] == 2000


def test_a_message_no_queue_wants_does_not_count_as_published(rabbit: RabbitTransport) -> None:
    # Given a publisher that is connected, and a queue that is deleted behind its back
    publisher = rabbit.relay.publisher
    assert publisher.publish([message()]) == [True]
    with short_lived("test") as connection:
        connection.channel().queue_delete(topology.queue("sms", "low"))

    # When / Then: the broker acknowledges it all the same, after returning it
    assert publisher.publish([message(), message(channel="sms", priority="low"), message()]) == [True, False, True]


def test_a_full_queue_refuses_and_its_rows_wait_while_other_lanes_go_on(
    rabbit: RabbitTransport, settings: LazySettings
) -> None:
    # Given a lane that is full
    messaging.delete_topology()
    settings.BROKER_MAX_QUEUE_LENGTH = 5
    messaging.declare_topology()
    refused = 0
    while not refused:
        refused = rabbit.relay.publisher.publish([message() for _ in range(10)]).count(False)

    # When more comes for it and for another
    waiting = enqueue(ids(500))
    enqueue(ids(500), priority="critical")
    assert rabbit.relay.step() == 1

    # Then the other went, and the full lane is not asked again at once
    assert OutboxMessage.objects.get().id == waiting.id
    assert messaging.depths()["email", "critical"] == 1
    assert rabbit.relay.step() == 0

    # And once a worker has made room, it goes
    with running(Recorder(), priorities=["normal"]):
        wait_for(lambda: rabbit.relay.step() == 1)
    assert not OutboxMessage.objects.exists()


def test_a_connection_lost_while_confirms_are_due_deletes_nothing(rabbit: RabbitTransport, proxy: Proxy) -> None:
    # Given a relay whose confirms never arrive
    relay = Relay(messaging.publisher())
    enqueue(ids(1))
    assert relay.step() == 1
    for _ in range(3):
        enqueue(ids(500))
    proxy.silent = True
    threading.Timer(0.3, proxy.cut).start()

    # When the connection breaks
    with pytest.raises(BrokerUnavailable):
        relay.step()

    # Then nothing counts as published; and the same relay connects again and goes on
    assert OutboxMessage.objects.count() == 3
    proxy.silent = False
    assert relay.step() == 3
    assert OutboxMessage.objects.count() == 0
    relay.publisher.close()


def test_confirms_that_do_not_come_in_time_are_not_waited_for(
    rabbit: RabbitTransport, proxy: Proxy, settings: LazySettings
) -> None:
    settings.BROKER_CONFIRM_TIMEOUT_SECONDS = 0.5
    publisher = messaging.publisher()
    assert publisher.publish([message()]) == [True]
    proxy.silent = True

    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="no confirm in time"):
        publisher.publish([message()])

    assert time.monotonic() - started < 3
    proxy.silent = False
    assert publisher.publish([message()]) == [True]
    publisher.close()


def test_a_broker_that_is_not_there_is_unavailable(rabbit: RabbitTransport, proxy: Proxy) -> None:
    proxy.refuse = True

    with pytest.raises(BrokerUnavailable):
        messaging.publisher().publish([message()])
    with pytest.raises(BrokerUnavailable):
        messaging.depths()

    proxy.refuse = False


# --- consuming --------------------------------------------------------------------------------------------------------


def test_a_worker_whose_connection_breaks_reconnects_and_goes_on(rabbit: RabbitTransport, proxy: Proxy) -> None:
    # Given a worker in the middle of a batch
    first, second = ids(500), ids(500)
    enqueue(first)
    rabbit.flush()
    worker = Recorder()
    worker.gate.clear()

    with running(worker):
        wait_for(lambda: worker.messages)
        # When its connection breaks, and it finishes the batch all the same
        proxy.cut()
        worker.gate.set()
        enqueue(second)
        rabbit.flush()

        # Then it gets that batch again, its ack having been for a connection that is gone, and the next one
        wait_for(lambda: set(worker.done) == {*first, *second})
        wait_for(lambda: rabbit.left() == 0)
        wait_for(lambda: len(worker.messages) == 3)
    assert {worker.seen[id] for id in first} == {2}
    assert {worker.seen[id] for id in second} == {1}


def test_heartbeats_go_on_while_the_handler_blocks(
    rabbit: RabbitTransport, proxy: Proxy, settings: LazySettings
) -> None:
    # Given a heartbeat of a second, and batches that take longer than the broker would wait
    settings.BROKER_URL += "?heartbeat=1"
    settings.WORKER_THREADS = 1
    deliveries = ids(1)
    enqueue(deliveries)
    rabbit.flush()
    worker = Recorder(seconds=4)
    before = proxy.accepted

    with running(worker):
        wait_for(lambda: worker.done == deliveries)
        connections = proxy.accepted - before
        wait_for(lambda: rabbit.left() == 0)

    # Then its one connection held (the other declared the queues), and nothing came twice
    assert connections == 2
    assert len(worker.messages) == 1


def test_a_deleted_queue_is_declared_again_and_consumed(rabbit: RabbitTransport) -> None:
    worker = Recorder()
    with running(worker):
        enqueue(ids(1))
        rabbit.flush()
        wait_for(lambda: len(worker.done) == 1)
        with short_lived("test") as connection:
            connection.channel().queue_delete(topology.queue("email", "normal"))

        enqueue(ids(1))
        wait_for(lambda: (rabbit.relay.step(), len(worker.done) == 2)[1])


def test_what_is_handed_over_before_a_stop_comes_back_uncounted_by_a_loop(
    rabbit: RabbitTransport, settings: LazySettings
) -> None:
    # Given a limit of three returns, and more stops than that, each with messages in hand
    settings.WORKER_THREADS = 1
    for _ in range(4):
        enqueue(ids(500))
    rabbit.flush()
    for _ in range(2):
        busy = Recorder()
        busy.gate.clear()
        with running(busy) as [consumer]:
            wait_for(lambda busy=busy: busy.messages)
            consumer.stop()
            threading.Timer(0.3, busy.gate.set).start()

    # Then each stop counted once, and nothing has become poison
    last = Recorder()
    with running(last):
        wait_for(lambda: len(last.done) == 2 * 500)
    assert messaging.DeadLetterDrain().step() == 0


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_what_nobody_can_read_is_kept_for_a_person(rabbit: RabbitTransport) -> None:
    # Given bytes on a lane that no worker understands, and work behind them
    with short_lived("test") as connection:
        connection.channel().basic_publish(topology.exchange(), "email.normal", b'{"v": 99}')
    deliveries = ids(1)
    enqueue(deliveries)
    rabbit.flush()
    worker = Recorder()

    with running(worker):
        wait_for(lambda: worker.done == deliveries)
        wait_for(lambda: messaging.DeadLetterDrain().step() == 1)

    with short_lived("test") as connection:
        _, _, body = connection.channel().basic_get(topology.malformed(), auto_ack=True)
    assert body == b'{"v": 99}'


def test_innocents_that_died_with_a_crashing_worker_are_sent_once_more_alone(rabbit: RabbitTransport) -> None:
    # Given a message of three that the broker gave up on
    deliveries = [queued_delivery() for _ in range(3)]
    with short_lived("test") as connection:
        dead = WorkMessage.of("email", "high", deliveries)
        connection.channel().basic_publish(topology.dead(), "email.high", dead.encode())
    assert messaging.DeadLetterDrain().step() == 1

    # When the relay sends them again
    rabbit.flush()
    worker = Recorder()
    with running(worker):
        wait_for(lambda: sorted(worker.done) == sorted(deliveries))

    # Then they came one by one, and nobody was buried
    assert [len(message.deliveries) for message in worker.messages] == [1, 1, 1]
    assert not DeadLetter.objects.exists()


def test_a_single_send_is_given_chances_of_its_own_before_it_counts_as_poison(rabbit: RabbitTransport) -> None:
    # Given a message of one, which may have been in the wrong worker's hands each time
    delivery = queued_delivery(priority="high")
    with short_lived("test") as connection:
        dead = WorkMessage.of("email", "high", [delivery])
        connection.channel().basic_publish(topology.dead(), "email.high", dead.encode())

    # When it is re-driven, takes down whoever is alone with it, and lands there again
    messaging.DeadLetterDrain().step()
    assert Delivery.objects.get().status == Status.QUEUED
    rabbit.flush()
    for _ in range(suspects.DEADLY):
        suspects.begin(delivery.bytes)
    with short_lived("test") as connection:
        channel = connection.channel()
        method, _, _ = channel.basic_get(topology.queue("email", "high"))
        channel.basic_reject(method.delivery_tag, requeue=False)
    wait_for(lambda: messaging.DeadLetterDrain().step() == 1)

    # Then it is poison
    assert DeadLetter.objects.get().delivery_id == delivery
    assert Delivery.objects.get().status == Status.DEAD


# --- topology ---------------------------------------------------------------------------------------------------------


def test_declaring_twice_is_harmless_and_every_lane_has_its_queue(
    rabbit: RabbitTransport, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("declare_topology")
    call_command("declare_topology")

    out = capsys.readouterr().out
    assert all(topology.queue(channel, priority) in out for channel, priority in LANES)
    assert set(messaging.depths()) == set(LANES)


def test_other_arguments_are_said_in_words(rabbit: RabbitTransport, settings: LazySettings) -> None:
    settings.BROKER_MAX_QUEUE_LENGTH = 77

    with pytest.raises(CommandError, match="Either set BROKER_PREFIX to a new version"):
        call_command("declare_topology")
    with pytest.raises(messaging.TopologyMismatch):
        messaging.consumer("email", ["low"]).run(Recorder())
    with pytest.raises(CommandError, match="cannot be changed"):
        call_command("run_relay")


# --- the process ------------------------------------------------------------------------------------------------------


def test_a_blocked_connection_is_unavailable_until_the_broker_takes_messages_again(rabbit: RabbitTransport) -> None:
    # Given a publisher that the broker has told of its memory alarm
    publisher = rabbit.relay.publisher
    assert isinstance(publisher, RabbitPublisher)
    assert publisher.publish([message()]) == [True]
    assert publisher._link is not None
    publisher._link._mark_blocked(True)

    with pytest.raises(BrokerUnavailable, match="blocks"):
        publisher.publish([message()])

    publisher._link._mark_blocked(False)
    assert publisher.publish([message()]) == [True]


def test_run_relay_publishes_within_100_ms_and_leaves_on_sigterm(
    rabbit: RabbitTransport, process_env: dict[str, str], settings: LazySettings
) -> None:
    # Given a relay process
    process_env |= {"BROKER_URL": settings.BROKER_URL, "BROKER_DELIVERY_LIMIT": str(settings.BROKER_DELIVERY_LIMIT)}
    relay = subprocess.Popen([sys.executable, "manage.py", "run_relay"], env=process_env)
    try:
        enqueue(ids(1))
        wait_for(lambda: not OutboxMessage.objects.exists(), seconds=30, what="the relay came up")

        # When sends come one at a time
        waits = []
        for _ in range(20):
            enqueue(ids(1))
            started = time.monotonic()
            while OutboxMessage.objects.exists():
                time.sleep(0.002)
            waits.append(time.monotonic() - started)

        # Then they don't wait; the median, as this machine may be busy with other things
        assert statistics.median(waits) < 0.1
        relay.terminate()
        assert relay.wait(10) == 0
    finally:
        relay.kill()
    assert messaging.depths()["email", "normal"] == 21
