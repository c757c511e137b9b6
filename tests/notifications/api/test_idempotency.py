from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from notifications.models import IdempotencyRecord, Notification
from notifications.services import idempotency
from preferences.models import Category, DeviceToken, Recipient
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db

#: POSTs without a key, and why a second one makes nothing more.
BY_NATURE = {
    "/api/v1/categories/": "a slug is taken once: 409",
    "/api/v1/recipients/bulk/": "upsert by external id",
    "/api/v1/recipients/lookup/": "writes nothing",
    "/api/v1/recipients/{external_id}/device-tokens/": "upsert by token",
    "/api/v1/recipients/{external_id}/feed-token/": "no row: a token is made anew each time, and is no one's to repeat",
    "/api/v1/recipients/{external_id}/preferences-link/": "likewise",
    "/api/v1/suppressions/": "a reason stands once",
    "/api/v1/suppressions/lookup/": "writes nothing",
    "/api/v1/suppressions/{id}/lift/": "a state: 404 the second time",
    "/api/v1/feed/socket-ticket/": "likewise",
    "/api/v1/feed/read-all/": "a state, not a row",
    "/api/v1/feed/{item_id}/archive/": "likewise",
    "/api/v1/feed/{item_id}/read/": "likewise",
    "/api/v1/feed/{item_id}/seen/": "likewise",
    "/api/v1/feed/{item_id}/snooze/": "likewise",
    "/api/v1/feed/{item_id}/unarchive/": "likewise",
    "/api/v1/feed/{item_id}/unread/": "likewise",
    "/api/v1/notifications/{id}/cancel/": "a state: 409 the second time",
    "/api/v1/templates/{slug}/preview/": "writes nothing",
    "/api/v1/notifications/explain/": "likewise",
    "/api/v1/templates/": "a slug is taken once: 409",
    "/api/v1/templates/{slug}/check/": "writes nothing",
    "/api/v1/templates/{slug}/versions/": "a draft more, which nobody gets before it is published",
    "/api/v1/templates/{slug}/versions/{number}/publish/": "a state, not a row",
    "/api/v1/templates/{slug}/roll-back/": "to the version that is named, a state",
    "/api/v1/templates/{slug}/test/": "a test more, to those who are named",
    "/api/v1/campaigns/": "a draft more, which nobody gets before it is approved and launched",
    "/api/v1/campaigns/{id}/duplicate/": "likewise",
    "/api/v1/campaigns/{id}/submit/": "a state: 409 the second time",
    "/api/v1/campaigns/{id}/approve/": "likewise",
    "/api/v1/campaigns/{id}/send-back/": "likewise",
    "/api/v1/campaigns/{id}/reopen/": "likewise",
    "/api/v1/campaigns/{id}/launch/": "likewise",
    "/api/v1/campaigns/{id}/pause/": "likewise",
    "/api/v1/campaigns/{id}/resume/": "likewise",
    "/api/v1/campaigns/{id}/cancel/": "likewise",
    "/api/v1/campaigns/{id}/choose-winner/": "likewise",
    "/api/v1/campaigns/{id}/archive/": "likewise",
    "/api/v1/campaigns/{id}/unarchive/": "likewise",
    "/api/v1/segments/": "a name is taken once",
    "/api/v1/segments/estimate/": "writes nothing",
    "/api/v1/segments/sample/": "likewise",
    "/api/v1/lists/": "a name is taken once",
    "/api/v1/lists/{list_id}/members/": "whoever is on the list stays there once",
    "/api/v1/lists/{list_id}/members/remove/": "whoever is gone stays gone",
    "/api/v1/webhooks/endpoints/": "an endpoint more, of twenty at most, which the list shows and a DELETE takes away",
    "/api/v1/webhooks/endpoints/{id}/rotate/": "the newest secret is the good one, and the one before it",
    "/api/v1/webhooks/endpoints/{id}/test/": "a test more",
    "/api/v1/webhooks/endpoints/{id}/replay/": "what is told again has the webhook-id it had: its receiver knows it",
}

ORDER = {"recipient": "user-42", "category": "orders", "template": "order-shipped", "data": {"order": "A-1"}}


def test_the_same_request_again_answers_the_same_and_sends_once(api: Api, shop: None) -> None:
    first = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    again = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Notification.objects.count() == 1


def test_a_repeated_request_is_no_duplicate_of_itself(api: Api, shop: None) -> None:
    factories.category("orders", dedup_seconds=300)
    first = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    again = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    assert again.json() == first.json()
    assert again.json()["duplicate_of"] is None


def test_every_post_takes_a_key_or_is_harmless_by_nature() -> None:
    paths = Client().get("/api/schema/?format=json").json()["paths"]
    posts = {path: operations["post"] for path, operations in paths.items() if "post" in operations}
    keyed = {
        path for path, post in posts.items() if "Idempotency-Key" in {p["name"] for p in post.get("parameters", [])}
    }

    assert keyed == {"/api/v1/notifications/", "/api/v1/notifications/bulk/"}
    assert set(posts) - keyed == set(BY_NATURE)


