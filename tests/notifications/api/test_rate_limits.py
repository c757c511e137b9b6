"""Limits of API keys: what counts, what a refusal says, and the headers on every answer."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpResponse

from notifications.models import Notification, RateLimit
from notifications.models.api_key import Scope
from notifications.services.rate_limiter import RateLimiter
from tests.api import Api, codes

pytestmark = pytest.mark.django_db

ORDER = {"recipient": "user-42", "category": "orders", "template": "order-shipped", "data": {"order": "A-1"}}


def bulk(n: int) -> dict[str, Any]:
    return {"notifications": [ORDER] * n}


def limit(api: Api, max: int) -> None:
    RateLimit.objects.create(scope="api_key", target=api.key.prefix, max=max, per_seconds=60)


def left(response: HttpResponse) -> int:
    assert response["RateLimit-Limit"]
    assert 0 <= int(response["RateLimit-Reset"]) <= 62
    return int(response["RateLimit-Remaining"])


def refused(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 429, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert 1 <= int(response["Retry-After"]) <= 62
    document: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert document["type"] == "urn:carillon:problem:rate-limited"
    return document


def test_every_call_counts_and_tells_what_is_left(api: Api, shop: None) -> None:
    limit(api, 20)

    answers = [
        api.get("categories/"),
        api.get("notifications/"),
        api.post("notifications/", ORDER),
        api.post("notifications/bulk/", bulk(3)),
        api.get("notifications/01a203ee-4c6c-72dd-862d-9e23df362dd7/"),
        api.post("notifications/", {"recipient": 7}),
        api.post("notifications/", b"{"),
        api.put("notifications/", {}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 202, 202, 404, 422, 400, 405]
    assert [left(answer) for answer in answers] == [19, 18, 17, 14, 13, 12, 11, 10]
    assert {answer["RateLimit-Limit"] for answer in answers} == {"20"}


def test_a_call_that_lacks_a_scope_counts_too(shop: None) -> None:
    api = Api(scopes=[Scope.CATALOG_READ])
    limit(api, 20)

    assert api.post("notifications/", ORDER).status_code == 403
    assert left(api.get("categories/")) == 18


def test_a_key_without_a_limit_is_told_nothing(api: Api, shop: None) -> None:
    assert "RateLimit-Limit" not in api.post("notifications/", ORDER)


def test_beyond_the_limit_is_429_and_nothing_is_sent(api: Api, shop: None) -> None:
    limit(api, 2)
    api.post("notifications/", ORDER)
    api.get("categories/")

    for response in (api.post("notifications/", ORDER), api.get("categories/")):
        assert "limit of 2" in refused(response)["detail"]
        assert left(response) == 0
    assert Notification.objects.count() == 1


def test_a_bulk_call_is_all_or_nothing_and_a_refused_one_uses_up_nothing(api: Api, shop: None) -> None:
    limit(api, 10)
    assert left(api.post("notifications/bulk/", bulk(7))) == 3

    response = api.post("notifications/bulk/", bulk(4))

    assert "only 3 are left; nothing was accepted" in refused(response)["detail"]
    assert left(response) == 3
    assert Notification.objects.count() == 7
    assert left(api.post("notifications/bulk/", bulk(3))) == 0


def test_a_bulk_call_that_can_never_fit_is_told_so(api: Api, shop: None) -> None:
    limit(api, 5)

    response = api.post("notifications/bulk/", bulk(6))

    assert codes(response) == {"/notifications": "over_rate_limit"}
    assert "never" in response.json()["errors"][0]["detail"]
    assert "Retry-After" not in response
    assert not Notification.objects.exists()


def test_a_replay_counts_one(api: Api, shop: None) -> None:
    limit(api, 10)
    first = api.post("notifications/bulk/", bulk(5), Idempotency_Key="k")
    again = api.post("notifications/bulk/", bulk(5), Idempotency_Key="k")

    assert again["Idempotent-Replayed"] == "true"
    assert (left(first), left(again)) == (5, 4)


def test_a_refused_call_leaves_its_idempotency_key_free(api: Api, shop: None) -> None:
    limit(api, 10)
    api.post("notifications/bulk/", bulk(8))
    refused(api.post("notifications/bulk/", bulk(5), Idempotency_Key="k"))
    RateLimit.objects.get().delete()

    assert api.post("notifications/bulk/", bulk(5), Idempotency_Key="k").status_code == 202


def test_the_limit_of_every_key_holds_for_each_by_itself(api: Api, shop: None) -> None:
    RateLimit.objects.create(scope="api_key", target="", max=1, per_seconds=60)

    assert left(api.get("categories/")) == 0
    refused(api.get("categories/"))
    assert left(Api().get("categories/")) == 0


def test_without_redis_a_key_has_a_share_and_a_limit_all_the_same(
    api: Api, shop: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATE_LIMIT_PROCESSES = 4
    limit(api, 12)
    monkeypatch.setattr(RateLimiter, "_run", lambda *args: None)

    answers = [api.get("categories/") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0]["RateLimit-Limit"] == "12"
