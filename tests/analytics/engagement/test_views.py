"""/t/c/ and /t/o/: where a link leads, whoever comes, and what is kept of it."""

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics.engagement import links, views
from analytics.engagement.hits import HitLog
from analytics.engagement.links import LinkBook, LinkReader
from analytics.engagement.tokens import PIXEL, tokens
from analytics.models import TrackedLink
from core import ids
from notifications.choices import EventType
from notifications.models import ReceivedEvent
from notifications.services.engagement import BURST_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

BROWSER = {"HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"}
OFFERS = "https://shop.example/offers?utm_source=news&name=Ann#top"


@pytest.fixture(autouse=True)
def _fresh():
    views.link_reader.forget()


def click(client, url: str = OFFERS, **more):
    """Follow a link to this address."""
    delivery = ids.keys(1)[0]
    (link, rest) = LinkBook().refs([(url, ids.keys(1)[0])], short=True)[url]
    return client.get(f"/t/c/{tokens().make(delivery, link, rest)}", **{**BROWSER, **more})


def pixel(client, **more):
    return client.get(f"/t/o/{tokens().make(ids.keys(1)[0], PIXEL)}", **{**BROWSER, **more})


def test_a_link_leads_to_its_stored_address(client):
    answer = click(client)

    assert (answer.status_code, answer["Location"]) == (302, OFFERS)
    assert answer.content == b""


def test_a_link_of_one_message_leads_to_its_address_too(client):
    url = "https://shop.example/orders/1?a=b&c=%C3%BC"
    ((link, rest),) = LinkBook().refs([(url, bytes(16))], short=False).values()

    answer = client.get(f"/t/c/{tokens().make(ids.keys(1)[0], link, rest)}", **BROWSER)

    assert TrackedLink.objects.get().url == "https://shop.example"
    assert answer["Location"] == url


def test_a_click_is_put_on_the_lane_with_its_link_and_without_its_parameters(client):
    click(client)

    row = ReceivedEvent.objects.get()
    assert (row.type, row.origin, row.machine) == (EventType.CLICKED, "link", "")
    assert row.detail == "https://shop.example/offers"
    assert 0 < (row.due_at - timezone.now()).total_seconds() <= BURST_SECONDS


def test_an_open_is_answered_with_an_image_and_put_on_the_lane(client):
    answer = pixel(client)

    assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    assert ReceivedEvent.objects.get().origin == "pixel"


def test_programs_are_sent_on_like_everybody_and_marked(client):
    click(client, HTTP_USER_AGENT="Barracuda Sentinel (EE)")
    pixel(client, HTTP_USER_AGENT="Mozilla/5.0")

    assert set(ReceivedEvent.objects.values_list("type", "machine")) == {
        ("clicked", "scanner"),
        ("opened", "privacy_proxy"),
    }


def test_head_is_answered_like_get_and_is_no_person(client):
    (link, rest) = LinkBook().refs([(OFFERS, bytes(16))], short=True)[OFFERS]

    answer = client.head(f"/t/c/{tokens().make(ids.keys(1)[0], link, rest)}", **BROWSER)

    assert (answer.status_code, answer["Location"]) == (302, OFFERS)
    assert ReceivedEvent.objects.get().machine == "head"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_are_refused(method):
    client = Client(enforce_csrf_checks=True)  # as everywhere but in tests
    assert getattr(client, method)(f"/t/c/{tokens().make(bytes(16), bytes(5))}").status_code == 405


@pytest.mark.parametrize("ask", [click, pixel])
def test_nobody_is_recognised_and_nothing_is_cached(client, ask):
    client.cookies["sessionid"] = "x" * 32

    with CaptureQueriesContext(connection) as queries:
        answer = ask(client)

    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert not answer.cookies
    assert not any("session" in query["sql"] for query in queries)


def test_a_known_link_is_followed_without_a_query(client):
    click(client)

    with CaptureQueriesContext(connection) as queries:
        ((link, rest),) = [(TrackedLink.objects.get().pk.to_bytes(5), b"")]
        asked = len(queries)
        client.get(f"/t/c/{tokens().make(ids.keys(1)[0], link, rest)}", **BROWSER)

    assert len(queries) == asked  # the hit itself is put by another thread


def test_without_postgresql_a_known_link_still_leads_on(client, monkeypatch):
    click(client)

    def away(*_, **__):
        raise OperationalError

    monkeypatch.setattr(views, "hit_log", HitLog(away))
    monkeypatch.setattr(links, "direct_cursor", away)
    token = tokens().make(ids.keys(1)[0], TrackedLink.objects.get().pk.to_bytes(5))

    assert client.get(f"/t/c/{token}", **BROWSER)["Location"] == OFFERS
    assert pixel(client).status_code == 200


def test_without_postgresql_an_unknown_link_is_asked_for_again_in_a_moment(client, monkeypatch):
    def away():
        raise OperationalError

    monkeypatch.setattr(links, "direct_cursor", away)

    answer = client.get(f"/t/c/{tokens().make(bytes(16), b'12345')}", **BROWSER)

    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0


def test_a_postgresql_that_hangs_holds_up_an_unknown_link_for_a_moment_only(monkeypatch):
    monkeypatch.setattr(links, "ANSWER_SECONDS", 0.05)
    reader = LinkReader()
    monkeypatch.setattr(reader, "_look", lambda id, answer: None)  # never answers, never gives its place back

    for _ in range(links.MAX_LOOKING + 2):
        with pytest.raises(OperationalError):
            reader.url(b"12345")


def test_a_link_that_is_forgotten_is_gone(client):
    answer = client.get(f"/t/c/{tokens().make(bytes(16), b'12345')}", **BROWSER)

    assert answer.status_code == 404
    assert not ReceivedEvent.objects.exists()
