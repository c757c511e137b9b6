"""The feed API: as the recipient in person, and the token by which a service lets them."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.http import parse_http_date

from channels_app import identity, state, store
from channels_app.api import shapes
from channels_app.frames import item_payload
from channels_app.models import FeedItem
from core.ids import uuid7
from notifications.choices import EventType, Status
from notifications.drafts import Draft
from notifications.models import Delivery, DeliveryEvent
from notifications.models.api_key import Scope
from notifications.services.notification import NotificationService
from preferences.models import Recipient
from tests import factories
from tests.channels_app.conftest import deliver, message

pytestmark = pytest.mark.django_db(transaction=True)


class Caller:
    """A client with a feed token."""

    def __init__(self, person: Recipient) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {identity.issue_token(person.id).token}"})

    def get(self, path: str = "", **query: Any) -> Any:
        return self.client.get(f"/api/v1/feed/{path}", query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(f"/api/v1/feed/{path}", body, content_type="application/json")

    def titles(self, **query: Any) -> list[str]:
        return [item["title"] for item in self.get(**query).json()["results"]]


@pytest.fixture
def me(person: Recipient) -> Caller:
    return Caller(person)


def test_pages_come_newest_first_and_hold_everything_once(me: Caller, person: Recipient) -> None:
    deliver(*(message(person, str(n)) for n in range(7)))

    first = me.get(limit=3).json()
    deliver(message(person, "meanwhile"))
    second = me.get(limit=3, cursor=first["next_cursor"]).json()
    third = me.get(limit=3, cursor=second["next_cursor"]).json()

    titles = [[item["title"] for item in page["results"]] for page in (first, second, third)]
    assert titles == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert third["next_cursor"] is None
    assert first["counts"] == {"unseen": 7, "unread": 7, "version": 1}


def test_since_gives_what_came_after_oldest_first(me: Caller, person: Recipient) -> None:
    deliver(*(message(person, str(n)) for n in range(4)))
    known = FeedItem.objects.get(seq=2)

    assert me.titles(since=str(known.id)) == ["2", "3"]


def test_filters_choose_unread_archived_snoozed_and_by_category(me: Caller, person: Recipient) -> None:
    deliver(*(message(person, title) for title in ("new", "read", "archived", "asleep", "due")))
    ids = {item.title: item.id for item in FeedItem.objects.all()}
    me.post(f"{ids['read']}/read/")
    me.post(f"{ids['archived']}/archive/")
    me.post(f"{ids['asleep']}/snooze/", {"until": (timezone.now() + timedelta(hours=1)).isoformat()})
    FeedItem.objects.filter(id=ids["due"]).update(snoozed_until=timezone.now() - timedelta(seconds=1))

    assert me.titles() == ["due", "read", "new"]
    assert me.titles(unread="true") == ["due", "new"]
    assert me.titles(unread="false") == ["read"]
    assert me.titles(archived="true") == ["archived"]
    assert me.titles(snoozed="true") == ["asleep"]
    assert me.titles(category="orders") == ["due", "read", "new"]
    assert me.titles(category="other") == []
    assert me.get("counts/").json()["unread"] == 2


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"limit": "101"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "eA"}, "cursor"),
        ({"since": "nonsense"}, "since"),
        ({"since": str(uuid7())}, "since"),
        ({"unread": "maybe"}, "unread"),
    ],
)
def test_a_bad_question_gets_a_clear_answer(me: Caller, query: dict[str, str], parameter: str) -> None:
    answer = me.get(**query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"until": "tomorrow"},
        {"until": "2027-01-01T00:00:00"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"until": None, "x": 1},
        [],
    ],
)
def test_a_bad_snooze_names_the_field(me: Caller, person: Recipient, body: Any) -> None:
    deliver(message(person))

    answer = me.post(f"{FeedItem.objects.get().id}/snooze/", body)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_actions_change_the_item_and_answer_with_the_counts(me: Caller, person: Recipient) -> None:
    deliver(message(person), message(person))
    id = FeedItem.objects.get(seq=1).id

    seen = me.post(f"{id}/seen/").json()
    read = me.post(f"{id}/read/").json()
    unread = me.post(f"{id}/unread/").json()
    archived = me.post(f"{id}/archive/").json()
    back = me.post(f"{id}/unarchive/").json()

    assert seen["item"]["seen_at"] is not None
    assert (seen["counts"]["unseen"], seen["counts"]["unread"]) == (1, 2)
    assert read["item"]["seen_at"] == seen["item"]["seen_at"]
    assert read["counts"]["unread"] == 1
    assert (unread["item"]["read_at"], unread["counts"]["unread"]) == (None, 2)
    assert archived["counts"]["unread"] == 1
    assert back["item"]["archived_at"] is None


def test_doing_a_thing_again_changes_nothing(me: Caller, person: Recipient) -> None:
    deliver(message(person))
    id = FeedItem.objects.get().id

    assert me.post(f"{id}/read/").json() == me.post(f"{id}/read/").json()


def test_read_all_reads_everything_in_sight(me: Caller, person: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_READ_ALL", 2)
    deliver(*(message(person) for _ in range(3)))

    first, second = me.post("read-all/").json(), me.post("read-all/").json()

    assert (first["changed"], first["more"], first["counts"]["unread"]) == (2, True, 1)
    assert (second["changed"], second["more"], second["counts"]["unread"]) == (1, False, 0)
    assert not FeedItem.objects.filter(seen_at=None).exists()


def test_counting_stops_at_a_cap(me: Caller, person: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COUNT_CAP", 5)
    deliver(*(message(person) for _ in range(9)))

    assert me.get("counts/").json() == {"unseen": 5, "unread": 5, "version": 1}


def test_someone_without_a_feed_has_an_empty_one(me: Caller) -> None:
    assert me.get().json() == {
        "results": [],
        "next_cursor": None,
        "counts": {"unseen": 0, "unread": 0, "version": 0},
    }
    assert me.post("read-all/").json()["changed"] == 0


def test_the_items_of_others_do_not_exist(me: Caller, stranger: Recipient) -> None:
    deliver(message(stranger))
    theirs = FeedItem.objects.get()

    assert me.titles() == []
    assert me.post(f"{theirs.id}/read/").status_code == 404
    assert me.get(since=str(theirs.id)).status_code == 422
    assert FeedItem.objects.get().read_at is None


def test_a_page_costs_the_same_number_of_queries_whatever_its_size(me: Caller, person: Recipient) -> None:
    deliver(*(message(person) for _ in range(60)))
    me.get(limit=1)
    with CaptureQueriesContext(connection) as one:
        me.get(limit=1)
    me.get(limit=60)

    with CaptureQueriesContext(connection) as many:
        me.get(limit=60)

    assert len(many) == len(one)


def test_the_documented_item_is_the_item(person: Recipient) -> None:
    deliver(message(person))

    assert set(item_payload(FeedItem.objects.get())) == set(shapes.FeedItemSerializer().fields)


# --- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "counts/"])
def test_nobody_reads_a_feed_without_saying_who_they_are(person: Recipient, path: str) -> None:
    _, secret = factories.api_key()

    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {secret}"}):
        answer = Client(headers=headers).get(f"/api/v1/feed/{path}")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_session_reads_and_needs_a_csrf_token_to_change(person: Recipient) -> None:
    deliver(message(person))
    client = Client(enforce_csrf_checks=True)
    session = client.session
    session[identity.SESSION_KEY] = person.external_id
    session.save()
    path = f"/api/v1/feed/{FeedItem.objects.get().id}/read/"

    assert client.get("/api/v1/feed/").status_code == 200
    assert client.post(path).status_code == 403
    client.get("/inbox/")
    token = client.cookies["csrftoken"].value
    assert client.post(path, None, "application/json", headers={"X-CSRFToken": token}).status_code == 200


def test_a_service_gets_a_token_for_its_page(person: Recipient) -> None:
    deliver(message(person))
    _, secret = factories.api_key(scopes=[Scope.RECIPIENTS_WRITE])

    answer = Client(headers={"Authorization": f"Bearer {secret}"}).post("/api/v1/recipients/ada/feed-token/")

    assert answer.status_code == 201
    token = answer.json()["token"]
    assert answer.json()["expires_at"] > timezone.now().isoformat()
    assert len(Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/feed/").json()["results"]) == 1


def test_a_token_needs_the_scope_and_a_recipient(person: Recipient) -> None:
    _, reader = factories.api_key(scopes=[Scope.RECIPIENTS_READ])
    _, writer = factories.api_key(scopes=[Scope.RECIPIENTS_WRITE])

    def status(secret: str, who: str) -> int:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return Client(headers=headers).post(f"/api/v1/recipients/{who}/feed-token/").status_code

    assert (status("", "ada"), status(reader, "ada"), status(writer, "nobody")) == (401, 403, 404)


def test_a_token_travels_in_a_websocket_header(person: Recipient) -> None:
    token = identity.issue_token(person.id).token

    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_an_allowed_site_may_call_from_its_pages_and_others_may_not(
    me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FEED_ALLOWED_ORIGINS", ["https://shop.example"])
    ask = {"Access-Control-Request-Method": "POST"}

    preflight = Client().options("/api/v1/feed/read-all/", headers={"Origin": "https://shop.example", **ask})
    allowed = me.client.get("/api/v1/feed/", headers={"Origin": "https://shop.example"})
    refused = Client().get("/api/v1/feed/", headers={"Origin": "https://shop.example"})
    foreign = me.client.get("/api/v1/feed/", headers={"Origin": "https://evil.example"})

    assert preflight.status_code == 204
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
    for answer in (preflight, allowed, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in foreign.headers
    assert "Origin" in foreign.headers["Vary"]
    # A page whose clock is off goes by ours.
    assert allowed.headers["Access-Control-Expose-Headers"] == "Date"
    assert abs(parse_http_date(allowed.headers["Date"]) - time.time()) < 5


# --- delivered = shown or fetched ------------------------------------------------------------------------------------


@pytest.fixture
def sent(person: Recipient) -> Delivery:
    """A delivery on the record that the in_app provider has stored."""
    factories.category("orders")
    draft = Draft(
        recipient=person.external_id, category="orders", content={"title": "Hello", "body": "!"}, channels=["in_app"]
    )
    NotificationService().send([draft], source="test")
    delivery = Delivery.objects.get(channel="in_app")
    deliver(message(person, delivery=delivery.id))
    Delivery.objects.update(status=Status.SENT, sent_at=timezone.now())
    return delivery


def _events(delivery: Delivery) -> list[str]:
    return list(DeliveryEvent.objects.filter(delivery=delivery).values_list("type", flat=True))


def test_an_item_is_delivered_when_it_is_first_fetched(me: Caller, sent: Delivery) -> None:
    assert _events(sent) == []

    me.get()
    me.get()

    assert _events(sent) == [EventType.DELIVERED]
    assert Delivery.objects.get().status == Status.DELIVERED


def test_reading_an_item_opens_it_once(me: Caller, sent: Delivery) -> None:
    for action in ("read", "unread", "read"):
        me.post(f"{sent.id}/{action}/")

    assert _events(sent) == [EventType.DELIVERED, EventType.OPENED]


def test_clearing_the_list_delivers_and_does_not_open(me: Caller, sent: Delivery) -> None:
    me.post("read-all/")

    assert _events(sent) == [EventType.DELIVERED]


def test_counting_is_not_showing(me: Caller, sent: Delivery) -> None:
    me.get("counts/")

    assert _events(sent) == []


# --- snoozing, categories, places -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [timedelta(seconds=-1), timedelta(days=367)])
def test_an_item_sleeps_until_a_moment_that_lies_ahead_by_a_year_at_most(
    me: Caller, person: Recipient, ahead: timedelta
) -> None:
    deliver(message(person))

    answer = me.post(f"{FeedItem.objects.get().id}/snooze/", {"until": (timezone.now() + ahead).isoformat()})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/until"
    assert FeedItem.objects.get().snoozed_until is None


def test_snoozing_takes_an_item_out_of_the_archive_and_archiving_ends_its_sleep(me: Caller, person: Recipient) -> None:
    deliver(message(person))
    path = f"{FeedItem.objects.get().id}/"
    me.post(f"{path}archive/")

    asleep = me.post(f"{path}snooze/", {"until": (timezone.now() + timedelta(hours=1)).isoformat()}).json()["item"]
    archived = me.post(f"{path}archive/").json()["item"]

    assert (asleep["archived_at"], asleep["snoozed_until"] is None) == (None, False)
    assert (archived["archived_at"] is None, archived["snoozed_until"]) == (False, None)


def test_the_feed_says_which_categories_it_has(me: Caller, person: Recipient) -> None:
    factories.category("orders", name="Your orders")
    deliver(message(person, "1"), message(person, "2"), message(person, "3"), message(person, "away"))
    FeedItem.objects.filter(title="3").update(category="gone")
    me.post(f"{FeedItem.objects.get(title='1').id}/read/")
    me.post(f"{FeedItem.objects.get(title='away').id}/archive/")

    assert me.get("categories/").json()["results"] == [
        {"slug": "gone", "name": "", "items": 1, "unread": 1},
        {"slug": "orders", "name": "Your orders", "items": 2, "unread": 1},
    ]


def test_one_category_can_be_marked_as_read(me: Caller, person: Recipient) -> None:
    deliver(message(person, "order"), message(person, "news"))
    FeedItem.objects.filter(title="news").update(category="news")

    answer = me.post("read-all/", {"category": "news"}).json()

    assert (answer["changed"], answer["counts"]["unread"]) == (1, 1)
    assert me.titles(unread="true") == ["order"]


def test_a_place_in_the_feed_is_named_by_its_number_too(me: Caller, person: Recipient) -> None:
    deliver(*(message(person, str(n)) for n in range(1, 4)))

    assert me.titles(since="1") == ["2", "3"]
    assert me.titles(since="0") == ["1", "2", "3"]
    assert me.get(since="9" * 30).status_code == 422


def test_revoked_tokens_end_and_the_next_one_is_good(person: Recipient) -> None:
    old = Caller(person)
    _, secret = factories.api_key(scopes=[Scope.RECIPIENTS_WRITE])
    service = Client(headers={"Authorization": f"Bearer {secret}"})

    assert service.delete("/api/v1/recipients/ada/feed-token/").status_code == 204

    assert old.get().status_code == 401
    token = service.post("/api/v1/recipients/ada/feed-token/").json()["token"]
    assert Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/feed/").status_code == 200
    assert service.delete("/api/v1/recipients/nobody/feed-token/").status_code == 404
