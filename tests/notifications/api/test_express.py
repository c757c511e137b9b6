"""The quick way for a single send: the same answers as Django's own, in groups, each caller's fault its own."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from core.asgi import ThreadedASGIHandler
from notifications.api.express import Express
from notifications.models import ApiKey, IdempotencyRecord, Notification, OutboxMessage, RateLimit
from notifications.models.api_key import Scope
from notifications.services import api_keys
from notifications.services.group_commit import MAX_GROUP
from notifications.services.notification import NotificationService
from notifications.services.overload import outbox_gauge
from tests import factories
from tests.asgi import Ask, Told, ask, send

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {"recipient": "user-42", "category": "orders", "template": "order-shipped", "data": {"order": "A-1"}}


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
        self.express = Express(self.django)

    def ask(self, *asks: Ask) -> list[Told]:
        return ask(self.express, *asks)

    def by_django(self, one: Ask) -> Told:
        return ask(self.django, one)[0]


@pytest.fixture
def door(shop: None) -> Door:
    return Door()


@pytest.fixture
def key() -> tuple[ApiKey, str]:
    return factories.api_key()


@pytest.fixture
def token(key: tuple[ApiKey, str]) -> str:
    return key[1]


def order(n: object) -> dict[str, Any]:
    return {**ORDER, "data": {"order": f"A-{n}"}}


def transactions() -> int:
    """In how many the notifications were written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM notifications_notification")
        return int(cursor.fetchone()[0])


def test_it_answers_as_django_does_and_without_it(door: Door, token: str) -> None:
    django = door.by_django(send(token, order(1), X_Request_Id="mine"))
    door.django.seen = 0

    [express] = door.ask(send(token, order(2), X_Request_Id="mine"))

    assert door.django.seen == 0
    assert express.status == 202
    assert express.headers == django.headers
    assert express.headers["x-request-id"] == "mine"
    answer = express.json()
    assert list(answer) == list(django.json())
    row = Notification.objects.get(id=answer["id"])
    assert (row.data, row.is_test) == ({"order": "A-2"}, False)
    assert answer["url"] == f"/api/v1/notifications/{row.id}/"


def test_other_spellings_are_quick_as_well(door: Door, token: str) -> None:
    answers = door.ask(
        send(token, order(1), Content_Type="application/json; charset=utf-8"),
        send(token, order(2), Authorization=f"bearer  {token} "),
        send(token, order(3), Content_Length=None),  # a chunked body
    )

    assert [answer.status for answer in answers] == [202, 202, 202]
    assert door.django.seen == 0


ODD: dict[str, dict[str, Any]] = {
    "no JSON": {"body": b"{"},
    "no body": {"body": b""},
    "no object": {"body": []},
    "a field missing": {"body": {"recipient": "user-42"}},
    "an unknown field": {"body": {**ORDER, "chanels": ["sms"]}},
    "an unknown recipient": {"body": {**ORDER, "recipient": "nobody"}},
    "an unknown template": {"body": {**ORDER, "template": "no-such"}},
    "a NUL": {"body": {**ORDER, "data": {"a": ["\x00"]}}},
    "a naive time": {"body": {**ORDER, "send_at": "2027-01-31T09:00:00"}},
    "too much data": {"body": {**ORDER, "data": {"a": "x" * 40_000}}},
    "a body over the limit": {"body": b" " * 3_000_000},
    "a long body": {"body": b" " * 150_000},
    "a declared length over the limit": {"Content_Length": "99999999"},
    "a length that is none": {"Content_Length": "-1"},
    "a form": {"Content_Type": "application/x-www-form-urlencoded"},
    "a compressed body": {"Content_Encoding": "gzip"},
    "no key": {"Authorization": None},
    "an unknown key": {"Authorization": "Bearer ck_live_abcdefghijkl_" + "x" * 32},
    "no bearer": {"Authorization": "Basic {token}"},
    "two keys": {"Authorization": ["Bearer {token}", "Bearer {token}"]},
    "a host that is not ours": {"Host": "evil.example"},
    "a bad idempotency key": {"Idempotency_Key": "a b"},
    "a long idempotency key": {"Idempotency_Key": "x" * 256},
}


def test_whatever_is_odd_is_answered_by_django(door: Door, token: str) -> None:
    for what, how in ODD.items():
        given = {name: _with(token, value) for name, value in how.items() if name != "body"}
        one = send(token, how.get("body", ORDER), X_Request_Id="mine", **given)
        door.django.seen = 0

        [express] = door.ask(one)

        assert (door.django.seen, express) == (1, door.by_django(one)), what
        assert 400 <= express.status < 500, what
        assert express.headers["content-type"] == "application/problem+json", what
    assert not Notification.objects.exists()


def _with(token: str, value: Any) -> Any:
    return [_with(token, one) for one in value] if isinstance(value, list) else value and value.format(token=token)


def test_another_call_goes_past_it(door: Door, token: str) -> None:
    asks = [
        send(token, {"notifications": [ORDER]}, path="/api/v1/notifications/bulk/"),
        send(token, order(2), path="/api/v1/notifications"),
        Ask("GET", "/healthz", b"", {"Host": "127.0.0.1"}),
    ]

    assert [answer.status for answer in door.ask(*asks)] == [202, 202, 200]
    assert door.django.seen == 3


