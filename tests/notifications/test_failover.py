"""Who is asked, what goes to the next provider, what waits, and what an unknown outcome means for the next attempt."""

import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from core.ids import keys_of
from notifications.choices import MAYBE_TWICE, EventType, FailureCode, HoldReason, Status
from notifications.drafts import Draft
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import Delivery, DeliveryEvent, OutboxMessage
from notifications.providers.gate import Permit, ProviderGate
from notifications.services.claims import Result
from notifications.services.notification import NotificationService
from notifications.services.rate_limiter import RateLimiter, RecipientAsk
from notifications.services.retry import PATIENCE, RetryPolicy
from notifications.services.tracking import DeliveryTracker
from notifications.worker import LOOK_AGAIN_SECONDS, THROTTLED_TIMES, Worker
from tests import factories
from tests.notifications.fakes import FakeProvider, RecordingObserver, use_provider

pytestmark = pytest.mark.django_db


class ScriptedGate(ProviderGate):
    """Grants everything, except to the providers that `permits` names; remembers what it was told."""

    def __init__(self, **permits: Permit) -> None:
        super().__init__(RateLimiter())
        self.permits = permits
        self.shut = 0.0
        self.room_for: Permit | None = None
        self.reports: list[tuple[str, dict[str, object]]] = []

    def room(self, providers: Sequence[str], n: int, *, priority: str) -> Permit:
        if self.shut:
            return Permit(0, HoldReason.CIRCUIT_OPEN.value, self.shut)
        return Permit(n) if self.room_for is None else self.room_for

    def ask(self, provider: str, n: int, *, priority: str) -> Permit:
        permit = self.permits.get(provider)
        return Permit(n) if permit is None else permit._replace(granted=min(n, permit.granted))

    def report(self, provider: str, permit: Permit, **what: object) -> None:  # type: ignore[override]
        what.pop("seconds")
        self.reports.append((provider, what))


OPEN = Permit(0, HoldReason.CIRCUIT_OPEN.value, wait=15.0)


@pytest.fixture
def providers(settings):
    first, second = FakeProvider("first"), FakeProvider("second")
    use_provider(settings, first, second)
    return first, second


@pytest.fixture
def catalog():
    factories.category("orders")
    factories.template("order-shipped")


def accept(*names: str, **fields):
    drafts = [
        Draft(recipient=name, category="orders", template="order-shipped", channels=["email"], **fields)
        for name in names
    ]
    return NotificationService().send(drafts, source="api:test")


def work(worker: Worker) -> None:
    """Hand everything in the outbox to the worker, due or not: time passes at once."""
    rows = list(OutboxMessage.objects.order_by("id"))
    OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
    for row in rows:
        assert worker.process(WorkMessage.of(row.channel, row.priority, row.delivery_ids)) is Verdict.DONE


def with_gate(**permits: Permit) -> tuple[Worker, ScriptedGate]:
    worker, gate = Worker(), ScriptedGate(**permits)
    worker.gate = gate
    return worker, gate


def events() -> list[tuple[str, str, str]]:
    return list(DeliveryEvent.objects.order_by("id").values_list("type", "provider", "code"))


