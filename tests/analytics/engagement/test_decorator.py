"""From a template to what the provider gets: links that lead through us, where the category wants that."""

import re

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from analytics.engagement.links import LinkBook, link_reader
from analytics.engagement.tokens import PIXEL, tokens
from analytics.models import TrackedLink
from notifications.choices import Channel, EventType
from notifications.messaging.base import Verdict
from notifications.models import Delivery, DeliveryEvent, OutboxMessage
from notifications.providers.base import OutboundMessage
from preferences.services.service import category_cache
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

pytestmark = pytest.mark.django_db

PUBLIC = "https://notify.example.com"
OFFERS = "https://shop.example/offers"
ADDRESS = re.compile(rf"{PUBLIC}/t/([co])/([A-Za-z0-9_-]+)")
CONTENT = {
    "en": {
        "email": {
            "subject": "Offers https://shop.example/subject",
            "text": f"Hello {{{{ recipient.name }}}}: {OFFERS} or https://shop.example/orders/{{{{ order }}}}.",
            "html": f'<body><a href="{OFFERS}">Offers</a><a href="mailto:a@b.example">Mail</a>'
            '<a href="https://shop.example/orders/{{ order }}">Order</a></body>',
        },
        "push": {"title": "Offers", "body": f"See {OFFERS}", "link": OFFERS},
        "sms": {"body": f"Offers: {OFFERS}"},
        "in_app": {"title": "Offers", "body": "See", "link": OFFERS},
    }
}


@pytest.fixture(autouse=True)
def catalog(settings):
    settings.PUBLIC_URL = PUBLIC
    settings.MESSAGE_DECORATORS = ["analytics.engagement.decorator.Engagement"]
    factories.category("orders")
    factories.template("order-shipped", CONTENT)
    link_reader.forget()


@pytest.fixture
def provider(settings):
    return use_provider(settings, FakeProvider("fake"))


def received(provider: FakeProvider, channel: str = "email") -> list[OutboundMessage]:
    return [message for message in provider.calls if message.channel == channel]


def destinations(text: str) -> list[str]:
    """Where the tracked addresses of a text lead."""
    found = []
    for kind, token in ADDRESS.findall(text):
        read = tokens().read(token)
        assert read is not None
        assert kind == ("o" if read.link == PIXEL else "c")
        if kind == "c":
            found.append(TrackedLink.objects.get(pk=int.from_bytes(read.link)).url + read.rest.decode())
    return found


def test_links_of_every_channel_lead_through_us_and_to_where_they_led(provider):
    factories.recipient("ann", name="Ann")
    send(draft("ann"))
    work()

    (email,), (push,), (sms,), (feed,) = (received(provider, channel) for channel in ("email", "push", "sms", "in_app"))
    assert destinations(email.content["html"]) == [OFFERS, "https://shop.example/orders/A1"]
    assert destinations(email.content["text"]) == [OFFERS, "https://shop.example/orders/A1"]
    assert destinations(push.content["link"]) == destinations(feed.content["link"]) == [OFFERS]
    assert destinations(sms.content["body"]) == [OFFERS]
    # What nobody can follow, or is no page, stays
    assert email.content["subject"] == "Offers https://shop.example/subject"
    assert push.content["body"] == f"See {OFFERS}"
    assert '<a href="mailto:a@b.example">' in email.content["html"]
    assert email.content["text"].startswith(f"Hello Ann: {PUBLIC}/t/c/")
    # And each address names its own delivery
    for message in provider.calls:
        for _, token in ADDRESS.findall(" ".join(message.content.values())):
            assert tokens().read(token).delivery == message.delivery_key


def test_an_address_of_many_messages_has_one_row_and_one_of_one_message_none(provider):
    for n in range(20):
        factories.recipient(f"person-{n}")
    send(*[draft(f"person-{n}", channels=["email"], data={"order": f"A{n}"}) for n in range(20)])
    work()

    assert set(TrackedLink.objects.values_list("url", flat=True)) == {OFFERS, "https://shop.example"}
    assert [destinations(message.content["html"])[1] for message in received(provider)] == [
        f"https://shop.example/orders/A{n}" for n in range(20)
    ]
    (first, *_) = received(provider)
    short, long = ADDRESS.findall(first.content["html"])
    assert len(short[1]) == 36 < len(long[1])


