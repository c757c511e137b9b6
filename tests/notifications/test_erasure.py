"""What stays of a recipient's notifications once they are erased."""

import pytest

from notifications.choices import EventType, Status
from notifications.models import DeadLetter, Delivery, DeliveryEvent, Notification
from notifications.models.dead_letter import DeadCause
from preferences.services import PreferencesService
from tests import factories

pytestmark = pytest.mark.django_db


def told(person, status: Status) -> Delivery:
    """A notification on the record whose every column says something personal."""
    notification = Notification.objects.create(
        recipient=person,
        category=factories.category("orders"),
        content={"sms": {"body": "secret"}},
        data={"name": "secret"},
        metadata={"who": "secret"},
        dedup_key="secret",
        priority="normal",
        source="test",
    )
    delivery = Delivery.objects.create(
        notification=notification, recipient=person, channel="sms", priority="normal", status=status
    )
    DeliveryEvent.objects.create(delivery=delivery, type=EventType.DEFERRED, detail="secret", code="timeout")
    DeadLetter.objects.create(
        delivery_id=delivery.id, channel="sms", priority="normal", cause=DeadCause.POISON, detail="secret"
    )
    return delivery


def everything() -> str:
    models = (Notification, Delivery, DeliveryEvent, DeadLetter)
    return str([list(model.objects.order_by("id").values()) for model in models])


def test_the_words_go_and_the_record_stays():
    delivery = told(factories.recipient("ann"), Status.SENT)

    PreferencesService().erase("ann")

    assert "secret" not in everything()
    assert DeliveryEvent.objects.get().code == "timeout"
    assert Delivery.objects.get().id == delivery.id


@pytest.mark.parametrize(
    ("status", "is_cancelled"),
    [(Status.QUEUED, True), (Status.SENDING, True), (Status.DEAD, True), (Status.SENT, False)],
)
def test_what_could_still_be_sent_is_cancelled(status, is_cancelled):
    told(factories.recipient("ann"), status)
    PreferencesService().erase("ann")
    assert (Notification.objects.get().cancelled_at is not None) is is_cancelled


def test_nobody_else_is_touched():
    factories.recipient("ann")
    told(factories.recipient("bob"), Status.QUEUED)
    before = everything()
    PreferencesService().erase("ann")
    assert everything() == before


@pytest.mark.parametrize("count", [1, 40])
def test_the_statements_do_not_grow_with_what_was_sent(count, django_assert_max_num_queries):
    person = factories.recipient("ann")
    for _ in range(count):
        told(person, Status.SENT)
    with django_assert_max_num_queries(24):
        PreferencesService().erase("ann")
