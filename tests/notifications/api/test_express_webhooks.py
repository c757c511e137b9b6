"""The quick way for webhooks: the same answers as Django's own, in groups, each vendor's fault its own."""

import threading
import time
from typing import Any

import pytest
from django.db import OperationalError

from core.asgi import ThreadedASGIHandler
from core.ids import uuid7
from notifications.api import express_webhooks
from notifications.api.express import Express
from notifications.api.express_webhooks import MAX_BYTES, ExpressWebhooks
from notifications.choices import EventType
from notifications.models import ReceivedEvent
from notifications.receivers import simulated
from notifications.services import events_lane, webhooks
from notifications.services.events_lane import lane_gauge
from tests.asgi import Ask, Told, ask
from tests.notifications.test_webhooks import body_of, signed

pytestmark = pytest.mark.django_db(transaction=True)


class Django(ThreadedASGIHandler):
    """Counts what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen += 1
        await super().__call__(scope, receive, send)


class Door:
    """Both ways in."""

    def __init__(self) -> None:
        self.django = Django()
        self.express = ExpressWebhooks(Express(self.django), self.django)

    def ask(self, *asks: Ask) -> list[Told]:
        return ask(self.express, *asks)

    def by_django(self, one: Ask) -> Told:
        return ask(self.django, one)[0]


@pytest.fixture
def door() -> Door:
    return Door()


def webhook(
    body: bytes | None = None, *, provider: str = "simulated_email", scheme: str = "http", **headers: Any
) -> Ask:
    """As a vendor sends it; a header given as None is left out."""
    body = body_of([(uuid7(), EventType.DELIVERED)]) if body is None else body
    plain = {"Host": "127.0.0.1:8000", "Content_Type": "application/json", "Content_Length": str(len(body))}
    given = plain | {name.replace("-", "_"): value for name, value in signed(body, provider).items()} | headers
    return Ask("POST", f"/webhooks/{provider}/", body, {k: v for k, v in given.items() if v is not None}, scheme)


def transactions() -> int:
    return len(set(ReceivedEvent.objects.values_list("received_at", flat=True)))


def test_it_answers_as_django_does_and_without_it(door: Door) -> None:
    django = door.by_django(webhook(X_Request_Id="mine"))
    door.django.seen = 0

    [express] = door.ask(webhook(X_Request_Id="mine"))

    assert door.django.seen == 0
    assert (express.status, express.json()) == (200, {"taken": 1}) == (django.status, django.json())
    assert express.headers == django.headers
    assert ReceivedEvent.objects.count() == 2


def test_other_spellings_are_quick_as_well(door: Door) -> None:
    answers = door.ask(
        webhook(Content_Type="text/plain"), webhook(Content_Length=None), webhook(X_Odd=["one", "two"]), webhook(b"{}")
    )

    assert [answer.status for answer in answers] == [200, 200, 200, 422]
    assert door.django.seen == 1


ODD: dict[str, dict[str, Any]] = {
    "not signed": {"webhook_signature": "v1,x"},
    "signed twice": {"webhook_id": ["a", "b"]},
    "no JSON": {"body": b"{"},
    "compressed": {"Content_Encoding": "gzip"},
    "another host": {"Host": "elsewhere.example"},
    "two hosts": {"Host": ["127.0.0.1:8000", "127.0.0.1:8000"]},
    "no receiver": {"provider": "feed"},
    "nobody": {"provider": "nobody"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_not_plainly_in_order_is_answered_by_django(door: Door, odd: dict[str, Any]) -> None:
    one = webhook(**{"X_Request_Id": "mine", **odd})
    django = door.by_django(one)
    door.django.seen = 0

    [express] = door.ask(one)

    assert door.django.seen == 1
    assert (express.status, express.headers, express.body) == (django.status, django.headers, django.body)
    assert express.status >= 400
    assert not ReceivedEvent.objects.exists()


def test_a_length_that_is_not_the_body_s_is_for_django_to_make_sense_of(door: Door) -> None:
    door.ask(webhook(Content_Length="3"))

    assert door.django.seen == 1


def test_a_long_one_goes_to_django_and_is_taken(door: Door) -> None:
    body = body_of([(uuid7(), EventType.DELIVERED) for _ in range(300)])
    assert len(body) > MAX_BYTES

    [answer] = door.ask(webhook(body))

    assert (answer.status, answer.json(), door.django.seen) == (200, {"taken": 300}, 1)


def test_https_is_asked_for_where_django_asks_for_it(door: Door, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    door = Door()

    plain, encrypted = door.ask(webhook(), webhook(scheme="https"))

    assert (plain.status, encrypted.status) == (301, 200)
    assert ReceivedEvent.objects.count() == 1


def test_those_that_come_together_share_an_insert(door: Door) -> None:
    answers = door.ask(*(webhook() for _ in range(40)))

    assert {answer.status for answer in answers} == {200}
    assert ReceivedEvent.objects.count() == 40
    assert transactions() <= 3


def test_nobody_is_answered_before_the_commit(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an INSERT that takes its time
    release, answered = threading.Event(), []
    real = events_lane._write

    def slow(*args: Any, **more: Any) -> None:
        release.wait(10)
        real(*args, **more)

    monkeypatch.setattr(events_lane, "_write", slow)
    # When a webhook is sent
    sender = threading.Thread(target=lambda: answered.extend(door.ask(webhook())))
    sender.start()
    time.sleep(0.3)
    # Then its answer comes after it
    assert answered == []
    release.set()
    sender.join(10)
    assert [answer.status for answer in answered] == [200]
    assert ReceivedEvent.objects.count() == 1


def test_without_postgresql_each_is_told_to_come_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(events_lane, "_write", fail)

    answers = door.ask(*(webhook(X_Request_Id="mine") for _ in range(5)))
    django = door.by_django(webhook(X_Request_Id="mine"))

    assert {answer.status for answer in answers} == {503}
    assert (answers[0].headers, answers[0].body) == (django.headers, django.body)


def test_what_waits_for_a_frozen_postgresql_does_not_grow_for_ever(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given INSERTs that do not end
    release = threading.Event()
    real = events_lane._write

    def frozen(*args: Any, **more: Any) -> None:
        release.wait(10)
        real(*args, **more)

    monkeypatch.setattr(events_lane, "_write", frozen)
    monkeypatch.setattr(express_webhooks, "MAX_WAITING", 10)
    # When more webhooks come than may wait, beside those in the two INSERTs
    threading.Timer(0.5, release.set).start()
    answers = door.ask(*(webhook() for _ in range(40)))
    # Then the others are told to come again, and whoever was told yes is there
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) >= 10
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert ReceivedEvent.objects.count() == 40 - len(refused) > 0


def test_a_full_lane_is_503(door: Door, settings: Any) -> None:
    settings.EVENTS_MAX_ROWS = 1
    assert [answer.status for answer in door.ask(webhook(), webhook())] == [200, 200]
    lane_gauge.forget()

    [answer] = door.ask(webhook())

    assert (answer.status, door.django.seen) == (503, 0)
    assert int(answer.headers["retry-after"]) > 0


def test_a_bug_that_one_webhook_meets_is_not_anothers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an event that the INSERT cannot take
    bad, good = uuid7(), uuid7()
    real = events_lane._write

    def write(events: Any, **more: Any) -> None:
        if any(event.delivery_id == bad for event in events):
            raise KeyError("a bug")
        real(events, **more)

    monkeypatch.setattr(events_lane, "_write", write)
    # When it comes together with another
    answers = door.ask(*(webhook(body_of([(id, EventType.DELIVERED)])) for id in (bad, good)))
    # Then that one alone meets it
    assert [answer.status for answer in answers] == [500, 200]
    assert [row.delivery_id for row in ReceivedEvent.objects.all()] == [good]


def test_a_receiver_s_own_bug_is_a_500_of_django_s(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(simulated.SimulatedReceiver, "verify_and_parse", fail)

    [answer] = door.ask(webhook())

    assert (answer.status, door.django.seen) == (500, 1)
    assert answer.headers["content-type"] == "application/problem+json"


def test_webhooks_are_counted_by_their_answer_whichever_way_they_go(door: Door, settings: Any) -> None:
    def counted() -> list[float]:
        answers = ("taken", "unverified", "failed")
        return [webhooks._WEBHOOKS.value("simulated_email", answer) for answer in answers]

    before = counted()
    door.ask(webhook(), webhook(), webhook(webhook_signature="v1,x"))
    settings.EVENTS_MAX_ROWS = 1
    lane_gauge.forget()
    door.ask(webhook())

    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1, 1]


def test_other_addresses_are_none_of_its_business(door: Door) -> None:
    for method, path in (("GET", "/webhooks/simulated_email/"), ("POST", "/webhooks/"), ("GET", "/healthz")):
        one = Ask(method, path, b"", {"Host": "127.0.0.1:8000"})
        assert door.ask(one)[0].status == door.by_django(one).status
