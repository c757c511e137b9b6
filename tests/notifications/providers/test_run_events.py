"""run_events: what is on the lane becomes events, each once, whatever dies on the way."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from notifications.choices import EventType, Status
from notifications.management.commands import run_events
from notifications.models import Delivery, DeliveryEvent, ReceivedEvent
from notifications.services import events_lane, incoming
from notifications.services.claims import ProviderReceipt
from notifications.services.events_lane import Incoming, put, take
from tests import factories
from tests.notifications.providers.test_receipts import sent, suppressed

pytestmark = pytest.mark.django_db(transaction=True)

MANAGE = Path(__file__).parents[3] / "manage.py"


def event(delivery: Any, type: EventType = EventType.DELIVERED) -> Incoming:
    return Incoming(type=type, origin="simulated_email", delivery_id=delivery)


class FakeShutdown:
    """Asks for a stop after so many waits."""

    def __init__(self, waits: int) -> None:
        self.waits = waits
        self.slept: list[float] = []

    @property
    def requested(self) -> bool:
        return len(self.slept) >= self.waits

    def wait(self, seconds: float) -> bool:
        self.slept.append(seconds)
        return self.requested


def waiting() -> list[Any]:
    return list(ReceivedEvent.objects.values_list("delivery_id", flat=True))


def test_events_are_applied_and_gone() -> None:
    person = factories.recipient()
    delivered, bounced = sent(person, "email"), sent(person, "sms")
    put([event(delivered), event(bounced, EventType.BOUNCED)])

    assert run_events.step() == 2

    assert Delivery.objects.get(id=delivered).status == Status.DELIVERED
    assert suppressed(person) == {("sms", "hard_bounce")}
    assert waiting() == []


def test_events_stay_when_they_cannot_be_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = sent(factories.recipient(), "email")
    put([event(delivery)])

    def fail(receipts: object) -> None:
        raise OperationalError

    monkeypatch.setattr(incoming, "apply_receipts", fail)
    with pytest.raises(OperationalError):
        run_events.step()

    assert waiting() == [delivery]


def test_an_event_that_cannot_be_applied_is_put_off_and_its_neighbours_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given an event among others that the code does not expect, and whose error quotes an address
    person = factories.recipient()
    deliveries = [sent(person, "email") for _ in range(9)]
    bad = deliveries[4]
    put([event(delivery) for delivery in deliveries])
    real = incoming.apply_receipts

    def apply(receipts: Sequence[ProviderReceipt]) -> int:
        if any(receipt.delivery_id == bad for receipt in receipts):
            raise KeyError(person.email)
        return real(receipts)

    monkeypatch.setattr(incoming, "apply_receipts", apply)
    # When the batch is applied
    assert run_events.step() == 9
    # Then the others are, each once, and that one waits an hour
    assert DeliveryEvent.objects.filter(type=EventType.DELIVERED).count() == 8
    assert Delivery.objects.get(status=Status.SENT).id == bad
    left = ReceivedEvent.objects.get()
    assert (left.delivery_id, left.type, left.origin) == (bad, EventType.DELIVERED, "simulated_email")
    assert timedelta(minutes=59) < left.due_at - timezone.now() < timedelta(minutes=61)
    assert run_events.step() == 0
    assert "events.receipt_set_aside" in caplog.text
    assert person.email not in caplog.text


def test_what_was_undone_is_taken_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a taker that would not look back for a long time
    put([event(sent(factories.recipient(), "email"))])
    monkeypatch.setattr(events_lane, "REST", 1_000_000)
    monkeypatch.setattr(events_lane, "OVERLAP", timedelta(0))
    taker = events_lane.Taker()
    real = incoming.apply_receipts

    def fail(receipts: object) -> None:
        raise OperationalError

    # When PostgreSQL goes away in the middle of a batch
    monkeypatch.setattr(incoming, "apply_receipts", fail)
    with pytest.raises(OperationalError):
        run_events.step(taker)
    monkeypatch.setattr(incoming, "apply_receipts", real)
    # Then the next round has it
    assert run_events.step(taker) == 1


def test_two_processes_share_the_work_and_nothing_is_applied_twice() -> None:
    # Given one process in the middle of a batch
    person = factories.recipient()
    put([event(sent(person, "email")) for _ in range(2)])
    taken: list[int] = []
    with transaction.atomic():
        taken.append(len(take(10)))
        for_other = threading.Thread(target=lambda: taken.append(_step_elsewhere()))
        # When another one takes a batch meanwhile
        for_other.start()
        for_other.join(10)
    # Then it finds nothing, and waits for nobody
    assert taken == [2, 0]


def _step_elsewhere() -> int:
    from django.db import connection

    try:
        return run_events.step()
    finally:
        connection.close()


def test_an_idle_loop_polls_and_a_full_one_does_not_wait(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.EVENTS_POLL_SECONDS = 0.123
    batches = iter([run_events.MAX_RECEIPTS, run_events.MAX_RECEIPTS, 5])
    monkeypatch.setattr(run_events, "step", lambda taker: next(batches))
    shutdown = FakeShutdown(waits=1)

    run_events.run(shutdown)

    assert shutdown.slept == [0.123]
    assert next(batches, None) is None


def test_the_loop_outlives_postgresql_and_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[Any] = iter([OperationalError("gone"), ZeroDivisionError("a bug"), 0])

    def step(taker: object) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    monkeypatch.setattr(run_events, "step", step)
    shutdown = FakeShutdown(waits=3)

    run_events.run(shutdown)

    assert next(answers, None) is None


def test_the_command_works_and_leaves_with_zero_on_sigterm(process_env: dict[str, str]) -> None:
    # Given an event on the lane and a process of its own
    delivery = sent(factories.recipient(), "email")
    put([event(delivery)])
    process = subprocess.Popen([sys.executable, str(MANAGE), "run_events"], env=process_env)
    try:
        # When it has applied the event
        until = time.monotonic() + 30
        while not DeliveryEvent.objects.filter(delivery_id=delivery).exists() and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.1)
        # Then a SIGTERM ends it at once and cleanly
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
    assert Delivery.objects.get(id=delivery).status == Status.DELIVERED