class TestTheNextProvider:
    def test_what_the_first_surely_did_not_take_goes_to_the_second_at_once(self, catalog, providers):
        first, second = providers
        factories.recipient("ann")
        accept("ann")
        first.fail_temporarily(times=1, code=FailureCode.UNAVAILABLE)
        worker, gate = with_gate()

        work(worker)

        assert (len(first.calls), len(second.calls)) == (0, 1)
        assert events() == [("sent", "second", "")]
        assert DeliveryEvent.objects.get().detail == "Passed on by first: Provider unavailable."
        assert gate.reports == [
            ("first", {"answered": 0, "failed": 1, "retry_after": None}),
            ("second", {"answered": 1, "failed": 0, "retry_after": None}),
        ]

    def test_who_was_asked_in_vain_is_counted_though_the_message_got_out(self, catalog, providers, settings):
        first, _ = providers
        settings.DELIVERY_OBSERVERS = ["tests.notifications.fakes.RecordingObserver"]
        RecordingObserver.counts.clear()
        factories.recipient("ann")
        accept("ann")
        first.fail_temporarily(times=1, code=FailureCode.UNAVAILABLE)
        worker, _ = with_gate()

        work(worker)

        counted = {(key.provider, key.outcome, key.reason): n for key, n in RecordingObserver.counts.items()}
        assert counted["first", "declined", "unavailable"] == 1
        assert counted["second", "sent", ""] == 1

    def test_an_open_circuit_is_passed_over_without_a_call(self, catalog, providers):
        first, second = providers
        factories.recipient("ann")
        accept("ann")

        work(with_gate(first=OPEN)[0])

        assert (len(first.calls), len(second.calls)) == (0, 1)
        assert Delivery.objects.get().provider == "second"

    @pytest.mark.parametrize("code", [FailureCode.TIMEOUT, FailureCode.INTERNAL])
    def test_an_unknown_outcome_is_not_handed_to_another_provider(self, catalog, providers, code):
        first, second = providers
        factories.recipient("ann")
        accept("ann")
        first.fail_temporarily(times=1, code=code)

        work(with_gate()[0])

        assert not second.calls
        assert events() == [("deferred", "first", code.value)]

    def test_the_probe_of_a_half_open_circuit_is_one_message_and_the_rest_goes_on(self, catalog, providers):
        first, second = providers
        for name in ("ann", "ben", "cid"):
            factories.recipient(name)
        accept("ann", "ben", "cid")
        probe = Permit(1, HoldReason.CIRCUIT_OPEN.value, wait=1.0, probe="token")

        work(with_gate(first=probe)[0])

        assert (len(first.calls), len(second.calls)) == (1, 2)


def test_a_permit_that_came_too_late_is_asked_for_again_and_a_probe_given_back(catalog, providers, monkeypatch):
    class SlowGate(ScriptedGate):
        asked = 0

        def ask(self, provider: str, n: int, *, priority: str) -> Permit:
            self.asked += 1
            if self.asked == 1:
                time.sleep(0.05)
            return Permit(1, probe=f"token-{self.asked}")

        def report(self, provider: str, permit: Permit, **what: object) -> None:  # type: ignore[override]
            self.reports.append((permit.probe, what))

    monkeypatch.setattr("notifications.providers.failover.LIMIT_SLACK_SECONDS", 0.02)
    factories.recipient("ann")
    accept("ann")
    worker, gate = Worker(), SlowGate()
    worker.gate = gate

    work(worker)

    assert [(probe, what["answered"]) for probe, what in gate.reports] == [("token-1", 0), ("token-2", 1)]
    assert len(providers[0].calls) == 1


