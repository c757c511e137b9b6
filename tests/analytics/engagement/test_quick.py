"""The quick way for who follows a link: the same answers as Django's own, and whatever is odd goes to Django."""

from typing import Any

import pytest

from analytics.engagement import views
from analytics.engagement.hits import HitLog
from analytics.engagement.links import LinkBook
from analytics.engagement.quick import QuickLinks
from analytics.engagement.tokens import PIXEL, tokens
from core import ids, metrics
from notifications.models import ReceivedEvent
from tests.asgi import Ask, Told, ask
from tests.notifications.api.test_express import Django

pytestmark = pytest.mark.django_db(transaction=True)

OFFERS = "https://shop.example/offers?a=b"
BROWSER = {"Host": "127.0.0.1:8000", "User_Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko Firefox/132.0"}


@pytest.fixture
def link() -> bytes:
    views.link_reader.forget()
    return LinkBook().refs([(OFFERS, bytes(16))], short=True)[OFFERS][0]


class Door:
    """Both ways in."""

    def __init__(self, **how: Any) -> None:
        self.django = Django()
        self.quick = QuickLinks(self.django, self.django, **how)

    def ask(self, path: str, method: str = "GET", scheme: str = "http", **headers: Any) -> Told:
        return ask(self.quick, Ask(method, path, b"", {**BROWSER, **headers}, scheme))[0]

    def by_django(self, path: str, method: str = "GET", **headers: Any) -> Told:
        return ask(self.django, Ask(method, path, b"", {**BROWSER, **headers}))[0]

    def know(self, link: bytes) -> str:
        """A path that is followed, so that the process knows the link; and nothing of it left to count."""
        path = f"/t/c/{tokens().make(ids.keys(1)[0], link)}"
        assert self.by_django(path).status == 302
        self.django.seen = 0
        ReceivedEvent.objects.all().delete()
        return path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_answers_what_django_would(link, method):
    door = Door()
    for path in (door.know(link), f"/t/o/{tokens().make(ids.keys(1)[0], PIXEL)}"):
        quick = door.ask(path, method)
        assert door.django.seen == 0
        django = door.by_django(path, method)
        door.django.seen = 0

        def same(told: Told) -> dict[str, str]:
            return {name: value for name, value in told.headers.items() if name != "x-request-id"}

        assert quick.status == django.status
        assert same(quick) == same(django)
        if method == "GET":
            assert quick.body == django.body


def test_hits_are_taken_down_and_told_apart(link):
    door = Door()
    path = door.know(link)

    door.ask(path)
    door.ask(path, User_Agent="curl/8")
    door.ask(path, Sec_Purpose="prefetch")
    door.ask(path, method="HEAD")

    assert door.django.seen == 0
    assert sorted(ReceivedEvent.objects.values_list("machine", flat=True)) == ["", "bot", "head", "prefetch"]


def test_a_link_this_process_does_not_know_is_django_s_and_the_next_time_is_not(link):
    door = Door()
    path = f"/t/c/{tokens().make(ids.keys(1)[0], link)}"

    assert door.ask(path).headers["location"] == OFFERS
    assert door.django.seen == 1
    assert door.ask(path).headers["location"] == OFFERS
    assert door.django.seen == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"path": "/t/c/" + "A" * 36}, 404),
        ({"path": "/t/c/"}, 404),
        ({"path": "/t/x/" + "A" * 36}, 404),
        ({"method": "POST"}, 405),
        ({"Host": "evil.example"}, 400),
        ({"User_Agent": ["a", "b"]}, 302),
    ],
)
def test_what_is_odd_is_django_s(link, change, status):
    door = Door()
    asked = {"path": door.know(link), **change}

    assert door.ask(**asked).status == status
    assert door.django.seen == 1


def test_over_plain_http_an_https_site_sends_on_to_https_first(link, settings):
    door = Door()
    path = door.know(link)
    settings.SECURE_SSL_REDIRECT = True

    door = Door()
    assert door.ask(path).headers["location"] == f"https://127.0.0.1:8000{path}"
    assert door.ask(path, scheme="https").headers["location"] == OFFERS
    assert door.django.seen == 1


def test_readers_are_sent_on_while_nothing_can_be_kept(link):
    def full(events: Any) -> None:
        from notifications.services.events_lane import LaneFull

        raise LaneFull("full")

    Door().know(link)
    door = Door(hits=HitLog(full))

    for _ in range(3):
        assert door.ask(f"/t/c/{tokens().make(ids.keys(1)[0], link)}").headers["location"] == OFFERS
    assert door.django.seen == 0
    assert not ReceivedEvent.objects.exists()


def test_it_is_counted_under_its_route(link):
    door = Door()
    path = door.know(link)

    def counted() -> float:
        text = metrics.exposition()[0].decode()
        lines = [line for line in text.splitlines() if 'route="t/c/<str:token>"' in line and 'status="302"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    before = counted()
    door.ask(path)

    assert counted() == before + 1
