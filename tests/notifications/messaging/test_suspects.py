"""Who took a worker down, and who was only beside it."""

from uuid import UUID

import pytest
from django.conf import LazySettings

from core import redis
from core.ids import uuid7
from notifications.choices import Status
from notifications.messaging import suspects
from notifications.messaging.base import Verdict, WorkMessage
from notifications.messaging.suspects import DEADLY, Guarded
from notifications.models import DeadLetter, Delivery
from tests.notifications.messaging.harness import queued_delivery

pytestmark = pytest.mark.django_db


def alone(delivery: UUID) -> WorkMessage:
    return WorkMessage.of("email", "high", [delivery], redelivered=True)


def crash(message: WorkMessage) -> Verdict:
    raise RuntimeError("the worker is gone")


def test_what_takes_down_every_worker_it_is_alone_with_is_buried_without_another_try() -> None:
    delivery = queued_delivery(priority="high")
    for _ in range(DEADLY):
        with pytest.raises(RuntimeError):
            Guarded(crash)(alone(delivery))

    assert Guarded(crash)(alone(delivery)) is Verdict.DONE

    letter = DeadLetter.objects.get()
    assert (letter.delivery_id, letter.cause) == (delivery, "poison")
    assert Delivery.objects.get().status == Status.DEAD


@pytest.mark.parametrize("verdict", [Verdict.DONE, Verdict.AGAIN])
def test_a_worker_that_lives_acquits_it(verdict: Verdict) -> None:
    delivery = queued_delivery(priority="high")
    for _ in range(DEADLY - 1):
        suspects.begin(delivery.bytes)

    for _ in range(3):
        assert Guarded(lambda _: verdict)(alone(delivery)) is verdict

    assert suspects.deadly([delivery.bytes]) == set()
    assert not DeadLetter.objects.exists()


def test_one_that_was_buried_has_a_fresh_chance_when_it_is_replayed() -> None:
    delivery = queued_delivery(priority="high")
    for _ in range(DEADLY):
        suspects.begin(delivery.bytes)
    Guarded(crash)(alone(delivery))
    Delivery.objects.update(status=Status.QUEUED)  # the replay

    assert Guarded(lambda _: Verdict.DONE)(alone(delivery)) is Verdict.DONE
    assert DeadLetter.objects.count() == 1


@pytest.mark.parametrize("count", [1, 2])
def test_what_came_for_the_first_time_or_with_others_is_no_suspect(count: int) -> None:
    ids = [uuid7() for _ in range(count)]
    message = WorkMessage.of("email", "high", ids, redelivered=count > 1)

    with pytest.raises(RuntimeError):
        Guarded(crash)(message)

    assert not list(redis.client().scan_iter(match=redis.key("suspect", "*")))


def test_without_redis_it_is_tried_again_and_the_queue_counts(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    def gone() -> None:
        raise redis.RedisError("no server")

    monkeypatch.setattr(redis, "client", gone)
    delivery = queued_delivery(priority="high")
    for _ in range(DEADLY + 2):
        with pytest.raises(RuntimeError):
            Guarded(crash)(alone(delivery))
    assert not DeadLetter.objects.exists()