class TestAfterAnUnknownOutcome:
    def attempt_once(self, first: FakeProvider) -> None:
        factories.recipient("ann")
        accept("ann")
        first.fail_temporarily(times=1, code=FailureCode.TIMEOUT)
        work(with_gate()[0])

    def test_the_same_provider_is_asked_first_and_the_send_is_marked(self, catalog, providers, settings):
        first, second = providers
        settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "email": ["second", "first"]}
        second.fail_temporarily(times=1, code=FailureCode.UNAVAILABLE)  # so that the first attempt is the other's
        self.attempt_once(first)

        work(with_gate()[0])

        assert (len(first.calls), len(second.calls)) == (1, 0)
        assert events()[-1] == ("sent", "first", MAYBE_TWICE)

    def test_another_may_be_asked_when_it_cannot_be_and_the_send_is_marked(self, catalog, providers):
        first, second = providers
        self.attempt_once(first)

        work(with_gate(first=OPEN)[0])

        assert (len(first.calls), len(second.calls)) == (0, 1)
        event = DeliveryEvent.objects.order_by("id").last()
        assert (event.type, event.code) == ("sent", MAYBE_TWICE)
        assert "first" in event.detail

    def test_the_doubt_outlives_a_later_failure_that_is_certain(self, catalog, providers):
        first, _second = providers
        self.attempt_once(first)
        for provider in providers:
            provider.fail_temporarily(times=1, code=FailureCode.UNAVAILABLE)
        work(with_gate()[0])

        work(with_gate(first=OPEN)[0])

        assert events()[-1] == ("sent", "second", MAYBE_TWICE)

    def test_a_send_after_a_lost_worker_is_marked(self, catalog, providers):
        factories.recipient("ann")
        accept("ann")
        row = OutboxMessage.objects.get()
        DeliveryTracker().claim(keys_of(row.delivery_ids), channel="email", priority="normal")
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

        work(with_gate()[0])

        assert events() == [("reclaimed", "", ""), ("sent", "first", MAYBE_TWICE)]