def test_the_address_of_a_text_message_is_short_at_once(provider):
    factories.recipient("ann")
    send(draft("ann", channels=["sms"]))
    work()

    assert len(ADDRESS.findall(received(provider, "sms")[0].content["body"])[0][1]) == 36


def test_a_text_message_that_would_become_too_long_keeps_its_link(provider):
    long = "x" * 1_500 + f" {OFFERS}"
    factories.recipient("ann")
    send(draft("ann", template=None, content={"sms": {"body": long}}, channels=["sms"]))
    work()

    assert received(provider, "sms")[0].content["body"] == long


def test_a_category_without_tracking_changes_nothing_and_asks_nothing(provider):
    factories.category("orders", track_clicks=False)
    category_cache.forget()
    factories.recipient("ann")
    send(draft("ann", channels=["email"]))
    work()

    (message,) = received(provider)
    assert PUBLIC not in " ".join(message.content.values())
    assert not TrackedLink.objects.exists()


def test_required_categories_follow_their_switches_too(provider):
    factories.category("orders", is_required=True, track_clicks=False, track_opens=True)
    category_cache.forget()
    factories.recipient("ann")
    send(draft("ann", channels=["email"]))
    work()

    (message,) = received(provider)
    assert [kind for kind, _ in ADDRESS.findall(message.content["html"])] == ["o"]
    assert PUBLIC not in message.content["text"]


def test_the_pixel_stands_in_the_html_of_a_category_that_wants_it(provider):
    factories.category("orders", track_opens=True)
    category_cache.forget()
    factories.recipient("ann")
    send(draft("ann"))
    work()

    (message,) = received(provider)
    assert [kind for kind, _ in ADDRESS.findall(message.content["html"])] == ["c", "c", "o"]
    assert message.content["html"].endswith("</body>")
    assert "/t/o/" not in message.content["text"] + received(provider, "push")[0].content["link"]


def test_the_ways_out_are_not_watched(provider):
    own = [f"{PUBLIC}/u/abc", f"{PUBLIC}/preferences/", f"{PUBLIC}/t/c/{tokens().make(bytes(16), PIXEL)}"]
    other = f"{PUBLIC}/inbox/"
    factories.recipient("ann")
    text = " ".join([*own, other, f"{PUBLIC}.evil.example/u/abc"])
    send(draft("ann", template=None, content={"email": {"subject": "s", "text": text}}, channels=["email"]))
    work()

    words = received(provider)[0].content["text"].split()
    assert words[:3] == own
    assert destinations(" ".join(words[3:])) == [other, f"{PUBLIC}.evil.example/u/abc"]


def test_utm_parameters_are_part_of_the_destination(provider):
    factories.recipient("ann")
    send(draft("ann", channels=["push"], metadata={"utm": {"source": "news", "campaign": "spring & sun"}}))
    work()

    target = f"{OFFERS}?utm_source=news&utm_campaign=spring%20%26%20sun"
    assert destinations(received(provider, "push")[0].content["link"]) == [target]


def test_utm_parameters_reach_the_destination_where_nothing_is_counted(provider):
    factories.category("orders", track_clicks=False)
    category_cache.forget()
    factories.recipient("ann")
    send(draft("ann", channels=["email"], metadata={"utm": {"source": "a", "campaign": "b"}}))
    work()

    (message,) = received(provider)
    assert f'href="{OFFERS}?utm_source=a&amp;utm_campaign=b"' in message.content["html"]
    assert f"{OFFERS}?utm_source=a&utm_campaign=b or" in message.content["text"]


