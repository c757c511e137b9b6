"""The queue of dead messages is emptied without calling innocents guilty, and without flooding what comes after."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pika
import pytest
from django.utils import timezone
from pika.adapters.blocking_connection import BlockingChannel

from core import redis
from core.ids import uuid7
from notifications import messaging
from notifications.choices import Status
from notifications.errors import BrokerUnavailable
from notifications.messaging import dead, suspects, topology
from notifications.messaging.base import WorkMessage
from notifications.messaging.connection import short_lived
from notifications.messaging.publisher import REDRIVEN
from notifications.models import DeadLetter, Delivery, OutboxMessage
from notifications.services.tracking import DeliveryTracker
from tests.notifications.messaging.harness import RabbitTransport, Recorder, queued_delivery, running, wait_for

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def channel(rabbit: RabbitTransport) -> Iterator[BlockingChannel]:
    with short_lived("test") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def deliveries(count: int, **fields: object) -> list[UUID]:
    made = Delivery.objects.bulk_create(
        Delivery(
            id=uuid7(),
            notification_id=uuid7(),
            recipient_id=uuid7(),
            **{"channel": "email", "priority": "high", "status": Status.QUEUED, **fields},
        )
        for _ in range(count)
    )
    return [delivery.pk for delivery in made]


def die(channel: BlockingChannel, *ids: UUID, redriven: bool = False, lane: str = "email.high") -> None:
    """The broker has given up on a message of these."""
    body = WorkMessage.of("email", "high", ids).encode()
    headers = pika.BasicProperties(headers={REDRIVEN: True} if redriven else None)
    channel.basic_publish(topology.dead(), lane, body, headers)


def drain() -> int:
    return messaging.DeadLetterDrain().step()


def waiting(channel: BlockingChannel) -> int:
    return int(channel.queue_declare(topology.dead(), passive=True).method.message_count)


def parts() -> list[int]:
    return sorted((len(row.delivery_ids) for row in OutboxMessage.objects.all()), reverse=True)


# --- innocents --------------------------------------------------------------------------------------------------------


def test_a_full_message_comes_back_in_eight_parts_and_each_delivery_once(channel: BlockingChannel) -> None:
    many = deliveries(500)
    die(channel, *many)

    assert drain() == 1

    assert parts() == [63] * 7 + [59]
    assert sorted(id for row in OutboxMessage.objects.all() for id in row.delivery_ids) == sorted(many)
    assert set(OutboxMessage.objects.values_list("takes", flat=True)) == {1}


def test_a_part_that_dies_is_split_again_down_to_single_deliveries(channel: BlockingChannel) -> None:
    many = deliveries(63)
    die(channel, *many, redriven=True)
    drain()
    assert parts() == [8] * 7 + [7]

    OutboxMessage.objects.all().delete()
    die(channel, *many[:8], redriven=True)
    drain()

    assert parts() == [1] * 8
    assert not DeadLetter.objects.exists()


def test_one_poison_delivery_among_hundreds_is_found_and_the_others_arrive(
    rabbit: RabbitTransport, channel: BlockingChannel
) -> None:
    # Given a message whose 40th delivery crashes its worker each time
    many = deliveries(100)
    die(channel, *many)
    worker = Recorder()
    worker.poison = {many[40]}

    # When workers and maintenance go on
    def buried() -> bool:
        rabbit.drain_dead()
        return DeadLetter.objects.exists()

    with running(worker):
        wait_for(buried, seconds=60)
        wait_for(lambda: len(worker.done) == 99)

    # Then
    assert DeadLetter.objects.get().delivery_id == many[40]
    assert sorted(worker.done) == sorted(set(many) - {many[40]})


def test_many_dead_messages_are_dealt_with_in_short_steps_and_few_rows(
    channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given more deliveries in dead messages than one step may take
    monkeypatch.setattr(dead, "STEP_DELIVERIES", 1000)
    for _ in range(6):
        die(channel, *deliveries(500))

    # When
    steps = []
    while taken := drain():
        steps.append(taken)

    # Then each step was bounded by its deliveries, and the outbox holds eight rows a message
    assert steps == [2, 2, 2]
    assert OutboxMessage.objects.count() == 6 * dead.PARTS
    assert waiting(channel) == 0


# --- what is looked at first ------------------------------------------------------------------------------------------


def test_what_ended_meanwhile_is_neither_poison_nor_sent_again(channel: BlockingChannel) -> None:
    ends = [Status.SENT, Status.DELIVERED, Status.SKIPPED, Status.BOUNCED, Status.FAILED, Status.DEAD]
    ended = {deliveries(1, status=status)[0]: status for status in ends}
    for id in ended:
        die(channel, id)
        die(channel, id, redriven=True)

    assert drain() == 2 * len(ends)

    assert dict(Delivery.objects.values_list("id", "status")) == ended
    assert not DeadLetter.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert waiting(channel) == 0


def test_of_a_message_only_what_has_not_ended_is_sent_again(channel: BlockingChannel) -> None:
    ended, alive = deliveries(6, status=Status.SENT), deliveries(2)
    die(channel, *ended, *alive, uuid4())

    drain()

    assert sorted(id for row in OutboxMessage.objects.all() for id in row.delivery_ids) == sorted(alive)


def test_what_a_worker_holds_is_tried_when_its_lease_runs_out(channel: BlockingChannel) -> None:
    first, again = deliveries(2, status=Status.SENDING, lease_until=timezone.now() + timedelta(seconds=60))
    die(channel, first)
    die(channel, again, redriven=True)

    drain()

    until = Delivery.objects.get(pk=first).lease_until
    rows = OutboxMessage.objects.order_by("delivery_ids")
    assert [(row.delivery_ids, row.due_at) for row in rows] == [([first], until), ([again], until)]
    assert not DeadLetter.objects.exists()


def guilty(*suspects_: UUID) -> None:
    """These took down every worker they were alone with."""
    for suspect in suspects_:
        for _ in range(suspects.DEADLY):
            suspects.begin(suspect.bytes)


def test_what_came_back_beside_the_guilty_is_tried_again_alone(channel: BlockingChannel) -> None:
    [innocent] = deliveries(1)
    die(channel, innocent, redriven=True)

    assert drain() == 1

    assert not DeadLetter.objects.exists()
    assert [(row.delivery_ids, row.takes) for row in OutboxMessage.objects.all()] == [([innocent], 1)]


def test_without_redis_what_came_back_alone_does_not_go_round_for_ever(
    channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    [suspect] = deliveries(1)
    die(channel, suspect, redriven=True)

    def gone() -> None:
        raise redis.RedisError("no server")

    monkeypatch.setattr(redis, "client", gone)
    assert drain() == 1

    assert DeadLetter.objects.get().delivery_id == suspect


def test_what_came_back_alone_and_is_nobody_s_is_poison(channel: BlockingChannel) -> None:
    [queued] = deliveries(1)
    [lost] = deliveries(1, status=Status.SENDING, lease_until=timezone.now() - timedelta(seconds=60))
    die(channel, queued, redriven=True)
    die(channel, lost, redriven=True)
    guilty(queued, lost)

    assert drain() == 2

    assert set(DeadLetter.objects.values_list("delivery_id", "cause")) == {(queued, "poison"), (lost, "poison")}
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.DEAD}


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_a_crash_between_the_commit_and_the_ack_changes_nothing(
    channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a drain that dies before its ack
    many, [poison] = deliveries(20), deliveries(1)
    die(channel, *many)
    die(channel, poison, redriven=True)
    guilty(poison)

    def crash(*_args: object, **_kwargs: object) -> None:
        raise ConnectionError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(BlockingChannel, "basic_ack", crash)
        with pytest.raises(BrokerUnavailable):
            drain()
    before = sorted(parts())

    # When the messages come again
    wait_for(lambda: waiting(channel) == 2)
    assert drain() == 2

    # Then nothing stands twice
    assert sorted(parts()) == before
    assert DeadLetter.objects.count() == 1


def test_a_crash_before_the_commit_leaves_the_messages_on_the_broker(
    channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    [poison] = deliveries(1)
    die(channel, *deliveries(3))
    die(channel, poison, redriven=True)
    guilty(poison)

    def crash(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(DeliveryTracker, "bury", crash)
        with pytest.raises(RuntimeError):
            drain()

    assert not OutboxMessage.objects.exists()
    wait_for(lambda: waiting(channel) == 2)
    assert drain() == 2
    assert (OutboxMessage.objects.count(), DeadLetter.objects.count()) == (3, 1)


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_what_nobody_can_read_is_kept_and_holds_nobody_up(channel: BlockingChannel) -> None:
    id = str(uuid4()).encode()
    bodies = [b"", b"\xff\xfe", b"null", b"[]", b'"text"', b"[" * 5000, b'{"v": 1}', b'{"v": 2, "deliveries": []}']
    bodies += [b'{"v": 1, "id": "%s", "deliveries": %s}' % (id, ids) for ids in (b'["x"]', b"[null]", b"7", b"[7]")]
    [behind] = deliveries(1)
    for body in bodies:
        channel.basic_publish(topology.dead(), "email.high", body)
    die(channel, behind)

    assert drain() == len(bodies) + 1

    kept = [channel.basic_get(topology.malformed(), auto_ack=True) for _ in bodies]
    assert [body for _, _, body in kept] == bodies
    assert {properties.headers["from"] for _, properties, _ in kept} == {"email.high"}
    assert OutboxMessage.objects.get().delivery_ids == [behind]


def test_a_lane_that_does_not_exist_is_kept_too_and_an_empty_message_dropped(channel: BlockingChannel) -> None:
    die(channel, queued_delivery(), lane="pigeon.high")
    die(channel)

    assert drain() == 2

    assert channel.basic_get(topology.malformed(), auto_ack=True)[2] is not None
    assert waiting(channel) == 0


def test_a_message_longer_than_any_of_ours_is_split_into_parts_of_our_size_by_lane(channel: BlockingChannel) -> None:
    die(channel, *deliveries(1000), *deliveries(200, priority="low"))

    drain()

    assert max(parts()) == 63
    assert sum(parts()) == 1200
    low = OutboxMessage.objects.filter(priority="low")
    assert sum(len(row.delivery_ids) for row in low) == 200