def test_what_is_made_by_its_natural_key_is_made_once(api: Api) -> None:
    calls: list[tuple[str, dict[str, Any], type[Model]]] = [
        ("categories/", {"slug": "offers", "name": "Offers"}, Category),
        ("recipients/bulk/", {"recipients": [{"external_id": "ann"}, {"external_id": "ben"}]}, Recipient),
        ("recipients/ann/device-tokens/", {"platform": "fcm", "token": "t" * 40}, DeviceToken),
    ]
    for path, body, model in calls:
        api.post(path, body)
        made = list(model.objects.order_by("pk").values_list("pk", flat=True))  # type: ignore[attr-defined]

        again = api.post(path, body)

        assert again.status_code == (409 if path == "categories/" else 201 if "device" in path else 200)
        assert list(model.objects.order_by("pk").values_list("pk", flat=True)) == made  # type: ignore[attr-defined]


def test_the_order_and_spacing_of_the_json_do_not_matter(api: Api, shop: None) -> None:
    api.post(
        "notifications/",
        b'{"recipient": "user-42", "category": "orders", "template": "order-shipped"}',
        Idempotency_Key="k",
    )

    again = api.post(
        "notifications", b'{"template":"order-shipped","category":"orders","recipient":"user-42"}', Idempotency_Key="k"
    )

    assert again["Idempotent-Replayed"] == "true"


def test_another_body_under_the_same_key_is_422(api: Api, shop: None) -> None:
    api.post("notifications/", ORDER, Idempotency_Key="k-1")

    response = api.post("notifications/", {**ORDER, "data": {"order": "A-2"}}, Idempotency_Key="k-1")

    assert response.status_code == 422
    assert response.json()["type"] == "urn:carillon:problem:idempotency-key-reused"
    assert Notification.objects.count() == 1


def test_another_call_under_the_same_key_is_422(api: Api, shop: None) -> None:
    api.post("notifications/", ORDER, Idempotency_Key="k-1")

    assert api.post("notifications/bulk/", {"notifications": [ORDER]}, Idempotency_Key="k-1").status_code == 422


def test_two_services_may_use_the_same_key(api: Api, shop: None) -> None:
    first = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    other = Api().post("notifications/", ORDER, Idempotency_Key="k-1")

    assert other.status_code == 202
    assert other.json()["id"] != first.json()["id"]


def test_a_refused_request_leaves_the_key_free(api: Api, shop: None) -> None:
    refused = api.post("notifications/", {**ORDER, "recipient": "nobody"}, Idempotency_Key="k-1")

    corrected = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    assert codes(refused) == {"/recipient": "unknown"}
    assert corrected.status_code == 202


def test_after_a_day_the_key_is_free(api: Api, shop: None) -> None:
    first = api.post("notifications/", ORDER, Idempotency_Key="k-1")
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))

    again = api.post("notifications/", ORDER, Idempotency_Key="k-1")

    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]


def test_a_bulk_call_is_repeated_whole(api: Api, shop: None) -> None:
    body = {"notifications": [ORDER, {**ORDER, "data": {"order": "A-2"}}]}
    first = api.post("notifications/bulk/", body, Idempotency_Key="k-1")

    again = api.post("notifications/bulk/", body, Idempotency_Key="k-1")

    assert again.json() == first.json()
    assert Notification.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "a\x00"])
def test_a_key_that_cannot_be_one_is_400(api: Api, shop: None, key: str) -> None:
    assert api.post("notifications/", ORDER, Idempotency_Key=key).status_code == 400


def test_a_crash_before_the_commit_leaves_neither_rows_nor_record(api: Api, shop: None) -> None:
    def crash() -> idempotency.Answer:
        api.post("notifications/", ORDER)
        raise RuntimeError("died")

    with pytest.raises(RuntimeError):
        idempotency.once(api.key, "k-1", "seal", crash)

    assert not Notification.objects.exists()
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_key_in_flight_is_409(api: Api, shop: None) -> None:
    def other_request() -> HttpResponse:
        try:
            return api.post("notifications/", ORDER, Idempotency_Key="k-1")
        finally:
            connection.close()

    def working() -> idempotency.Answer:
        with ThreadPoolExecutor(1) as threads:
            response = threads.submit(other_request).result()
        assert response.status_code == 409
        assert response["Retry-After"] == "1"
        return idempotency.Answer(202, {"id": "mine"})

    answer = idempotency.once(api.key, "k-1", "seal", working)

    assert answer.body == {"id": "mine"}


@pytest.mark.django_db(transaction=True)
def test_fifty_requests_at_once_under_one_key_give_one_id(api: Api, shop: None) -> None:
    def post(_: int) -> tuple[int, Any]:
        close_old_connections()
        try:
            response = api.post("notifications/", ORDER, Idempotency_Key="k-1")
            return response.status_code, response.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(25) as threads:  # as many connections; PostgreSQL allows a hundred, to all tests
        answers = list(threads.map(post, range(50)))

    assert {status for status, _ in answers} <= {202, 409}
    assert len({body["id"] for status, body in answers if status == 202}) == 1
    assert Notification.objects.count() == 1
    with transaction.atomic():  # and the key is let go
        assert api.post("notifications/", ORDER, Idempotency_Key="k-1")["Idempotent-Replayed"] == "true"
