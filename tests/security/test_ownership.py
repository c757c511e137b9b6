"""Nobody reads or changes what is another's, by an id, a token of another kind or a field that is not theirs to set."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from channels_app import identity
from channels_app.models import FeedItem
from notifications.models import Notification
from preferences.models import Recipient
from tests import factories
from tests.api import Api, codes
from tests.channels_app.conftest import deliver, message
from tests.notifications.api.test_authentication import API, SERVICE_API

pytestmark = pytest.mark.django_db(transaction=True)

ACTIONS = ("seen", "read", "unread", "archive", "unarchive", "snooze")


def feed_of(person: Recipient) -> Client:
    return Client(headers={"Authorization": f"Bearer {identity.issue_token(person.id).token}"})


def body_of(action: str) -> dict[str, Any]:
    return {"until": (timezone.now() + timedelta(hours=1)).isoformat()} if action == "snooze" else {}


@pytest.fixture
def theirs(stranger: Recipient) -> FeedItem:
    deliver(message(stranger, "not for Ada"))
    return FeedItem.objects.get()


class TestTheFeed:
    def test_every_action_on_an_item_is_known_here(self) -> None:
        ours = {path.rsplit("/", 2)[1] for path, _ in API if path.startswith("/api/v1/feed/019")}

        assert ours == set(ACTIONS)

    @pytest.mark.parametrize("action", ACTIONS)
    def test_another_s_item_is_not_found_and_not_changed(self, person, theirs, action: str) -> None:
        before = FeedItem.objects.values().get()

        answer = feed_of(person).post(f"/api/v1/feed/{theirs.id}/{action}/", body_of(action), "application/json")

        assert answer.status_code == 404
        assert "not for Ada" not in answer.content.decode()
        assert FeedItem.objects.values().get() == before

    def test_another_s_items_are_in_no_list_and_no_count(self, person, theirs) -> None:
        client = feed_of(person)

        for query in ("", "?archived=true", "?snoozed=true", f"?recipient={theirs.recipient_id}", "?unread=true"):
            assert client.get(f"/api/v1/feed/{query}").json()["results"] == []
        assert client.get("/api/v1/feed/counts/").json()["unread"] == 0
        assert client.get(f"/api/v1/feed/?since={theirs.id}").status_code == 422

    def test_marking_all_as_read_stops_at_one_s_own(self, person, theirs) -> None:
        assert feed_of(person).post("/api/v1/feed/read-all/", {}, "application/json").json()["changed"] == 0
        assert FeedItem.objects.get().read_at is None


class TestTokensOfAnotherKind:
    @pytest.mark.parametrize("path", [path for path, _ in SERVICE_API])
    def test_a_feed_token_is_no_api_key(self, person, path: str) -> None:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            assert feed_of(person).generic(method, path).status_code == 401

    @pytest.mark.parametrize("path", [path for path, _ in API if path.startswith("/api/v1/feed/")])
    def test_an_api_key_is_no_recipient(self, api: Api, path: str) -> None:
        for method in ("GET", "POST"):
            assert api.client.generic(method, path).status_code == 401

    def test_a_session_is_no_api_key(self, person) -> None:
        client = Client()
        session = client.session
        session[identity.SESSION_KEY] = person.external_id
        session.save()

        assert client.get("/api/v1/feed/").status_code == 200
        assert {client.get(path).status_code for path, _ in SERVICE_API} == {401}


class TestFieldsThatAreNotTheirsToSet:
    @pytest.mark.parametrize(
        "field", ["id", "source", "is_test", "created_at", "status", "template_version", "cancelled_at", "recipient_id"]
    )
    def test_of_a_notification(self, api: Api, person, field: str) -> None:
        factories.category("orders")
        good = {"recipient": "ada", "category": "orders", "content": {"title": "Hi", "body": "x"}}

        assert codes(api.post("notifications/", {**good, field: True})) == {f"/{field}": "unknown_field"}
        bulk = api.post("notifications/bulk/", {"notifications": [{**good, field: 1}]})
        assert codes(bulk) == {f"/notifications/0/{field}": "unknown_field"}
        assert not Notification.objects.exists()

    @pytest.mark.parametrize("field", ["id", "external_id", "created_at", "preferences_changed_at", "is_staff"])
    def test_of_a_recipient(self, api: Api, person, field: str) -> None:
        for call in (api.put, api.patch):
            assert codes(call("recipients/ada/", {field: "x"})) == {f"/{field}": "unknown_field"}

    @pytest.mark.parametrize("field", ["id", "created_at", "dedup"])
    def test_of_a_category(self, api: Api, field: str) -> None:
        factories.category("orders")

        assert f"/{field}" in codes(api.post("categories/", {"slug": "new", "name": "New", field: 1}))
        assert codes(api.patch("categories/orders/", {field: 1})) == {f"/{field}": "unknown_field"}

    @pytest.mark.parametrize("field", ["id", "recipient", "token_hash", "retired_at"])
    def test_of_a_device(self, api: Api, person, field: str) -> None:
        body = {"platform": "fcm", "token": "t" * 32, field: "x"}

        assert codes(api.post("recipients/ada/device-tokens/", body)) == {f"/{field}": "unknown_field"}

    def test_a_device_of_another_person_is_not_found(self, api: Api, person, stranger) -> None:
        device = factories.device(stranger)

        assert api.delete(f"recipients/ada/device-tokens/{device.id}/").status_code == 404
        device.refresh_from_db()
        assert device.retired_at is None
