"""Links and pixels of messages: no way to make one of ours lead elsewhere, and nothing about anybody in them."""

import base64

import pytest

from analytics.engagement import hits, views
from analytics.engagement.links import LinkBook, url_hash
from analytics.engagement.tokens import PIXEL, Tokens, tokens
from analytics.models import TrackedLink
from core import ids
from notifications.models import ReceivedEvent

pytestmark = pytest.mark.django_db(transaction=True)

KNOWN = "https://shop.example/offers"
EVIL = "https://evil.example/"


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr(hits, "PATIENCE", 5.0)  # what is kept is there when the answer comes


@pytest.fixture
def link() -> bytes:
    views.link_reader.forget()
    return LinkBook().refs([(KNOWN, bytes(16))], short=True)[KNOWN][0]


def genuine(link: bytes, rest: bytes = b"") -> str:
    return tokens().make(ids.keys(1)[0], link, rest)


def refused(client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404, path
    assert "Location" not in answer
    assert not ReceivedEvent.objects.exists()


def test_a_forged_token_leads_nowhere(client, link):
    ours = genuine(link)
    forged = [
        Tokens("a guess").make(ids.keys(1)[0], link),
        ours[:-1] + ("A" if ours[-1] != "A" else "B"),
        ours + "AAAA",
        base64.urlsafe_b64encode(bytes(16) + link + bytes(6)).decode(),
        base64.urlsafe_b64encode(bytes(16) + link + bytes(6) + EVIL.encode()).decode().rstrip("="),
    ]

    for token in forged:
        refused(client, f"/t/c/{token}")
        refused(client, f"/t/o/{token}")


def test_nothing_in_a_request_can_choose_the_destination(client, link):
    path = f"/t/c/{genuine(link)}"

    for query in ("?url=" + EVIL, "?next=" + EVIL, "?u=//evil.example", "?" + EVIL):
        assert client.get(path + query)["Location"] == KNOWN
    answer = client.get(path, HTTP_HOST="localhost", HTTP_X_FORWARDED_HOST="evil.example", HTTP_REFERER=EVIL)
    assert answer["Location"] == KNOWN
    for tail in ("/" + EVIL, "/..", "%2f%2fevil.example", "@evil.example"):
        assert client.get(path + tail).status_code == 404


def test_a_rest_cannot_be_put_on_another_link_nor_changed(client, link):
    path = f"/t/c/{genuine(link, b'/orders/1')}"
    raw = base64.urlsafe_b64decode(genuine(link, b"/orders/1") + "===")

    assert client.get(path)["Location"] == KNOWN + "/orders/1"
    ReceivedEvent.objects.all().delete()
    for changed in (raw[:27] + b"/orders/2", raw[:27] + b"@evil.example", raw[:27]):
        refused(client, "/t/c/" + base64.urlsafe_b64encode(changed).decode().rstrip("="))


def test_a_pixel_is_no_link_and_a_link_no_pixel(client, link):
    refused(client, f"/t/c/{genuine(PIXEL)}")
    refused(client, f"/t/o/{genuine(link)}")
    refused(client, f"/t/o/{genuine(PIXEL, EVIL.encode())}")


@pytest.mark.parametrize(
    "stored",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/admin/",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/\x00",
        "https:// shop.example/ a",
        "",
    ],
)
def test_a_row_that_is_no_web_address_is_not_followed(client, stored):
    """Nothing of ours writes such a row; a header must be safe from it all the same."""
    views.link_reader.forget()
    row = TrackedLink.objects.create(
        url=stored.replace("\x00", "\n"), url_hash=ids.uuid(url_hash(stored)), used_on="2026-01-01"
    )

    answer = client.get(f"/t/c/{genuine(row.pk.to_bytes(5))}")

    assert answer.status_code in {302, 404}
    location = answer.get("Location", "https://shop.example/")
    assert location.startswith("https://")
    assert not set(location) & set("\r\n\x00 ")
    assert "Set-Cookie" not in answer


def test_line_breaks_in_a_rest_end_in_no_header(client, link):
    answer = client.get(f"/t/c/{genuine(link, b'/a' + bytes([13, 10]) + b'X-Evil: 1')}")

    assert "X-Evil" not in answer
    assert "\n" not in answer.get("Location", "")


def test_nothing_of_the_visitor_is_kept(client, link):
    client.get(
        f"/t/c/{genuine(link)}",
        HTTP_USER_AGENT="Mozilla/5.0 (Ann's telephone) Firefox/132.0",
        REMOTE_ADDR="203.0.113.77",
        HTTP_REFERER="https://mail.example/ann",
        HTTP_COOKIE="who=ann",
    )

    (row,) = ReceivedEvent.objects.values()
    kept = " ".join(str(value) for value in row.values())
    assert not any(secret in kept for secret in ("Ann", "203.0.113.77", "mail.example", "who=ann"))


def test_a_token_holds_two_random_numbers_and_a_signature(link):
    delivery = ids.keys(1)[0]

    raw = base64.urlsafe_b64decode(tokens().make(delivery, link))

    assert raw[:21] == delivery + link
    assert len(raw) == 27