def test_test_traffic_gets_the_same_links(settings):
    provider = FakeProvider("fake")
    use_provider(settings, provider)
    settings.TEST_PROVIDERS = dict.fromkeys(Channel.values, "fake")
    factories.recipient("ann")
    send(draft("ann", channels=["push"]), is_test=True)
    work()

    assert destinations(received(provider, "push")[0].content["link"]) == [OFFERS]


def test_a_batch_looks_up_its_links_in_one_statement_and_the_next_in_none(provider):
    book = LinkBook()
    uses = [(f"https://x.example/{n}", bytes([m]) * 16) for n in range(50) for m in range(2)]

    with CaptureQueriesContext(connection) as first:
        refs = book.refs(uses, short=False)
    with CaptureQueriesContext(connection) as second:
        again = book.refs(uses, short=False)

    assert (len(first), len(second)) == (1, 0)
    assert refs == again
    assert all(rest == b"" for _, rest in refs.values())


def test_an_address_gets_its_row_when_a_second_message_leads_there(provider):
    book = LinkBook()
    one, other = bytes(16), bytes([1]) * 16

    first = book.refs([(f"{OFFERS}/a", one)], short=False)
    retried = book.refs([(f"{OFFERS}/a", one)], short=False)  # the same message on another channel, or again
    shared = book.refs([(f"{OFFERS}/a", other)], short=False)

    assert first == retried
    assert first[f"{OFFERS}/a"][1] == b"/offers/a"
    assert shared[f"{OFFERS}/a"][1] == b""


@pytest.mark.parametrize("path", ["a" * 1_370, "ü" * 700])
def test_a_token_is_never_longer_than_it_is_read(path, provider):
    utm = dict.fromkeys(("source", "medium", "campaign", "term", "content"), "ü" * 100)
    factories.recipient("ann")
    words = {"email": {"subject": "s", "text": "t", "html": f'<a href="https://shop.example/{path}">x</a>'}}
    send(draft("ann", template=None, content=words, channels=["email"], metadata={"utm": utm}))
    work()

    (found,) = destinations(received(provider)[0].content["html"])
    assert found.startswith(f"https://shop.example/{path}?utm_source=%C3%BC")


def test_two_processes_agree_on_a_link():
    use = [(OFFERS, bytes(16))]

    assert LinkBook().refs(use, short=True) == LinkBook().refs(use, short=True)
    assert TrackedLink.objects.count() == 1


class Broken:
    """A decorator with a bug, and one that lost its database."""

    error: Exception = RuntimeError("ann@example.com")

    def decorate(self, channel, claims, contents):
        raise self.error


class Away(Broken):
    error = OperationalError()


def test_a_decorator_with_a_bug_costs_no_message(settings, provider, caplog):
    settings.MESSAGE_DECORATORS = [f"{__name__}.Broken"]
    factories.recipient("ann")
    send(draft("ann", channels=["push"]))

    assert work() == [Verdict.DONE]

    assert received(provider, "push")[0].content["link"] == OFFERS
    assert "worker.decorator_crashed" in caplog.text
    assert "ann@example.com" not in caplog.text


def test_a_batch_whose_links_cannot_be_stored_is_held_and_uses_no_attempt(settings, provider):
    settings.MESSAGE_DECORATORS = [f"{__name__}.Away"]
    factories.recipient("ann")
    send(draft("ann", channels=["push"]))

    work()

    assert provider.calls == []
    assert DeliveryEvent.objects.get().type == EventType.HELD
    assert Delivery.objects.get().tries == 0
    assert OutboxMessage.objects.count() == 1


def test_no_personal_data_stands_in_an_address_of_ours(provider):
    person = factories.recipient("ann", name="Ann Lovelace")
    factories.category("orders", track_opens=True)
    category_cache.forget()
    send(draft("ann", channels=["email"]))
    work()

    (message,) = received(provider)
    for _, token in ADDRESS.findall(message.content["html"]):
        read = tokens().read(token)
        assert read.delivery == message.delivery_key  # a random id, which leads nowhere without our database
        said = read.link + read.rest
        for secret in ("ann", "Ann Lovelace", person.email, person.phone, str(person.id)):
            assert secret.encode() not in said
