"""STOP through the webhook: what was accepted before it is not sent after it, and START opens the way again."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.conf import settings as conf
from django.db import transaction
from django.test import Client
from django.utils import timezone

from core import standard_webhooks
from core.ids import uuid7
from notifications.choices import EventType, SkipReason, Status
from notifications.management.commands.run_events import step
from notifications.models import Delivery, ReceivedEvent
from notifications.receivers import simulated
from notifications.services import events_lane, sandbox
from notifications.services.events_lane import Incoming
from preferences.keywords import Keyword
from preferences.models import HeardKeyword, Recipient, Suppression
from tests import factories
from tests.admin import page, signed_in, simulated_call
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

pytestmark = pytest.mark.django_db

NUMBER = "+4915112345678"


@pytest.fixture(autouse=True)
def _ada() -> None:
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("ada", phone=NUMBER)


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))


def webhook(*events: simulated.Event, provider: str = "simulated_sms") -> Any:
    body = msgspec.json.encode(simulated.Webhook(list(events)))
    secret = simulated.secret(provider, conf.SECRET_KEY)
    headers = standard_webhooks.sign([secret], id="msg_1", timestamp=int(time.time()), body=body)
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.generic(
        "POST", f"/webhooks/{provider}/", data=body, content_type="application/json", headers=dict(headers)
    )


def inbound(text: str, sender: str = NUMBER, **more: Any) -> simulated.Event:
    return simulated.Event(
        **{"id": uuid7().hex, "event": "inbound", "sender": sender, "text": text, "at": datetime.now(UTC), **more}
    )


def test_stop_is_honoured_for_what_was_accepted_before_it_and_after_it(provider: FakeProvider) -> None:
    send(draft("ada", channels=["sms"]))

    assert webhook(inbound("Stop.")).json() == {"taken": 1}
    assert step() == 1
    work()
    send(draft("ada", channels=["sms"], data={"order": "2"}))

    assert not provider.calls
    assert set(Delivery.objects.values_list("status", "skip_reason")) == {(Status.SKIPPED, SkipReason.SUPPRESSED)}
    assert webhook(inbound("START")).status_code == 200
    step()
    send(draft("ada", channels=["sms"], data={"order": "3"}))
    work()
    assert len(provider.calls) == 1


def test_unknown_numbers_and_odd_senders_are_answered_and_taken() -> None:
    events = [inbound("STOP", sender) for sender in ("+491701234567", "12345", "", "Shop", "x" * 300, "\u0000")]

    assert webhook(*events).json() == {"taken": 6}
    assert step() == 6

    assert not ReceivedEvent.objects.exists()
    assert HeardKeyword.objects.count() == Suppression.objects.count() == 1


def test_without_a_moment_of_the_vendor_the_one_of_its_coming_counts() -> None:
    webhook(inbound("STOP", at=None))
    step()
    assert abs(HeardKeyword.objects.get().said_at.timestamp() - time.time()) < 60


def test_a_keyword_survives_the_lane_and_being_set_aside() -> None:
    at = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
    event = Incoming(type=Keyword.STOP, origin="vendor", event_id="m-1", sender=NUMBER, said_at=at)
    events_lane.put([event])
    with transaction.atomic():
        events_lane.set_aside(events_lane.take(10), seconds=-1)

    with transaction.atomic():
        (again,) = events_lane.take(10)

    assert msgspec.structs.replace(again, at=None) == event


def test_a_bounce_and_a_stop_of_one_batch_both_count(provider: FakeProvider) -> None:
    send(draft("ada", channels=["sms"]))
    work()
    delivery = Delivery.objects.get()
    Recipient.objects.update(updated_at=timezone.now() - timedelta(days=1))  # not edited since
    events_lane.put(
        [
            Incoming(type=Keyword.STOP, origin="fake", event_id="m-1", sender=NUMBER),
            Incoming(type=EventType.BOUNCED, origin="fake", delivery_id=delivery.pk, event_id="e-1"),
        ]
    )

    step()

    assert set(Suppression.objects.values_list("reason", flat=True)) == {"hard_bounce", "stop_keyword"}


class TestSandbox:
    def call(self, **fields: Any) -> Any:
        return simulated_call(
            **{"provider": "simulated_sms", "address": NUMBER, "is_test": False, "recipient_id": uuid7(), **fields}
        )

    def test_a_phone_of_the_sandbox_answers_through_the_webhook(self) -> None:
        call, client = self.call(), signed_in(may="everything")
        assert "Answer as this phone" in client.get(page(call)).content.decode()

        told = client.post(page(call, "reply"), {"text": "Stop!"}, follow=True).content.decode()

        assert "answered STOP" in told
        step()
        assert Suppression.objects.get().reason == "stop_keyword"
        assert "no keyword" in client.post(page(call, "reply"), {"text": "Who is this?"}, follow=True).content.decode()
        assert "Write what" in client.post(page(call, "reply"), {"text": " "}, follow=True).content.decode()

    @pytest.mark.parametrize("fields", [{"is_test": True}, {"provider": "simulated_email"}, {"provider": "gone"}])
    def test_what_no_live_phone_got_is_not_answered(self, fields: dict[str, Any]) -> None:
        call, client = self.call(**fields), signed_in(may="everything")

        assert "Answer as this phone" not in client.get(page(call)).content.decode()
        client.post(page(call, "reply"), {"text": "STOP"})

        assert not ReceivedEvent.objects.exists()
        with pytest.raises(sandbox.NoReply):
            sandbox.reply(call, "STOP")

    def test_who_only_looks_answers_nothing(self) -> None:
        call, client = self.call(), signed_in(may="view")

        assert "Answer as this phone" not in client.get(page(call)).content.decode()
        assert client.post(page(call, "reply"), {"text": "STOP"}).status_code == 403


def test_the_admin_shows_who_when_and_why_and_lifts_no_stop() -> None:
    events_lane.put([Incoming(type=Keyword.STOP, origin="simulated_sms", event_id="m-1", sender=NUMBER)])
    client = signed_in(may="everything")
    assert "replied STOP" in client.get(page(ReceivedEvent)).content.decode()
    step()
    row = Suppression.objects.get()

    shown = client.get(page(row, "lift")).content.decode()
    answer = client.post(page(row, "lift"), {"address": NUMBER})

    assert "Only a START from this number" in shown
    assert (answer.status_code, Suppression.objects.count()) == (200, 1)
    listed = client.get(page(Suppression)).content.decode()
    assert "Replied STOP" in listed
    assert "simulated_sms" in listed
    assert "m-1" in client.get(page(HeardKeyword), {"q": NUMBER}).content.decode()
