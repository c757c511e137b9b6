"""The calls: an API key's endpoints, their secrets, their log, and telling again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import pytest
from django.utils import timezone

from analytics.webhooks import endpoints
from analytics.webhooks.api.shapes import Event
from analytics.webhooks.known import known
from analytics.webhooks.models import WebhookEndpoint, WebhookMessage
from analytics.webhooks.vocabulary import EVENTS
from core import ids
from core.ids import uuid7
from notifications.models import OutboxMessage
from tests.analytics.webhooks.receiver import Receiver
from tests.api import Api, pointers

pytestmark = pytest.mark.django_db

PATH = "webhooks/endpoints/"
URL = "https://shop.example/hooks"


@pytest.fixture
def api(db: None) -> Api:
    return Api()


def create(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post(PATH, {"url": URL, **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def heard() -> bool:
    """Whether anybody listens, as another process would see it five seconds later."""
    known.expire()
    return bool(known.by_source())


def test_the_events_of_the_document_are_those_there_are() -> None:
    assert set(get_args(Event)) == set(EVENTS)


def test_an_endpoint_is_made_and_its_secret_is_shown_once(api: Api) -> None:
    made = create(api, events=["failed"], description="Shop")

    assert made["secret"].startswith("whsec_")
    assert (made["is_on"], made["is_test"], made["events"], made["failing_since"]) == (True, False, ["failed"], None)
    read = api.get(f"{PATH}{made['id']}/").json()
    assert read == {name: value for name, value in made.items() if name != "secret"}
    assert api.get(PATH).json()["results"] == [read]
    known.expire()
    assert list(known.by_source()) == [f"api:{api.key.prefix}"]


def test_another_key_knows_nothing_of_it(api: Api) -> None:
    id = create(api)["id"]
    other = Api()

    assert other.get(PATH).json()["results"] == []
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"is_on": False}),
        ("DELETE", "", None),
        ("POST", "rotate/", None),
        ("POST", "test/", None),
        ("GET", "messages/", None),
        ("POST", "replay/", {"messages": [str(uuid7())]}),
    ):
        assert other.call(method, f"{PATH}{id}/{path}", body).status_code == 404, (method, path)
    assert WebhookEndpoint.objects.get().is_on


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": "ftp://shop.example/"}, "/url"),
        ({"url": "http://127.0.0.1/"}, "/url"),
        ({"url": "http://169.254.169.254/latest/"}, "/url"),
        ({"url": "https://u:p@shop.example/"}, "/url"),
        ({"url": URL + "\x00"}, "/url"),
        ({"url": URL, "events": ["held"]}, "/events/0"),
        ({"url": URL, "events": ["sent", "sent"]}, "/events"),
        ({"url": URL, "colour": "red"}, "/colour"),
        ({"url": URL, "description": "x" * 201}, "/description"),
        ({"url": URL, "description": "a\x00b"}, "/description"),
        ({"url": URL, "is_on": "yes"}, "/is_on"),
    ],
)
def test_what_is_wrong_is_pointed_at(api: Api, body: dict[str, Any], pointer: str) -> None:
    assert pointers(api.post(PATH, body)) == [pointer]


def test_a_key_has_so_many_endpoints_at_most(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MAX_PER_KEY", 2)
    first = create(api)
    create(api)

    assert api.post(PATH, {"url": URL}).status_code == 409
    api.delete(f"{PATH}{first['id']}/")
    create(api)


def test_it_is_changed_switched_off_and_on_and_deleted(api: Api) -> None:
    path = f"{PATH}{create(api)['id']}/"

    changed = api.patch(path, {"url": URL + "/2", "events": ["dead"], "is_on": False}).json()
    assert (changed["url"], changed["events"], changed["off_reason"]) == (URL + "/2", ["dead"], "by_hand")
    assert not heard()
    assert pointers(api.patch(path, {"url": "http://10.0.0.1/"})) == ["/url"]
    assert api.patch(path, {"is_on": True}).json()["off_reason"] is None
    assert heard()

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert not heard()


def test_a_rotated_secret_signs_beside_the_old_one(api: Api, receiver: Receiver, work: Callable[[], Any]) -> None:
    # Given an endpoint
    made = create(api, url=receiver.url)
    path = f"{PATH}{made['id']}/"

    # When its secret is exchanged
    rotated = api.post(f"{path}rotate/").json()
    assert rotated["secret"] != made["secret"]
    api.post(f"{path}test/")
    work()

    # Then a message carries a signature of each, for a day; then of the new one alone
    assert receiver.verified(made["secret"])
    assert receiver.verified(rotated["secret"])
    assert len(receiver.received[0].headers["webhook-signature"].split()) == 2
    WebhookEndpoint.objects.update(old_secret_until=timezone.now() - timedelta(seconds=1))
    receiver.received.clear()
    api.post(f"{path}test/")
    work()
    assert receiver.verified(rotated["secret"])
    assert len(receiver.received[0].headers["webhook-signature"].split()) == 1


def test_a_test_goes_the_way_of_all_messages_and_stands_in_the_log(
    api: Api, receiver: Receiver, work: Callable[[], Any]
) -> None:
    made = create(api, url=receiver.url)

    answer = api.post(f"{PATH}{made['id']}/test/")
    assert answer.status_code == 202
    work()

    [one] = receiver.received
    assert (one.said["type"], one.said["data"]) == ("endpoint.test", {"endpoint": made["id"]})
    [logged] = api.get(f"{PATH}{made['id']}/messages/").json()["results"]
    assert (logged["id"], logged["webhook_id"]) == (answer.json()["message"], one.id)
    assert (logged["event"], logged["status"], logged["notification"]) == ("test", "delivered", None)
    [attempt] = logged["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["status"], attempt["answer"]) == (1, "ok", 200, "thanks")


def test_one_that_is_off_cannot_be_tested(api: Api) -> None:
    path = f"{PATH}{create(api, is_on=False)['id']}/"
    assert api.post(f"{path}test/").status_code == 409


def test_the_log_is_narrowed_and_paged(api: Api) -> None:
    made = create(api)
    about = uuid7()
    for n in range(3):
        WebhookMessage.objects.create(
            endpoint_id=made["id"], type="sent", status="failed" if n else "delivered", notification_id=about
        )
    WebhookMessage.objects.create(endpoint_id=made["id"], type="test")
    path = f"{PATH}{made['id']}/messages/"

    def found(query: str) -> int:
        return len(api.get(f"{path}?{query}").json()["results"])

    assert [found("status=failed"), found("event=sent"), found("event=test"), found("status=queued&event=sent")] == [
        2, 3, 1, 0,
    ]  # fmt: skip
    assert [found(f"notification={about}"), found(f"notification={uuid7()}")] == [3, 0]
    page = api.get(f"{path}?limit=3").json()
    assert len(page["results"]) == 3
    assert found(f"cursor={page['next_cursor']}") == 1
    for wrong in ("status=nope", "colour=red", "notification=x", "limit=0", "cursor=x"):
        assert api.get(f"{path}?{wrong}").status_code == 422, wrong


def failed(endpoint: str, hours: int) -> WebhookMessage:
    id = ids.deterministic(timezone.now() - timedelta(hours=hours), [hours])
    return WebhookMessage.objects.create(
        id=id, endpoint_id=endpoint, type="test", status="failed", attempts=8, end_reason="exhausted"
    )


def test_what_failed_in_a_span_of_time_is_told_again(api: Api, receiver: Receiver, work: Callable[[], Any]) -> None:
    made = create(api, url=receiver.url)
    for hours in (1, 2, 3, 4):
        failed(made["id"], hours)
    WebhookMessage.objects.create(endpoint_id=made["id"], type="test", status="delivered")
    now = timezone.now()
    span = {"since": (now - timedelta(hours=3.5)).isoformat(), "until": (now - timedelta(hours=1.5)).isoformat()}

    answer = api.post(f"{PATH}{made['id']}/replay/", span)

    assert (answer.status_code, answer.json()) == (202, {"replayed": 2, "more": False})
    assert OutboxMessage.objects.get().priority == "low"
    work()
    assert len(receiver.received) == 2
    again = WebhookMessage.objects.exclude(replayed_by="")
    assert {(one.status, one.tries, one.replayed_by) for one in again} == {("delivered", 1, f"api:{api.key.prefix}")}


def test_a_message_is_told_again_by_its_id_with_the_same_webhook_id(
    api: Api, receiver: Receiver, work: Callable[[], Any]
) -> None:
    made = create(api, url=receiver.url)
    id = api.post(f"{PATH}{made['id']}/test/").json()["message"]
    work()

    assert api.post(f"{PATH}{made['id']}/replay/", {"messages": [id]}).json() == {"replayed": 1, "more": False}
    assert api.post(f"{PATH}{made['id']}/replay/", {"messages": [id]}).json()["replayed"] == 0  # on its way already
    work()

    assert len(receiver.received) == 2
    assert len({one.id for one in receiver.received}) == 1


def test_another_endpoints_messages_are_not_told_to_this_one(api: Api) -> None:
    mine, other = create(api), create(Api())
    theirs = failed(other["id"], 1)

    assert api.post(f"{PATH}{mine['id']}/replay/", {"messages": [str(theirs.id)]}).json()["replayed"] == 0
    theirs.refresh_from_db()
    assert theirs.status == "failed"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/since"),
        ({"until": "2027-01-31T09:00:00Z"}, "/since"),
        ({"messages": []}, "/messages"),
        ({"messages": ["x"]}, "/messages/0"),
        ({"since": "2027-01-31T09:00:00"}, "/since"),
        ({"messages": [str(uuid7())], "since": "2027-01-31T09:00:00Z"}, "/messages"),
    ],
)
def test_a_replay_says_which(api: Api, body: dict[str, Any], pointer: str) -> None:
    assert pointers(api.post(f"{PATH}{create(api)['id']}/replay/", body)) == [pointer]


def test_more_than_a_call_takes_is_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics.webhooks import replays

    monkeypatch.setattr(replays, "MAX_MESSAGES", 2)
    made = create(api)
    for hours in (1, 2, 3):
        failed(made["id"], hours)

    span = {"since": "2020-01-01T00:00:00Z"}
    assert api.post(f"{PATH}{made['id']}/replay/", span).json() == {"replayed": 2, "more": True}
    assert api.post(f"{PATH}{made['id']}/replay/", span).json() == {"replayed": 1, "more": False}


def test_a_key_that_takes_over_sees_the_endpoint(api: Api) -> None:
    made, new = create(api), Api()
    WebhookEndpoint.objects.get().keys.add(new.key)

    assert new.get(f"{PATH}{made['id']}/").status_code == 200