class TestWaiting:
    def test_all_circuits_open_wait_without_using_attempts(self, catalog, providers, settings):
        settings.MAX_ATTEMPTS = 2
        factories.recipient("ann")
        accept("ann")
        for _ in range(5):
            work(with_gate(first=OPEN, second=OPEN._replace(wait=5.0))[0])

        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.attempts - delivery.holds) == (Status.QUEUED, 0)
        work(with_gate()[0])
        assert Delivery.objects.get().status == Status.SENT
        assert DeliveryEvent.objects.get(type=EventType.SENT).attempt == 1

    def test_of_two_waits_the_one_that_ends_first_decides(self, catalog, providers):
        factories.recipient("ann")
        accept("ann")

        work(with_gate(first=OPEN, second=OPEN._replace(wait=3.0))[0])

        due = OutboxMessage.objects.get().due_at - timezone.now()
        assert timedelta(seconds=2) < due < timedelta(seconds=6)

    def test_a_channel_that_is_shut_is_not_even_claimed(self, catalog, providers):
        factories.recipient("ann")
        accept("ann")
        worker, gate = with_gate()
        gate.shut = 15.0

        work(worker)

        assert Delivery.objects.get().attempts == 0
        assert OutboxMessage.objects.get().due_at > timezone.now() + timedelta(seconds=10)
        assert events() == []

    def test_beyond_a_limit_only_as_much_is_claimed_as_may_go(self, catalog, providers):
        names = [f"p{n}" for n in range(7)]
        for name in names:
            factories.recipient(name)
        accept(*names)
        worker, gate = with_gate()
        gate.room_for = Permit(3, HoldReason.RATE_LIMIT.value, wait=10.0, per_second=8.0)

        work(worker)

        assert len(providers[0].calls) == 3
        assert Delivery.objects.filter(attempts=0, status=Status.QUEUED).count() == 4
        assert [type for type, _, _ in events()] == ["sent"] * 3
        assert sum(len(row.delivery_ids) for row in OutboxMessage.objects.all()) == 4
        assert OutboxMessage.objects.earliest("due_at").due_at > timezone.now() + timedelta(seconds=9)

    def test_test_traffic_does_not_wait_for_live_providers(self, catalog, providers, settings):
        settings.TEST_PROVIDERS = dict.fromkeys(settings.TEST_PROVIDERS, "second")
        factories.recipient("ann")
        accept("ann")
        NotificationService().send(
            [Draft(recipient="ann", category="orders", template="order-shipped", channels=["email"])],
            source="api:test",
            is_test=True,
        )
        ids = [id for row in OutboxMessage.objects.all() for id in row.delivery_ids]
        OutboxMessage.objects.all().delete()
        worker, gate = with_gate()
        gate.shut = 15.0

        worker.process(WorkMessage.of("email", "normal", ids))

        assert [message.is_test for message in providers[1].calls] == [True]
        assert Delivery.objects.filter(status=Status.QUEUED, attempts=0).count() == 1
        assert OutboxMessage.objects.get().size == 1

    def test_a_channel_that_is_shut_for_long_is_looked_at_again_soon(self, catalog, providers):
        factories.recipient("ann")
        accept("ann")
        worker, gate = with_gate()
        gate.shut = 600.0  # and then somebody resets it

        work(worker)

        assert OutboxMessage.objects.get().due_at < timezone.now() + timedelta(seconds=LOOK_AGAIN_SECONDS + 5)

    def test_a_probe_that_was_surely_not_taken_uses_no_attempt(self, catalog, providers):
        providers[0].fail_temporarily(times=1, code=FailureCode.UNAVAILABLE)
        factories.recipient("ann")
        accept("ann")

        work(with_gate(first=Permit(1, probe="token"), second=OPEN)[0])

        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.tries) == (Status.QUEUED, 0)

    def test_a_probe_with_an_unknown_outcome_does_use_one(self, catalog, providers):
        providers[0].fail_temporarily(times=1, code=FailureCode.TIMEOUT)
        factories.recipient("ann")
        accept("ann")

        work(with_gate(first=Permit(1, probe="token"), second=OPEN)[0])

        assert events() == [("deferred", "first", "timeout")]

    def test_a_suspect_that_waits_stays_alone(self, catalog, providers):
        factories.recipient("ann")
        accept("ann")
        row = OutboxMessage.objects.get()
        OutboxMessage.objects.all().delete()
        worker, gate = with_gate()
        gate.shut = 15.0

        worker.process(WorkMessage.of("email", "normal", row.delivery_ids, redelivered=True))

        assert OutboxMessage.objects.get().takes == 1

    def test_a_limit_delays_what_is_beyond_it_at_its_own_pace(self, catalog, providers):
        first, second = providers
        names = [f"p{n}" for n in range(7)]
        for name in names:
            factories.recipient(name)
        accept(*names)
        limit = Permit(3, HoldReason.RATE_LIMIT.value, wait=10.0, per_second=8.0)

        work(with_gate(first=limit)[0])

        assert (len(first.calls), len(second.calls)) == (3, 0)
        rows = [(len(row.delivery_ids), row.due_at) for row in OutboxMessage.objects.order_by("due_at")]
        assert sum(n for n, _ in rows) == 4
        assert len(rows) == 2
        assert rows[0][1] > timezone.now() + timedelta(seconds=9)
        assert Delivery.objects.filter(status=Status.QUEUED, holds=1).count() == 4

    def test_a_429_uses_no_attempt_and_pauses_the_provider(self, catalog, providers, settings):
        first, _second = providers
        settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "email": ["first"]}
        factories.recipient("ann")
        accept("ann")
        first.fail_temporarily(times=1, code=FailureCode.THROTTLED)
        worker, gate = with_gate()

        work(worker)

        assert gate.reports == [("first", {"answered": 0, "failed": 0, "retry_after": 0.0})]
        assert events() == [("held", "first", HoldReason.THROTTLED.value)]
        assert Delivery.objects.get().holds == 1

    def test_a_provider_that_throttles_for_ever_does_not_keep_it_for_ever(self, catalog, providers, settings):
        settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "email": ["first"]}
        factories.recipient("ann")
        accept("ann")
        Delivery.objects.update(holds=THROTTLED_TIMES, attempts=THROTTLED_TIMES)
        providers[0].fail_temporarily(times=1, code=FailureCode.THROTTLED)

        work(with_gate()[0])

        assert events() == [("deferred", "first", FailureCode.THROTTLED.value)]

    def test_nobody_is_asked_after_the_deadline_and_no_attempt_is_used(self, catalog, providers, settings):
        factories.recipient("ann")
        accept("ann")
        settings.LEASE_SECONDS, settings.PROVIDER_TIMEOUT_SECONDS = 6, 2
        worker, _ = with_gate()
        worker.gates.check = _slow(worker.gates.check)  # type: ignore[method-assign]

        work(worker)

        assert not providers[0].calls
        assert events() == [("held", "first", HoldReason.UNAVAILABLE.value)]

    def test_a_word_that_comes_twice_does_not_put_back_what_was_claimed_anew(self, catalog, providers):
        factories.recipient("ann")
        accept("ann")
        ids = OutboxMessage.objects.get().delivery_ids
        tracker = DeliveryTracker()
        (claim,) = tracker.claim(keys_of(ids), channel="email", priority="normal")
        held = Result(claim, EventType.HELD, "first", HoldReason.CIRCUIT_OPEN.value, retry_in=1.0)
        tracker.record([held])
        (second,) = tracker.claim(keys_of(ids), channel="email", priority="normal")
        assert (second.number, second.attempt) == (2, 1)

        tracker.record([held])  # its commit had an answer that was lost

        assert Delivery.objects.get().status == Status.SENDING


