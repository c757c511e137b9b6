"""What providers and lost workers say too late, twice or badly: heard where it is a fact, harmless where it is not."""

import asyncio
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from core.ids import keys_of, uuid
from notifications import worker
from notifications.choices import EventType, FailureCode, Status
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import DeadLetter, Delivery, DeliveryEvent, Notification, OutboxMessage
from notifications.providers.base import Failure, Receipt
from notifications.services.claims import ProviderReceipt, Result
from notifications.services.templates import catalogue
from notifications.services.tracking import DeliveryTracker
from notifications.worker import Worker
from preferences.models import Recipient
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def catalog():
    factories.category("orders")
    factories.template("order-shipped")


@pytest.fixture
def provider(settings):
    return use_provider(settings, FakeProvider("fake"))


def queued(*names: str) -> OutboxMessage:
    """An outbox row with one email for each of these people."""
    for name in names:
        factories.recipient(name)
    send(*[draft(name, channels=["email"]) for name in names])
    return OutboxMessage.objects.get()


def claim(row: OutboxMessage):
    return DeliveryTracker().claim(keys_of(row.delivery_ids), channel="email", priority="normal")


def lose_lease() -> None:
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def events(type: EventType) -> int:
    return DeliveryEvent.objects.filter(type=type).count()


class Saying(FakeProvider):
    """Answers one person as told, takes everybody else."""

    def __init__(self, about: str, outcome: Failure | Receipt) -> None:
        super().__init__("fake")
        self.about, self.outcome = about, outcome

    async def send(self, messages):
        taken = await super().send(messages)
        return [
            self.outcome if message.address.startswith(f"{self.about}@") else receipt
            for message, receipt in zip(messages, taken, strict=True)
        ]


@pytest.mark.parametrize("said", ["a\x00b", "\ud800 half", "x" * 5000, "tab\tline\n\\N"])
@pytest.mark.parametrize("temporary", [True, False])
def test_whatever_a_provider_says_its_batch_is_recorded_once(settings, said, temporary):
    provider = use_provider(settings, Saying("ann", Failure(FailureCode.REJECTED, temporary, said)))
    queued("ann", "bob", "cid")

    assert work() == [Verdict.DONE]

    assert len(provider.calls) == 3
    assert Delivery.objects.filter(status=Status.SENT).count() == 2
    assert events(EventType.DEFERRED if temporary else EventType.FAILED) == 1


def test_a_strange_message_id_is_kept_as_far_as_it_can_be(settings):
    use_provider(settings, Saying("ann", Receipt("id\x00" + "9" * 300)))
    queued("ann")

    work()

    kept = DeliveryEvent.objects.get(type=EventType.SENT).provider_message_id
    assert kept.startswith("id9")
    assert len(kept) == 128


def test_words_that_do_not_fit_the_record_are_dropped_and_the_send_is_kept(provider, monkeypatch):
    monkeypatch.setattr(worker, "_message_id", lambda *_: "y" * 500)  # longer than a message id may be
    queued("ann")

    assert work() == [Verdict.DONE]

    assert len(provider.calls) == 1
    assert DeliveryEvent.objects.get(type=EventType.SENT).provider_message_id == ""


def test_a_vendor_that_quotes_the_address_leaves_it_nowhere(settings):
    use_provider(settings, Saying("ann", Failure(FailureCode.REJECTED, False, "550 ann@example.com unknown")))
    queued("ann")

    work()

    assert DeliveryEvent.objects.get(type=EventType.FAILED).detail == "550 [address] unknown"


def test_a_receipt_that_quotes_the_address_leaves_it_nowhere(provider):
    queued("ann", "bob")
    work()
    Recipient.objects.filter(external_id="bob").delete()
    ids = list(Delivery.objects.values_list("id", flat=True))

    DeliveryTracker().receipts([ProviderReceipt(id, EventType.BOUNCED, "fake", "", "no ann@example.com") for id in ids])

    said = set(DeliveryEvent.objects.filter(type=EventType.BOUNCED).values_list("detail", flat=True))
    assert said == {"no [address]", ""}


def test_the_late_refusal_of_a_worker_that_lost_its_lease_changes_nothing(provider):
    row = queued("ann")
    (lost,) = claim(row)
    lose_lease()
    (current,) = claim(row)

    DeliveryTracker().record([Result(lost, EventType.FAILED, "fake", FailureCode.REJECTED.value)])

    assert Delivery.objects.get().status == Status.SENDING
    assert events(EventType.FAILED) == 0
    DeliveryTracker().record([Result(current, EventType.SENT, "fake")])
    DeliveryTracker().record([Result(lost, EventType.FAILED, "fake", FailureCode.REJECTED.value)])
    assert Delivery.objects.get().status == Status.SENT
    assert events(EventType.FAILED) == 0


def test_two_sends_of_one_delivery_are_both_on_the_record(provider):
    row = queued("ann")
    (lost,) = claim(row)
    lose_lease()
    (current,) = claim(row)

    for one in (current, lost):
        DeliveryTracker().record([Result(one, EventType.SENT, "fake")])

    assert sorted(DeliveryEvent.objects.filter(type=EventType.SENT).values_list("attempt", flat=True)) == [1, 2]


