"""A provider falls and comes back, with the real worker, gate and Redis: who is asked, and what the record says."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from notifications.choices import Status
from notifications.drafts import Draft
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import Delivery, OutboxMessage
from notifications.providers.base import OutboundMessage, Outcome
from notifications.providers.breaker import Breaker
from notifications.services import providers as service
from notifications.services.notification import NotificationService
from notifications.worker import Worker
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider

pytestmark = pytest.mark.django_db
_parcels = itertools.count(1)


class Counting(FakeProvider):
    """Remembers how many messages it was offered, taken or not."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.offered: list[int] = []

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        self.offered.append(len(messages))
        return await super().send(messages)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chain(settings: Any) -> tuple[Counting, Counting]:
    factories.category("orders")
    factories.recipient("ada")
    first, second = Counting("first"), Counting("second")
    use_provider(settings, first, second)
    return first, second


def worker(clock: Clock) -> Worker:
    made = Worker()
    made.gate.breaker = Breaker(clock=clock, spread=lambda: 0.0)
    return made


def send(made: Worker, n: int) -> None:
    contents = [{"title": "Order 4711", "body": f"Parcel {next(_parcels)} has left."} for _ in range(n)]
    drafts = [Draft(recipient="ada", category="orders", content=one, channels=["email"]) for one in contents]
    NotificationService().send(drafts, source="test")
    for row in OutboxMessage.objects.all():
        row.delete()
        assert made.process(WorkMessage.of(row.channel, row.priority, row.delivery_ids)) is Verdict.DONE


def test_a_fall_and_a_recovery(chain: tuple[Counting, Counting], clock: Clock) -> None:
    first, second = chain
    one, other = worker(clock), worker(clock)

    # When the first provider fails, the second takes over at once, and from then on at every worker alone
    first.fail_temporarily(times=2)
    send(one, 12)
    send(other, 12)
    assert (first.offered, second.offered) == ([12], [12, 12])

    # Its probe fails: one message, and it is left alone for twice as long
    clock.now += 15.0
    send(other, 12)
    send(one, 12)
    clock.now += 29.0
    send(one, 12)
    assert first.offered == [12, 1]

    # It is back: one message proves it, and everything goes to it again
    clock.now += 1.0
    send(one, 12)
    send(other, 12)
    assert first.offered == [12, 1, 1, 12]
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SENT}
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


def test_what_a_person_switched_off_is_passed_over(chain: tuple[Counting, Counting], clock: Clock) -> None:
    first, second = chain
    service.switch_off("first", by="grace", reason="unpaid")

    send(worker(clock), 3)

    assert (first.offered, second.offered) == ([], [3])