def test_over_plain_http_it_redirects_where_django_would(door: Door, token: str, settings: LazySettings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 60
    door = Door()

    plain, secure = door.ask(send(token, order(1)), send(token, order(2), scheme="https"))

    assert (plain.status, secure.status) == (301, 202)
    assert secure.headers["strict-transport-security"] == "max-age=60"
    assert door.django.seen == 1


def test_many_at_once_share_transactions_and_each_gets_its_own_answer(door: Door, token: str) -> None:
    answers = door.ask(*(send(token, order(n)) for n in range(MAX_GROUP + 20)))

    assert Counter(answer.status for answer in answers) == {202: MAX_GROUP + 20}
    told = {answer.json()["id"]: f"A-{n}" for n, answer in enumerate(answers)}
    assert {str(row.id): row.data["order"] for row in Notification.objects.all()} == told
    assert 1 < transactions() < 20
    assert door.django.seen == 0


def test_a_fault_is_its_own_caller_s(door: Door, token: str) -> None:
    bodies = [order(n) for n in range(30)]
    bodies[7]["recipient"] = bodies[20]["recipient"] = "nobody"

    answers = door.ask(*(send(token, body) for body in bodies))

    assert [n for n, answer in enumerate(answers) if answer.status != 202] == [7, 20]
    assert answers[7].json()["errors"][0]["pointer"] == "/recipient"
    assert Notification.objects.count() == 28
    assert door.django.seen == 2


def test_a_bug_is_met_by_the_one_who_has_it(door: Door, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = NotificationService.send

    def broken(self: Any, drafts: Any, **how: Any) -> Any:
        if any(draft.dedup_key == "broken" for draft in drafts):
            raise ZeroDivisionError
        return real(self, drafts, **how)

    monkeypatch.setattr(NotificationService, "send", broken)
    bodies = [{**order(n), "dedup_key": "broken" if n == 3 else f"k{n}"} for n in range(10)]

    answers = door.ask(*(send(token, body) for body in bodies))

    assert [answer.status for answer in answers] == [202, 202, 202, 500, 202, 202, 202, 202, 202, 202]
    assert Notification.objects.count() == 9


def test_what_says_the_same_at_once_is_sent_once(door: Door, token: str) -> None:
    factories.category("orders", dedup_seconds=300)

    answers = [answer.json() for answer in door.ask(*(send(token, ORDER) for _ in range(10)))]

    [first] = [answer for answer in answers if answer["duplicate_of"] is None]
    assert Counter(answer["duplicate_of"] for answer in answers) == {None: 1, first["id"]: 9}


def test_a_group_that_stands_still_holds_nobody_else_up(
    door: Door, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = NotificationService.send
    another_was_taken = threading.Event()

    def slow(self: Any, drafts: Any, **how: Any) -> Any:
        if drafts[0].dedup_key == "slow":
            assert another_was_taken.wait(timeout=10)
        taken = real(self, drafts, **how)
        another_was_taken.set()
        return taken

    monkeypatch.setattr(NotificationService, "send", slow)
    _, other = factories.api_key()

    answers = door.ask(send(token, {**order(1), "dedup_key": "slow"}), send(other, order(2)))

    assert [answer.status for answer in answers] == [202, 202]
    assert door.django.seen == 0


def test_keys_are_not_mixed(door: Door, token: str) -> None:
    test_key, test_token = factories.api_key(mode="test")

    live, test = door.ask(send(token, order(1)), send(test_token, order(2)))

    assert Notification.objects.get(id=test.json()["id"]).source == f"api:{test_key.prefix}"
    assert [Notification.objects.get(id=one.json()["id"]).is_test for one in (live, test)] == [False, True]


def test_a_revoked_key_is_refused_at_the_next_call(door: Door, key: tuple[ApiKey, str]) -> None:
    row, token = key
    [before] = door.ask(send(token, order(1)))
    api_keys.revoke(row)

    [after] = door.ask(send(token, order(2)))

    assert (before.status, after.status) == (202, 401)
    assert Notification.objects.count() == 1


def test_a_key_that_may_not_send_is_told_which_scope_it_lacks(door: Door) -> None:
    _, token = factories.api_key(scopes=[Scope.NOTIFICATIONS_READ])

    [answer] = door.ask(send(token, ORDER))

    assert (answer.status, answer.json()["missing_scope"]) == (403, "notifications:write")


def test_a_limit_holds_to_the_last_call_and_each_is_told_what_is_left(door: Door, key: tuple[ApiKey, str]) -> None:
    row, token = key
    RateLimit.objects.create(scope="api_key", target=row.prefix, max=12, per_seconds=60)

    answers = door.ask(*(send(token, order(n)) for n in range(20)))

    assert Counter(answer.status for answer in answers) == {202: 12, 429: 8}
    assert Notification.objects.count() == 12
    left = sorted(int(answer.headers["ratelimit-remaining"]) for answer in answers if answer.status == 202)
    assert left == list(range(12))
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 429)


def test_a_call_that_is_refused_after_it_was_counted_counts_once(door: Door, key: tuple[ApiKey, str]) -> None:
    row, token = key
    RateLimit.objects.create(scope="api_key", target=row.prefix, max=12, per_seconds=60)

    [refused] = door.ask(send(token, {**ORDER, "recipient": "nobody"}))

    assert (refused.status, refused.headers["ratelimit-remaining"]) == (422, "11")
    [taken] = door.ask(send(token, ORDER))
    assert taken.headers["ratelimit-remaining"] == "10"


def test_during_overload_it_refuses_as_django_does(door: Door, token: str, settings: LazySettings) -> None:
    settings.OUTBOX_MAX_ROWS = 1
    OutboxMessage.objects.bulk_create(
        OutboxMessage(channel="email", priority="low", delivery_ids=[], due_at=timezone.now()) for _ in range(3)
    )
    outbox_gauge.forget()

    ordinary, critical = door.ask(send(token, order(1)), send(token, {**order(2), "priority": "critical"}))

    assert ordinary.json()["type"] == "urn:carillon:problem:overloaded"
    assert (ordinary.status, critical.status) == (503, 202)


def test_a_connection_that_breaks_is_503_and_nothing_is_tried_again(
    door: Door, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(self: Any, drafts: Any, **how: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(NotificationService, "send", breaking)

    [answer] = door.ask(send(token, ORDER, X_Request_Id="mine"))

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:carillon:problem:unavailable"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine"
    assert "content-security-policy" in answer.headers
    assert door.django.seen == 0  # who cannot know whether it was committed must not send it twice


class TestIdempotencyKey:
    def test_a_first_call_is_quick_and_a_repeated_one_is_replayed(self, door: Door, token: str) -> None:
        [first] = door.ask(send(token, ORDER, Idempotency_Key="k-1"))
        seen = door.django.seen

        [again] = door.ask(send(token, ORDER, Idempotency_Key="k-1"))

        assert (first.status, seen) == (202, 0)
        assert (again.status, again.json()) == (202, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert Notification.objects.count() == 1

    def test_it_is_the_same_key_by_either_way(self, door: Door, token: str) -> None:
        first = door.by_django(send(token, ORDER, Idempotency_Key="k-1"))

        again, other = door.ask(send(token, ORDER, Idempotency_Key="k-1"), send(token, order(2), Idempotency_Key="k-1"))

        assert again.json() == first.json() or again.status == 409  # the two asked at the same moment
        assert other.status in {422, 409}
        assert Notification.objects.count() == 1

    def test_another_body_is_422(self, door: Door, token: str) -> None:
        door.ask(send(token, ORDER, Idempotency_Key="k-1"))

        [answer] = door.ask(send(token, order(2), Idempotency_Key="k-1"))

        assert answer.status == 422
        assert answer.json()["type"] == "urn:carillon:problem:idempotency-key-reused"

    def test_at_once_under_one_key_one_is_sent(self, door: Door, token: str) -> None:
        answers = door.ask(*(send(token, ORDER, Idempotency_Key="k-1") for _ in range(20)))

        assert {answer.status for answer in answers} <= {202, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status == 202}) == 1
        assert Notification.objects.count() == 1
        assert IdempotencyRecord.objects.count() == 1

    def test_many_keys_at_once_are_kept_with_their_own_answers(self, door: Door, token: str) -> None:
        asks = [send(token, order(n), Idempotency_Key=f"k-{n}") for n in range(30)]
        first = door.ask(*asks)

        again = [door.by_django(one) for one in asks]

        assert [one.status for one in first] == [202] * 30
        assert [one.json() for one in again] == [one.json() for one in first]
        assert all(one.headers["idempotent-replayed"] == "true" for one in again)
        assert transactions() < 30

    def test_a_refused_neighbour_leaves_its_key_free(self, door: Door, token: str) -> None:
        nobody = {**ORDER, "recipient": "nobody"}
        good, refused = door.ask(send(token, ORDER, Idempotency_Key="k-1"), send(token, nobody, Idempotency_Key="k-2"))

        [corrected] = door.ask(send(token, order(2), Idempotency_Key="k-2"))

        assert (good.status, refused.status, corrected.status) == (202, 422, 202)

    def test_after_a_day_the_key_is_free(self, door: Door, token: str) -> None:
        [first] = door.ask(send(token, ORDER, Idempotency_Key="k-1"))
        IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))

        [again] = door.ask(send(token, ORDER, Idempotency_Key="k-1"))

        assert again.status == 202
        assert again.json()["id"] != first.json()["id"]

    def test_rows_and_record_commit_together(self, door: Door, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise RuntimeError("no room")

        monkeypatch.setattr("notifications.services.idempotency.remember", full)

        [answer] = door.ask(send(token, ORDER, Idempotency_Key="k-1"))

        assert answer.status == 202  # alone, by the view
        assert door.django.seen == 1
        assert Notification.objects.count() == IdempotencyRecord.objects.count() == 1