@pytest.mark.parametrize("type", [EventType.SENT, EventType.FAILED, EventType.SKIPPED, EventType.DEAD])
def test_recording_again_after_a_lost_answer_adds_nothing(provider, type):
    (one,) = claim(queued("ann"))
    result = Result(one, type, "fake", "cancelled" if type is EventType.SKIPPED else "")

    for _ in range(3):
        DeliveryTracker().record([result])

    assert events(type) == 1
    assert DeadLetter.objects.count() == (type is EventType.DEAD)


def test_a_deferral_recorded_twice_is_scheduled_once(provider):
    row = queued("ann")
    (one,) = claim(row)
    row.delete()

    for _ in range(2):
        DeliveryTracker().record([Result(one, EventType.DEFERRED, "fake", "unavailable", retry_in=5.0)])

    assert OutboxMessage.objects.count() == 1


def test_a_receipt_faster_than_the_record_wins_and_the_send_is_still_told(provider):
    (one,) = claim(queued("ann"))
    DeliveryTracker().receipts([ProviderReceipt(uuid(one.id), EventType.DELIVERED, "fake")])

    DeliveryTracker().record([Result(one, EventType.SENT, "fake")])

    assert Delivery.objects.get().status == Status.DELIVERED
    assert events(EventType.SENT) == events(EventType.DELIVERED) == 1


def test_receipts_replayed_and_shuffled_count_once(provider):
    queued("ann")
    work()
    id = Delivery.objects.get().id
    kinds = [EventType.CLICKED, EventType.DELIVERED, EventType.COMPLAINED, EventType.OPENED]
    receipts = [ProviderReceipt(id, kind, "fake") for kind in kinds]

    DeliveryTracker().receipts(receipts)
    again = DeliveryTracker().receipts(list(reversed(receipts)) * 2)

    assert (again.applied, again.unchanged, again.unknown) == ({}, {"fake": 8}, {})
    assert events(EventType.COMPLAINED) == events(EventType.CLICKED) == events(EventType.DELIVERED) == 1


def test_nobody_is_asked_when_the_lease_could_run_out_before_the_answer(provider, settings):
    settings.LEASE_SECONDS = 10
    settings.PROVIDER_TIMEOUT_SECONDS = 9
    row = queued("ann")
    row.delete()

    Worker().process(WorkMessage.of("email", "normal", row.delivery_ids))

    assert not provider.calls
    assert (Delivery.objects.get().status, OutboxMessage.objects.count()) == (Status.QUEUED, 1)


def test_a_provider_too_slow_costs_its_timeout_and_an_attempt(settings):
    class Slow(FakeProvider):
        async def send(self, messages):
            await asyncio.sleep(30)
            return []

    settings.PROVIDER_TIMEOUT_SECONDS = 0.05
    use_provider(settings, Slow("fake"))
    queued("ann")

    work()

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error_code) == (Status.QUEUED, FailureCode.TIMEOUT)


def test_a_channel_without_a_provider_fails_with_a_word(settings):
    settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "email": []}
    queued("ann")

    work()

    assert Delivery.objects.get().error_code == FailureCode.NOT_CONFIGURED


def test_the_next_provider_takes_what_the_first_surely_did_not(settings):
    first, second = FakeProvider("first"), FakeProvider("second")
    use_provider(settings, first, second)
    first.fail_temporarily(times=1)
    queued("ann", "bob")

    work()

    assert (len(first.calls), len(second.calls)) == (0, 2)
    assert set(Delivery.objects.values_list("status", "provider")) == {(Status.SENT, "second")}


def test_an_unknown_outcome_is_not_offered_to_the_next_provider(settings):
    first, second = FakeProvider("first"), FakeProvider("second")
    use_provider(settings, first, second)
    first.crash()
    queued("ann")

    work()

    assert not second.calls
    assert Delivery.objects.get().status == Status.QUEUED


def test_one_lost_worker_on_the_last_attempt_is_not_called_poison(provider, settings):
    settings.MAX_ATTEMPTS = 2
    row = queued("ann")
    (one,) = claim(row)
    DeliveryTracker().record([Result(one, EventType.DEFERRED, "fake", "unavailable", retry_in=0.0)])
    claim(row)  # the second and last attempt; its worker is lost
    lose_lease()

    assert claim(row) == []

    assert DeadLetter.objects.get().cause == "exhausted"


def test_what_was_accepted_while_its_recipient_was_erased_is_scrubbed_at_the_claim(provider):
    factories.recipient("ann")
    send(draft("ann", channels=["email"], metadata={"note": "ann@example.com"}, data={"order": "ann's"}))
    Recipient.objects.filter(external_id="ann").delete()  # without the scrubbing, as if the acceptance came after it

    work()

    notification = Notification.objects.get()
    assert (notification.data, notification.metadata, notification.content) == ({}, {}, None)
    assert not provider.calls


def test_a_crashing_provider_is_logged_without_what_it_said(settings, caplog):
    class Leaky(FakeProvider):
        async def send(self, messages):
            raise RuntimeError(f"cannot send to {messages[0].address}")

    use_provider(settings, Leaky("fake"))
    queued("ann")

    work()

    assert "worker.provider_crashed" in caplog.text
    assert "ann@example.com" not in caplog.text


def test_postgresql_lost_while_a_wording_is_read_is_tried_again(provider, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    row = queued("ann")
    OutboxMessage.objects.all().delete()
    monkeypatch.setattr(catalogue, "render", away)

    assert Worker().process(WorkMessage.of("email", "normal", row.delivery_ids)) is Verdict.DONE
    assert not provider.calls
    assert list(OutboxMessage.objects.get().delivery_ids) == list(row.delivery_ids)