def _slow(check):
    def late(claims):
        found = check(claims)
        time.sleep(1.0)
        return found

    return late


class FullLimiter(RateLimiter):
    def __init__(self, verdict: bool | None) -> None:
        super().__init__()
        self.verdict = verdict
        self.asked: list[RecipientAsk] = []

    def limits_people(self) -> bool:
        return True

    def recipients(self, asks: Sequence[RecipientAsk]) -> list[bool | None]:
        self.asked += asks
        return [self.verdict] * len(asks)


class TestAPersonsLimit:
    def deliver(self, verdict: bool | None, **fields) -> FullLimiter:
        factories.recipient("ann")
        accept("ann", **fields)
        worker, _ = with_gate()
        limiter = FullLimiter(verdict)
        worker.gates.limiter = limiter
        work(worker)
        return limiter

    def test_beyond_it_is_skipped_with_its_reason(self, catalog, providers):
        self.deliver(False)
        assert events() == [("skipped", "", "rate_limited")]

    def test_critical_is_exempt(self, catalog, providers):
        limiter = self.deliver(False, priority="critical")
        assert limiter.asked == []
        assert events() == [("sent", "first", "")]

    def test_without_redis_transactional_goes_on(self, catalog, providers):
        self.deliver(None)
        assert events() == [("sent", "first", "")]

    def test_without_redis_marketing_waits_and_uses_no_attempt(self, providers):
        factories.category("orders", purpose="marketing")
        factories.template("order-shipped")
        self.deliver(None)
        assert events() == [("held", "", HoldReason.REDIS_AWAY.value)]
        assert Delivery.objects.get().status == Status.QUEUED


class TestThePauseOfHolds:
    policy = RetryPolicy(base=2.0, cap=900.0, max_attempts=8)

    def test_it_is_never_shorter_than_asked_and_ends_within_the_cap(self):
        for holds in range(60):
            for wait in (0.0, 1.0, 30.0, 10_000.0):
                delay = self.policy.hold(holds, wait, 0.5)
                assert min(wait, 900.0) <= delay <= 1_800.0

    def test_it_grows_when_it_goes_on_for_long(self):
        assert self.policy.hold(0, 1.0, 0.9) < 3.0
        assert self.policy.hold(PATIENCE + 12, 1.0, 0.9) > 600.0


def test_a_feed_without_its_database_uses_no_attempt(catalog, settings, monkeypatch):
    factories.recipient("ann")
    NotificationService().send(
        [Draft(recipient="ann", category="orders", template="order-shipped", channels=["in_app"])], source="api:test"
    )

    def gone(*_: object) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr("channels_app.store.insert", gone)
    work(with_gate()[0])

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts - delivery.holds) == (Status.QUEUED, 0)
    assert events() == [("held", "feed", HoldReason.UNAVAILABLE.value)]
