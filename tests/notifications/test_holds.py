"""What waits uses up nothing, names nobody wrongly, and costs the less the more of it there is."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from core.ids import uuid7
from notifications import partitions
from notifications.choices import EventType, FailureCode, HoldReason, Status
from notifications.messaging.base import Verdict, WorkMessage
from notifications.messaging.suspects import Guarded
from notifications.models import Delivery, OutboxMessage, RateLimit
from notifications.models.limits import LimitScope
from notifications.providers.base import OutboundMessage, Outcome
from notifications.providers.failover import spread
from notifications.providers.gate import Permit
from notifications.services.claims import Claim, Result
from notifications.services.gates import REDIS_AWAY_SECONDS
from notifications.services.limits import limit_cache
from notifications.services.rate_limiter import RateLimiter
from notifications.services.tracking import DeliveryTracker
from notifications.worker import Worker
from preferences.models import Category
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.rate_limiter.harness import SECOND, Clock
from tests.notifications.test_failover import accept, events, with_gate, work
from tests.plans import plans

pytestmark = pytest.mark.django_db


@pytest.fixture
def providers(settings) -> tuple[FakeProvider, FakeProvider]:
    first, second = FakeProvider("first"), FakeProvider("second")
    use_provider(settings, first, second)
    return first, second


@pytest.fixture(autouse=True)
def catalog() -> None:
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("ann")


def claim() -> list[Claim]:
    return DeliveryTracker().claim([Delivery.objects.get().id.bytes], channel="email", priority="normal")


class TestPostgresqlGoesBetweenClaimAndCall:
    def test_no_attempt_is_used_and_nothing_is_marked_as_sent_twice(self, providers, monkeypatch):
        accept("ann")
        worker, _ = with_gate()
        whole = worker.gates.check
        outage = [OperationalError("terminating connection due to administrator command")]

        def check(claims: Sequence[Claim]) -> object:
            if outage:
                raise outage.pop()
            return whole(claims)

        monkeypatch.setattr(worker.gates, "check", check)

        work(worker)
        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.tries) == (Status.QUEUED, 0)
        work(worker)

        assert Delivery.objects.get().tries == 1
        assert events() == [("held", "", HoldReason.UNAVAILABLE.value), ("sent", "first", "")]

    def test_the_first_batch_of_a_process_is_no_exception(self, providers, monkeypatch):
        accept("ann", priority="critical")  # exempt from a person's limits, so nothing else reads them before
        monkeypatch.setattr(limit_cache, "_limits", None)
        outage = [OperationalError("the server closed the connection")]
        read = limit_cache.all

        def all_limits() -> object:
            if outage:
                raise outage.pop()
            return read()

        monkeypatch.setattr(limit_cache, "all", all_limits)

        message = WorkMessage.of("email", "critical", OutboxMessage.objects.get().delivery_ids)
        assert Worker().process(message) is Verdict.AGAIN
        assert (Delivery.objects.get().status, Delivery.objects.get().attempts) == (Status.QUEUED, 0)
        assert Worker().process(message) is Verdict.DONE
        assert len(providers[0].calls) == 1


def test_a_lost_worker_does_not_hide_who_was_in_doubt_before(providers):
    first, second = providers
    accept("ann")
    first_try = claim()
    timeout = FailureCode.TIMEOUT.value
    DeliveryTracker().record([Result(first_try[0], EventType.DEFERRED, "second", timeout, retry_in=1.0)])
    claim()
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    work(with_gate()[0])

    assert (len(first.calls), len(second.calls)) == (0, 1)


def test_a_claim_again_reads_no_week_of_events_before_the_delivery(providers):
    partitions.ensure(timezone.now() - timedelta(weeks=8), 10)
    accept("ann")
    DeliveryTracker().record([Result(claim()[0], EventType.DEFERRED, "first", FailureCode.TIMEOUT.value)])

    with plans("SELECT", "deliveryevent") as seen:
        [again] = claim()

    assert again.doubts == ("first",)
    [plan] = seen
    old = partitions.Week.of(timezone.now() - timedelta(weeks=3)).suffix
    assert f"deliveryevent_{partitions.Week.of(timezone.now()).suffix}" in plan
    assert f"deliveryevent_{old}" not in plan


def test_marketing_asks_for_a_redis_that_stays_away_less_and_less_often(providers, redis_away, settings):
    Category.objects.update(purpose="marketing")
    accept("ann")
    redis_away.leave()
    waits = []
    for _ in range(7):
        work(Worker())
        waits.append((OutboxMessage.objects.get().due_at - timezone.now()).total_seconds())

    assert waits == pytest.approx([min(settings.RETRY_CAP_SECONDS, REDIS_AWAY_SECONDS * 2**n) for n in range(7)], abs=2)


def test_a_backlog_uses_most_of_a_limit_per_second():
    RateLimit.objects.create(scope=LimitScope.PROVIDER, target="first", max=100, per_seconds=1)
    limit_cache.forget()
    clock = Clock()
    limiter, start = RateLimiter(clock), clock.now
    waiting = [(0.0, 400)]  # due at, how many
    sent = 0
    while sent < 400:
        due, n = heapq.heappop(waiting)
        clock.now = max(clock.now, start + round(due * SECOND))
        allowance = limiter.provider("first", n, priority="low")
        sent += allowance.granted
        waits = spread(
            Permit(allowance.granted, HoldReason.RATE_LIMIT.value, allowance.wait, allowance.per_second),
            n - allowance.granted,
        )
        for wait, left in Counter(waits).items():
            heapq.heappush(waiting, ((clock.now - start) / SECOND + wait, left))

    # A tenth is kept for critical ones, and the window is a quarter of a second longer: 72 a second at best.
    assert sent / ((clock.now - start) / SECOND) > 60


def test_the_batches_of_a_shut_channel_come_back_one_after_the_other():
    worker, gate = with_gate()
    gate.shut = 5.0
    ids = [uuid7() for _ in range(500)]
    began = timezone.now()
    for _ in range(100):
        worker.process(WorkMessage.of("email", "low", ids))

    took = (timezone.now() - began).total_seconds()

    moments = sorted(OutboxMessage.objects.values_list("due_at", flat=True))
    assert 4 < (moments[0] - began).total_seconds() < 7 + took
    assert 4 < (moments[-1] - moments[0]).total_seconds() < 8 + took  # 50,000 deliveries, 10,000 a second


def test_another_lane_of_a_shut_channel_does_not_wait_behind_its_backlog():
    worker, gate = with_gate()
    gate.shut = 5.0
    for _ in range(100):
        worker.process(WorkMessage.of("email", "low", [uuid7() for _ in range(500)]))
    worker.process(WorkMessage.of("email", "critical", [uuid7()]))

    due = OutboxMessage.objects.get(priority="critical").due_at
    assert (due - timezone.now()).total_seconds() < 7


class Crowded(FakeProvider):
    """Remembers how many messages were in the process's hands at the most, by whether a suspect was among them."""

    def __init__(self) -> None:
        super().__init__("crowded")
        self.inside: list[str] = []
        self.together: list[tuple[str, ...]] = []

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        names = [message.address for message in messages]
        self.inside += names
        self.together.append(tuple(self.inside))
        await asyncio.sleep(0.1)
        self.inside = [name for name in self.inside if name not in names]
        return await super().send(messages)


@pytest.mark.django_db(transaction=True)
def test_a_suspect_is_the_only_one_in_its_workers_hands(settings):
    provider = Crowded()
    use_provider(settings, provider)
    names = [f"p{n}" for n in range(4)]
    for name in names:
        factories.recipient(name, email=f"{name}@example.com")
    accept(*names)
    ids = dict(Delivery.objects.values_list("recipient__external_id", "id"))
    process = Guarded(with_gate()[0].process)

    def handle(name: str) -> None:
        process(WorkMessage.of("email", "normal", [ids[name]], redelivered=name == "p2"))
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(handle, names))

    assert len(provider.calls) == 4
    assert ("p2@example.com",) in provider.together
    assert not any(len(some) > 1 and "p2@example.com" in some for some in provider.together)
    assert any(len(some) > 1 for some in provider.together)
