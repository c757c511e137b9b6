"""The link to unsubscribe: in the words that name it, in the headers of marketing email, and what following it does."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from notifications.drafts import Draft
from notifications.messaging.base import WorkMessage
from notifications.models import MessageTemplate, OutboxMessage
from notifications.services import test_sends
from notifications.services.notification import NotificationService
from notifications.services.templates import catalogue
from notifications.services.test_sends import Wanted
from notifications.worker import Worker
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider

pytestmark = pytest.mark.django_db

OFFER = {
    "en": {
        "email": {
            "subject": "Offer",
            "text": "Out: {{ unsubscribe_url }}",
            "html": '<a href="{{ unsubscribe_url }}">x</a>',
        },
        "sms": {"body": "Offer. Out: {{ unsubscribe_url }}"},
    }
}


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))


@pytest.fixture(autouse=True)
def _offer() -> None:
    catalogue.clear()
    factories.category("offers", purpose="marketing")
    factories.category("orders")
    factories.recipient("ada")
    factories.template("offer", OFFER, purpose="marketing")


def send(category: str = "offers", **fields: Any) -> None:
    draft = Draft(**{"recipient": "ada", "category": category, "template": "offer", **fields})
    NotificationService().send([draft], source="api:test")
    work()


def work() -> None:
    rows = list(OutboxMessage.objects.filter(due_at__lte=timezone.now()))
    OutboxMessage.objects.all().delete()
    for row in rows:
        Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))


def path_in(text: str) -> str:
    found = re.search(r"/u/[\w-]+/", text)
    assert found, text
    return found[0]


def test_following_it_stops_this_kind_on_this_channel(provider: FakeProvider) -> None:
    send(data={"unsubscribe_url": "https://evil.example/"})
    by_channel = {message.channel: message for message in provider.calls}
    assert "evil" not in by_channel["email"].content["text"]
    path = path_in(by_channel["email"].content["text"])
    assert path_in(by_channel["email"].content["html"]) == path
    assert path_in(by_channel["sms"].content["body"]) != path

    assert Client().post(path).status_code == 200

    provider.calls.clear()
    send(data={"again": 1})
    assert [message.channel for message in provider.calls] == ["sms"]


def test_marketing_email_carries_the_button_of_mail_programs(provider: FakeProvider) -> None:
    send()
    send("orders")

    headers = [(message.category, message.channel, dict(message.headers)) for message in provider.calls]
    [marketing] = [found for category, channel, found in headers if (category, channel) == ("offers", "email")]
    assert set(marketing) == {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert marketing["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r"<https?://[^<>]+/u/[\w-]+/>", marketing["List-Unsubscribe"])
    assert Client().post(path_in(marketing["List-Unsubscribe"])).status_code == 200
    assert all(not found for category, channel, found in headers if (category, channel) != ("offers", "email"))


def test_a_test_has_a_link_that_works(provider: FakeProvider) -> None:
    version = MessageTemplate.objects.get(slug="offer").published
    assert version is not None

    test_sends.send_test(version, Wanted(recipients=["ada"], category="offers"), by="grace")
    work()

    [email] = [message for message in provider.calls if message.channel == "email"]
    assert "Stop “Offers”?" in Client().get(path_in(email.content["text"])).content.decode()


def test_words_without_it_cost_nothing(monkeypatch: pytest.MonkeyPatch, provider: FakeProvider) -> None:
    factories.template("plain", {"en": {"sms": {"body": "Hi"}}})
    made: list[object] = []
    monkeypatch.setattr("preferences.unsubscribing.address", lambda *args, **options: made.append(args) or "x")

    send(template="plain", channels=["sms"])

    assert made == []
    assert [message.content["body"] for message in provider.calls] == ["Hi"]


def test_the_link_to_ones_preferences_leads_to_them(provider: FakeProvider) -> None:
    factories.template("choices", {"en": {"sms": {"body": "Yours: {{ preferences_url }}"}}})

    send(template="choices", channels=["sms"], data={"preferences_url": "https://evil.example/"})

    [message] = provider.calls
    path = re.search(r"/preferences/[\w-]+/", message.content["body"])
    assert path, message.content["body"]
    assert "What you receive" in Client().get(path[0]).content.decode()
