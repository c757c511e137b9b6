"""Accept -> claim -> send -> record, on the real PostgreSQL and Redis."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import ids
from core.ids import keys_of
from notifications.choices import EventType, SkipReason, Status
from notifications.drafts import Draft
from notifications.errors import AlreadyLeft, DraftsRejected
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import DeadLetter, Delivery, DeliveryEvent, MessageTemplate, Notification, OutboxMessage
from notifications.services import notify
from notifications.services.claims import Result
from notifications.services.notification import NotificationService
from notifications.services.templates import new_version, publish
from notifications.services.tracking import DeliveryTracker
from notifications.worker import Worker
from preferences.services import PreferenceChange, PreferencesService
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalog():
    factories.category("orders")
    factories.template("order-shipped")


@pytest.fixture
def provider(settings):
    return use_provider(settings, FakeProvider("fake"))


def draft(recipient: str, **fields) -> Draft:
    return Draft(
        **{"recipient": recipient, "category": "orders", "template": "order-shipped", "data": {"order": "A1"}, **fields}
    )


def send(*drafts: Draft, **fields):
    return NotificationService().send(drafts, source=fields.pop("source", "api:test"), **fields)


def work(*channels: str) -> list[Verdict]:
    """Hand every due outbox row to a worker, once."""
    rows = list(OutboxMessage.objects.filter(due_at__lte=timezone.now()).order_by("id"))
    OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
    return [
        Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))
        for row in rows
        if not channels or row.channel in channels
    ]


class TestAccept:
    def test_one_notification_becomes_a_delivery_per_channel_and_device(self, catalog):
        factories.recipient("ann", devices=2)

        (accepted,) = send(draft("ann"))

        assert (accepted.deliveries, accepted.skipped) == (5, 0)
        channels = Counter(Delivery.objects.values_list("channel", flat=True))
        assert channels == {"push": 2, "email": 1, "sms": 1, "in_app": 1}
        assert sorted(len(row.delivery_ids) for row in OutboxMessage.objects.all()) == [1, 1, 1, 2]

    def test_a_pinned_version_is_sent_though_another_is_published(self, catalog, provider):
        template = MessageTemplate.objects.get(slug="order-shipped")
        pinned = template.published_id
        newer = new_version(template, {"en": {"sms": {"body": "Something new"}}}, by=None)
        publish(newer, by=None)
        factories.recipient("ann")

        send(draft("ann", template_version=pinned, channels=["sms"]), draft("ann", channels=["sms"]))
        work()

        assert [message.content["body"] for message in provider.calls] == ["Your order A1 has left.", "Something new"]
        assert set(Notification.objects.values_list("template_version_id", flat=True)) == {pinned, newer.pk}

    def test_a_version_is_pinned_only_with_its_template_and_once_published(self, catalog):
        template = MessageTemplate.objects.get(slug="order-shipped")
        other = factories.template("other").published_id
        unpublished = new_version(template, factories.CONTENT, by=None).pk
        factories.recipient("ann")
        drafts = [draft("ann", template_version=version) for version in (other, unpublished, 0, 2**40)]
        drafts.append(draft("ann", template=None, content={"title": "t", "body": "b"}, template_version=other))

        with pytest.raises(DraftsRejected) as caught:
            send(*drafts)

        said = {n: [(e.pointer, e.code) for e in errors] for n, errors in caught.value.errors.items()}
        unknown = [("/template_version", "unknown")]
        assert said == {0: unknown, 1: unknown, 2: unknown, 3: unknown, 4: [("/template_version", "alone")]}
        assert not Notification.objects.exists()

    def test_a_batch_looks_a_pinned_version_up_once(self, catalog):
        pinned = MessageTemplate.objects.get(slug="order-shipped").published_id
        for person in factories.recipients(20):
            factories.device(person)

        with CaptureQueriesContext(connection) as queries:
            send(*[draft(f"person-{n}", template_version=pinned) for n in range(20)])

        assert sum("templateversion" in query["sql"] for query in queries) == 1

    def test_what_is_not_sent_is_on_the_record_with_its_reason(self, catalog):
        person = factories.recipient("ann", devices=0, phone="")
        factories.preference(person, "email", enabled=False)

        (accepted,) = send(draft("ann"))

        assert (accepted.deliveries, accepted.skipped) == (1, 3)
        reasons = dict(Delivery.objects.filter(status=Status.SKIPPED).values_list("channel", "skip_reason"))
        assert reasons == {
            "email": SkipReason.OPTED_OUT,
            "sms": SkipReason.NO_ADDRESS,
            "push": SkipReason.NO_ADDRESS,
        }
        assert DeliveryEvent.objects.filter(type=EventType.SKIPPED).count() == 3

    def test_a_batch_costs_the_same_queries_as_one(self, catalog):
        factories.recipients(200)
        send(draft("person-0"))  # fills the process caches
        with CaptureQueriesContext(
            connection,
        ) as one:
            send(draft("person-1"))
        with CaptureQueriesContext(connection) as many:
            send(*[draft(f"person-{n}") for n in range(2, 200)])
        assert len(many) == len(one)

    def test_every_fault_of_every_draft_is_told_and_nothing_is_kept(self, catalog):
        factories.recipient("ann")
        past = timezone.now() - timedelta(hours=1)

        with pytest.raises(DraftsRejected) as refused:
            send(
                draft("ann"),
                draft("nobody", category="nothing"),
                draft("ann", template="none", priority="urgent", expires_at=past),
                draft("ann", channels=["email", "fax"]),
                draft("ann", content={"title": "x", "body": "y"}),
                draft("ann", data={"text": "a\x00b"}),
            )

        pointers = {index: {error.pointer for error in errors} for index, errors in refused.value.errors.items()}
        assert pointers == {
            1: {"/recipient", "/category"},
            2: {"/template", "/priority", "/expires_at"},
            3: {"/channels/1"},
            4: {"/template"},
            5: {"/data"},
        }
        assert not Notification.objects.exists()

    def test_a_fault_of_data_that_drafts_share_is_told_of_each(self, catalog):
        factories.recipient("ann")
        shared = {"text": "a\x00b"}

        with pytest.raises(DraftsRejected) as refused:
            send(draft("ann", data=shared), draft("ann", data=shared), draft("ann", metadata=shared))

        pointers = {index: [error.pointer for error in errors] for index, errors in refused.value.errors.items()}
        assert pointers == {0: ["/data"], 1: ["/data"], 2: ["/metadata"]}

    def test_what_is_a_drafts_own_is_kept_apart_from_what_the_batch_shares(self, catalog):
        factories.recipient("ann"), factories.recipient("bob", phone="")
        later = timezone.now() + timedelta(hours=2)
        words = {"title": "Hello", "body": "You"}

        sent = send(
            draft("ann", channels=["email"]),
            draft("bob", channels=["email"], metadata={"n": 1}, expires_at=later),
            draft("bob", channels=["sms", "email"], priority="high", send_at=later, dedup_key="k"),
            draft("ann", channels=["email"], template=None, data={}, content=words),
            source="api:own",
            is_test=True,
        )

        rows = {row.pk: row for row in Notification.objects.all()}
        plain, own, other, inline = (rows[one.id] for one in sent)
        assert (plain.metadata, plain.expires_at, plain.send_at, plain.dedup_key) == ({}, None, None, "")
        assert (own.metadata, own.expires_at, own.data) == ({"n": 1}, later, {"order": "A1"})
        assert (other.priority, other.send_at, other.dedup_key) == ("high", later, "k")
        assert (inline.template_version_id, inline.data, inline.content["email"]["subject"]) == (None, {}, "Hello")
        assert {(row.source, row.is_test) for row in rows.values()} == {("api:own", True)}
        assert [(one.deliveries, one.skipped) for one in sent] == [(1, 0), (1, 0), (1, 1), (1, 0)]
        kinds = Delivery.objects.filter(notification=other).values_list("channel", "priority", "status", "skip_reason")
        assert set(kinds) == {("sms", "high", "skipped", "no_address"), ("email", "high", "queued", "")}
        assert {row.due_at == later for row in OutboxMessage.objects.filter(priority="high")} == {True}

    @pytest.mark.parametrize("text", ["tab\there", "line\nend\r", "back\\slash", "\\N", "quote\"'", "ünïcödé 🛎", ""])
    def test_any_text_survives_the_way_into_the_record(self, catalog, text):
        factories.recipient("ann")

        send(draft("ann", data={"order": text}, metadata={text or "k": text}, dedup_key=text))

        stored = Notification.objects.get()
        assert (stored.data, stored.metadata, stored.dedup_key) == ({"order": text}, {text or "k": text}, text)

    def test_the_same_deterministic_id_is_recorded_once(self, catalog):
        factories.recipient("ann")
        id = ids.deterministic(timezone.now(), ("campaign", 1, "ann"))

        first, second = send(draft("ann", id=id)), send(draft("ann", id=id))

        assert (first[0].existed, second[0].existed) == (False, True)
        assert Notification.objects.count() == 1
        assert Delivery.objects.count() == first[0].deliveries

    def test_a_scheduled_notification_waits_in_the_outbox(self, catalog):
        factories.recipient("ann")
        later = timezone.now() + timedelta(hours=2)

        send(draft("ann", send_at=later))

        assert {row.due_at for row in OutboxMessage.objects.all()} == {later}


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_sends_nothing():
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("ann")

    class Undo(Exception):
        pass

    def host_code() -> None:
        with transaction.atomic():
            notify(recipient="ann", category="orders", template="order-shipped", data={"order": "A1"})
            assert Notification.objects.exists()
            raise Undo

    with pytest.raises(Undo):
        host_code()

    assert not Notification.objects.exists()
    assert not OutboxMessage.objects.exists()


class TestSend:
    def test_every_channel_gets_its_rendered_content(self, catalog, provider):
        factories.recipient("ann", name="Ann <3", devices=1)
        send(draft("ann"))

        assert set(work()) == {Verdict.DONE}

        by_channel = {message.channel: message for message in provider.calls}
        assert by_channel["email"].content["subject"] == "Order A1 is on its way"
        assert "Ann &lt;3" in by_channel["email"].content["html"]
        assert "Ann <3" in by_channel["email"].content["text"]
        assert by_channel["in_app"].content["link"] == "/orders/A1"
        assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SENT}
        assert DeliveryEvent.objects.filter(type=EventType.SENT).count() == 4

    def test_the_same_message_twice_is_one_call(self, catalog, provider):
        factories.recipient("ann")
        send(draft("ann", channels=["email"]))
        row = OutboxMessage.objects.get()
        message = WorkMessage.of(row.channel, row.priority, row.delivery_ids)

        for _ in range(5):
            assert Worker().process(message) is Verdict.DONE

        assert len(provider.calls) == 1

    def test_an_opt_out_after_acceptance_is_honoured_at_send(self, catalog, provider):
        factories.recipient("ann")
        send(draft("ann", channels=["email", "sms"]))
        PreferencesService().set_preferences("ann", [PreferenceChange("orders", "email", False)])

        work()

        assert [message.channel for message in provider.calls] == ["sms"]
        assert Delivery.objects.get(channel="email").skip_reason == SkipReason.OPTED_OUT

    def test_a_suppression_after_acceptance_is_honoured_at_send(self, catalog, provider):
        person = factories.recipient("ann")
        send(draft("ann", channels=["email"]))
        PreferencesService().suppress("email", person.email, "manual")

        work()

        assert not provider.calls
        assert Delivery.objects.get().skip_reason == SkipReason.SUPPRESSED

    def test_what_has_expired_is_not_sent(self, catalog, provider):
        factories.recipient("ann")
        send(draft("ann", channels=["email"], expires_at=timezone.now() + timedelta(hours=1)))
        Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        work()

        assert not provider.calls
        assert Delivery.objects.get().skip_reason == SkipReason.EXPIRED

    def test_an_erased_recipient_gets_nothing_and_leaves_nothing(self, catalog, provider):
        factories.recipient("ann", name="Ann Secret")
        send(draft("ann", data={"order": "secret"}))
        PreferencesService().erase("ann")

        work()

        assert not provider.calls
        assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SKIPPED}
        assert Notification.objects.get().data == {}

    def test_a_test_key_reaches_only_the_simulator(self, catalog, provider):
        factories.recipient("ann")
        send(draft("ann"), is_test=True)

        work()

        assert not provider.calls
        assert all(name.startswith("simulated_") for name in Delivery.objects.values_list("provider", flat=True))

    def test_a_temporary_failure_comes_back_later_and_then_is_sent(self, catalog, provider):
        factories.recipient("ann")
        provider.fail_temporarily(times=1)
        send(draft("ann", channels=["email"]))

        work()
        delivery = Delivery.objects.get()
        retry = OutboxMessage.objects.get()
        assert (delivery.status, delivery.attempts) == (Status.QUEUED, 1)
        assert list(retry.delivery_ids) == [delivery.id]
        OutboxMessage.objects.update(due_at=timezone.now())
        work()

        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts) == (Status.SENT, 2)
        types = list(DeliveryEvent.objects.order_by("id").values_list("type", flat=True))
        assert types == [EventType.DEFERRED, EventType.SENT]

    def test_used_up_attempts_end_as_a_dead_letter_that_can_be_replayed(self, catalog, provider, settings):
        settings.MAX_ATTEMPTS = 2
        factories.recipient("ann")
        provider.fail_temporarily(times=2)
        send(draft("ann", channels=["email"]))
        work()
        OutboxMessage.objects.update(due_at=timezone.now())
        work()
        letter = DeadLetter.objects.get()
        assert (Delivery.objects.get().status, letter.cause) == (Status.DEAD, "exhausted")

        assert DeliveryTracker().replay([letter.id], by="operator") == 1
        assert DeliveryTracker().replay([letter.id], by="operator") == 0
        work()

        assert Delivery.objects.get().status == Status.SENT

    def test_a_permanent_failure_ends_and_an_invalid_token_is_retired(self, catalog, provider):
        person = factories.recipient("ann", devices=2)
        provider.refuse_address()
        send(draft("ann", channels=["push"]))

        work()

        assert set(Delivery.objects.values_list("status", "error_code")) == {(Status.FAILED, "invalid_address")}
        assert not person.device_tokens.filter(retired_at=None).exists()
        assert not OutboxMessage.objects.exists()

    def test_a_provider_that_raises_costs_an_attempt_and_loses_nothing(self, catalog, provider):
        factories.recipient("ann")
        provider.crash()
        send(draft("ann", channels=["email"]))

        assert work() == [Verdict.DONE]

        assert Delivery.objects.get().status == Status.QUEUED
        assert OutboxMessage.objects.exists()

    def test_a_broken_template_fails_that_delivery_alone(self, catalog, provider):
        factories.recipient("ann")
        factories.recipient("bob")
        content = {"en": {"email": {"subject": "{{ a }}", "text": "t", "html": ""}}}
        factories.template("fragile", content)
        send(
            draft("ann", template="fragile", channels=["email"], data={"a": "fine"}),
            draft("bob", template="fragile", channels=["email"], data={}),
        )

        work()

        statuses = dict(Delivery.objects.values_list("recipient__external_id", "status"))
        assert statuses["ann"] == Status.SENT
        assert statuses["bob"] in {Status.SENT, Status.FAILED}  # an empty subject may be refused, never crash

    def test_a_held_delivery_waits_for_its_lease_and_is_taken_over_after_it(self, catalog, provider):
        factories.recipient("ann")
        send(draft("ann", channels=["email"]))
        row = OutboxMessage.objects.get()
        row.delete()
        tracker = DeliveryTracker()
        assert len(tracker.claim(keys_of(row.delivery_ids), channel="email", priority="normal")) == 1  # and then dies

        assert Worker().process(WorkMessage.of("email", "normal", row.delivery_ids)) is Verdict.DONE
        assert not provider.calls
        assert OutboxMessage.objects.get().due_at > timezone.now() + timedelta(seconds=60)

        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        Worker().process(WorkMessage.of("email", "normal", row.delivery_ids))
        assert len(provider.calls) == 1
        assert DeliveryEvent.objects.filter(type=EventType.RECLAIMED).count() == 1

    def test_who_comes_back_later_than_the_lease_finds_suspects_alone(self, catalog, provider):
        for name in ("ann", "bob", "cleo"):
            factories.recipient(name)
            send(draft(name, channels=["email"]))
        ids = keys_of(Delivery.objects.values_list("id", flat=True))
        OutboxMessage.objects.all().delete()
        for _ in range(2):  # two workers that take all of them and die
            assert len(DeliveryTracker().claim(ids, channel="email", priority="normal")) == 3
            Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

        assert DeliveryTracker().claim(ids, channel="email", priority="normal") == []

        rows = list(OutboxMessage.objects.all())
        assert [(row.takes, len(row.delivery_ids)) for row in rows] == [(1, 1)] * 3
        assert DeliveryEvent.objects.filter(type=EventType.RECLAIMED).count() == 3
        for row in rows:
            Worker().process(WorkMessage.of("email", "normal", row.delivery_ids))
        assert len(provider.calls) == 3
        assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SENT}

    def test_what_kills_its_workers_goes_alone_and_ends_as_poison(self, catalog, provider, settings):
        settings.MAX_ATTEMPTS = 3
        for name in ("ann", "bob"):
            factories.recipient(name)
        send(draft("ann", channels=["email"]), draft("bob", channels=["email"]))
        poison = Delivery.objects.get(recipient__external_id="ann")
        rounds = 0

        while OutboxMessage.objects.exists():
            rounds += 1
            assert rounds < 20, "it never ends"
            for row in OutboxMessage.objects.all():
                row.delete()
                message = WorkMessage.of(row.channel, row.priority, row.delivery_ids)
                if poison.id in row.delivery_ids:
                    DeliveryTracker().claim(message.deliveries, channel="email", priority="normal")  # and then dies
                assert Worker().process(message) is Verdict.DONE  # the redelivery
            Delivery.objects.filter(status=Status.SENDING).update(lease_until=timezone.now() - timedelta(seconds=1))
            OutboxMessage.objects.update(due_at=timezone.now())

        assert [message.recipient_id for message in provider.calls] == [
            Delivery.objects.get(recipient__external_id="bob").recipient_id
        ]
        assert DeadLetter.objects.get().cause == "poison"
        poison.refresh_from_db()
        assert poison.status == Status.DEAD


class TestCancel:
    def test_what_has_not_left_is_stopped(self, catalog, provider):
        factories.recipient("ann")
        (accepted,) = send(draft("ann"))

        assert NotificationService().cancel(accepted.id) == accepted.deliveries
        work()

        assert not provider.calls
        assert set(Delivery.objects.values_list("skip_reason", flat=True)) == {SkipReason.CANCELLED}

    def test_what_has_left_cannot_be(self, catalog, provider):
        factories.recipient("ann")
        (accepted,) = send(draft("ann"))
        work()

        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(accepted.id)
        with pytest.raises(Notification.DoesNotExist):
            NotificationService().cancel(ids.uuid7())

    def test_what_a_worker_has_in_hand_is_not_sent_when_it_comes_back(self, catalog, provider):
        factories.recipient("ann")
        (accepted,) = send(draft("ann", channels=["email"]))
        ids_ = list(Delivery.objects.values_list("id", flat=True))
        [claim] = DeliveryTracker().claim(keys_of(ids_), channel="email", priority="normal")

        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(accepted.id)
        DeliveryTracker().record([Result(claim, EventType.HELD, "fake", "rate_limit")])
        work()

        assert not provider.calls
        assert Delivery.objects.get().skip_reason == SkipReason.CANCELLED

    def test_a_range_is_cancelled_by_source_alone(self, catalog, provider):
        start = timezone.now()
        for name in ("ann", "bob", "cid"):
            factories.recipient(name)
        send(*[draft(name, id=ids.deterministic(start, (name,))) for name in ("ann", "bob")], source="campaign:1")
        send(draft("cid", id=ids.deterministic(start, ("cid",))), source="campaign:2")
        low, high = ids.floor(start), ids.floor(start + timedelta(milliseconds=1))

        cancelled, at = 0, low
        while at is not None:
            stopped, at = DeliveryTracker().cancel_range("campaign:1", at, high, limit=1)
            cancelled += stopped

        assert cancelled == Delivery.objects.filter(status=Status.SKIPPED).count() == 8
        assert Delivery.objects.filter(status=Status.QUEUED).count() == 4
