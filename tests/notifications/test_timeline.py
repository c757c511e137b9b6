"""What a notification's timeline tells of requests and answers: in outline, in order, and without addresses."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from notifications import summaries
from notifications.admin import timeline
from notifications.choices import EventType, FailureCode
from notifications.drafts import Draft
from notifications.models import Delivery, DeliveryEvent, Notification, OutboxMessage
from notifications.services.notification import NotificationService
from preferences.models import Recipient
from preferences.services import PreferencesService
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import work

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))


def send(**fields: Any) -> Notification:
    factories.category("orders")
    draft = Draft(**{"recipient": "ann", "category": "orders", "data": {"order": "A-1"}, **fields})
    [accepted] = NotificationService().send([draft], source="api:test")
    return Notification.objects.get(pk=accepted.id)


def card(notification: Notification) -> timeline.Card:
    person = Recipient.objects.filter(pk=notification.recipient_id).first()
    [one] = timeline.cards(notification, person)
    return one


def test_an_attempt_shows_what_was_asked_and_what_was_answered(provider: FakeProvider) -> None:
    factories.recipient("ann", name="Ann")
    factories.template("order-shipped")
    sent = send(template="order-shipped", channels=["email"])
    provider.fail_temporarily(times=1)
    work()

    deferred = card(sent).steps[1]

    assert deferred.title == "Deferred, will be tried again"
    assert deferred.asked == "“Order A-1 is on its way”, subject 23, text 35, html 49 characters"
    assert "Provider unavailable: try later." in deferred.detail


def test_an_sms_shows_how_many_segments_it_makes(provider: FakeProvider) -> None:
    factories.recipient("ann")
    sent = send(content={"sms": {"body": "ü" * 200}}, channels=["sms"])
    work()

    assert card(sent).steps[1].asked == "2 SMS segments, GSM-7, body 200 characters"


def test_an_address_in_a_headline_is_not_shown(provider: FakeProvider) -> None:
    factories.recipient("ann", email="ann@example.com")
    sent = send(content={"email": {"subject": "For ann@example.com", "text": "x"}}, channels=["email"])
    work()

    [delivery] = Delivery.objects.filter(notification=sent)
    assert summaries.requests([delivery])[delivery.pk].headline == "For [address]"


def test_a_long_headline_is_cut(provider: FakeProvider) -> None:
    factories.recipient("ann")
    send(content={"in_app": {"title": "word " * 30, "body": "x"}}, channels=["in_app"])

    [delivery] = Delivery.objects.all()
    headline = summaries.requests([delivery])[delivery.pk].headline
    assert len(headline) <= 60
    assert headline.endswith("…")


def test_after_an_erasure_nothing_of_it_is_told(provider: FakeProvider) -> None:
    factories.recipient("ann")
    sent = send(content={"email": {"subject": "A secret", "text": "x"}}, channels=["email"])
    work()
    PreferencesService().erase("ann")

    told = str(card(Notification.objects.get(pk=sent.pk)).steps)
    assert "secret" not in told
    assert "erased with its recipient" in told


def test_what_happens_again_and_again_is_one_line(provider: FakeProvider) -> None:
    factories.recipient("ann")
    sent = send(content={"email": {"subject": "x", "text": "x"}}, channels=["email"])
    [delivery] = Delivery.objects.filter(notification=sent)
    now = timezone.now()
    told = [EventType.HELD] * 5 + [EventType.SENT, EventType.OPENED, EventType.REOPENED, EventType.REOPENED]
    for number, kind in enumerate(told):
        at = now + timedelta(seconds=number)
        code = "circuit_open" if kind is EventType.HELD else ""
        DeliveryEvent.objects.create(delivery=delivery, type=kind, at=at, code=code, provider="fake")
    Delivery.objects.filter(pk=delivery.pk).update(status="sent")

    steps = card(sent).steps[1:]

    assert [(step.title, step.times) for step in steps] == [
        ("Held back, no attempt used", 5),
        ("Sent", 1),
        ("Opened", 1),
        (EventType.REOPENED.label, 2),
    ]
    assert steps[0].last == now + timedelta(seconds=4)


def test_a_waiting_one_says_when_it_is_due(provider: FakeProvider) -> None:
    factories.recipient("ann")
    sent = send(content={"email": {"subject": "x", "text": "x"}}, channels=["email"])
    provider.fail_temporarily(times=1, code=FailureCode.UNAVAILABLE)
    work()
    OutboxMessage.objects.update(due_at=timezone.now() + timedelta(minutes=10))

    last = card(sent).steps[-1]

    assert last.title == "Waiting to be tried again"
    assert last.detail.startswith("Due 9\xa0minutes from now, at ")


def test_channels_that_take_turns_stand_in_the_order_of_their_turns(provider: FakeProvider) -> None:
    factories.recipient("ann")
    words = {"title": "Sign here", "body": "Your contract."}
    steps = [{"channel": "in_app"}, {"channel": "push", "after": 600}, {"channel": "email", "after": 3600}]
    one_by_one = send(content=words, strategy={"escalate": steps})
    at_once = send(content=words, dedup_key="again")

    assert [one.channel for one in timeline.cards(one_by_one, None)] == ["In-app", "Push", "Email"]
    assert [one.channel for one in timeline.cards(at_once, None)][-1] == "In-app"


def test_what_was_decided_with_the_acceptance_is_not_before_it(provider: FakeProvider) -> None:
    """Events have the time of their transaction, which began before the row of the notification was made."""
    factories.recipient("ann")
    sent = send(content={"email": {"subject": "x", "text": "x"}}, channels=["email"])
    [delivery] = Delivery.objects.filter(notification=sent)
    at = sent.created_at - timedelta(milliseconds=3)
    DeliveryEvent.objects.create(delivery=delivery, type=EventType.SKIPPED, at=at, code="digested")

    assert card(sent).steps[1].offset == "+0 ms"
