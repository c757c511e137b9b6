"""Every way a request can be refused, and that none of them is a 500."""

from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from notifications.models import Notification
from tests import factories
from tests.api import Api, codes

SMALL = {"recipient": "user-42", "category": "orders", "content": {"title": "Hello", "body": "There"}}


def problem(response: HttpResponse, status: int, slug: str) -> dict[str, Any]:
    """The problem document, checked for its shape."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    content: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert content["type"] == f"urn:carillon:problem:{slug}"
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    assert content["instance"].startswith("/api/")
    assert content["request_id"] == response["X-Request-Id"]
    return content


@pytest.mark.parametrize("body", [b"{", b"nul", b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": "\x00"}'])
def test_what_is_not_json_is_400(api: Api, body: bytes) -> None:
    problem(api.post("notifications/", body), 400, "malformed-json")


def test_a_nul_character_is_422_with_a_pointer(api: Api, shop: None) -> None:
    response = api.post("notifications/", {**SMALL, "data": {"a": ["b\x00"]}})

    problem(response, 422, "validation")
    assert codes(response) == {"/data/a/0": "nul_character"}


def test_fifty_levels_are_422(api: Api, shop: None) -> None:
    deep: Any = 1
    for _ in range(50):
        deep = {"a": deep}

    assert set(codes(api.post("notifications/", {**SMALL, "data": deep})).values()) == {"too_deep"}


def test_a_body_over_the_limit_is_413(api: Api) -> None:
    problem(api.post("notifications/", b'"' + b"x" * 10_000_000 + b'"'), 413, "body-too-large")


def test_a_declared_length_over_the_limit_is_413_before_a_byte_is_read(api: Api) -> None:
    response = api.client.generic(
        "POST", "/api/v1/notifications/", b"{}", CONTENT_LENGTH=str(settings.API_MAX_BODY_BYTES + 1)
    )

    problem(response, 413, "body-too-large")


@pytest.mark.parametrize("length", ["abc", "-1", "1.5", "٣"])
def test_a_length_that_is_no_number_is_400(api: Api, length: str) -> None:
    problem(api.client.generic("POST", "/api/v1/notifications/", b"{}", CONTENT_LENGTH=length), 400, "bad-request")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; b=x"]
)
def test_another_media_type_is_415(api: Api, content_type: str) -> None:
    response = api.client.generic("POST", "/api/v1/notifications/", b"a=b", content_type=content_type)

    problem(response, 415, "unsupported-media-type")


def test_a_compressed_body_is_415(api: Api) -> None:
    problem(api.post("notifications/", b"{}", Content_Encoding="gzip"), 415, "unsupported-media-type")


def test_json_with_a_charset_is_json(api: Api, shop: None) -> None:
    response = api.client.post("/api/v1/notifications/", SMALL, content_type="application/json; charset=utf-8")

    assert response.status_code == 202


@pytest.mark.parametrize("body", [None, [], "text", 1])
def test_a_body_that_is_no_object_is_422(api: Api, body: Any) -> None:
    assert codes(api.post("notifications/", b"null" if body is None else body)) == {"": "type"}


def test_no_body_at_all_names_what_is_missing(api: Api) -> None:
    assert codes(api.post("notifications/")) == {"/recipient": "required", "/category": "required"}


@pytest.mark.parametrize("path", ["/api/v1/nothing/", "/api/", "/api/v2/notifications/", "/api/v1/notifications/x/"])
def test_an_unknown_address_is_404(api: Api, path: str) -> None:
    problem(api.client.get(path), 404, "not-found")


def test_a_method_that_is_not_there_is_405(api: Api) -> None:
    response = api.delete("notifications/")

    problem(response, 405, "method-not-allowed")
    assert "POST" in response["Allow"]


@pytest.mark.parametrize("path", ["recipients/%00/", "recipients/?external_id=%00", "notifications/?recipient=a%00b"])
def test_a_nul_character_in_a_url_is_400(api: Api, path: str) -> None:
    problem(api.get(path), 400, "bad-request")


@pytest.mark.parametrize(
    "path",
    [
        "notifications/?created_after=yesterday",
        "notifications/?created_after=2026-01-01T00:00:00",
        "notifications/?limit=1000",
        "notifications/?cursor=%FF",
        "notifications/?status=lost",
        "notifications/?recipient=" + "x" * 5000,
        "notifications/?created_after=0001-01-01T00:00:00Z",
        "notifications/?created_before=9999-12-31T23:59:59Z",
        "recipients/?external_id_prefix=%C2%85",
        "recipients/%FF%FE/",
        "recipients/" + "y" * 5000 + "/",
        "categories/?cursor=" + "A" * 5000,
        "templates/no-such/",
    ],
)
def test_odd_urls_are_answered(api: Api, path: str) -> None:
    assert api.get(path).status_code in {200, 400, 404, 422}


def test_a_path_without_its_last_slash_is_served(api: Api, shop: None) -> None:
    assert api.post("notifications", SMALL).status_code == 202


def test_any_accept_header_gets_json(api: Api) -> None:
    response = api.client.get("/api/v1/notifications/", headers={"accept": "text/html"})

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_a_refused_host_is_a_problem_too() -> None:
    problem(Client().get("/api/v1/notifications/", headers={"host": "evil.example"}), 400, "bad-request")


def test_a_bug_is_a_500_in_the_same_shape(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret in the message")

    monkeypatch.setattr("notifications.selectors.matching", broken)

    response = api.get("notifications/")

    problem(response, 500, "internal-server-error")
    assert b"secret" not in response.content


def test_people_s_data_stays_out_of_caches(api: Api) -> None:
    assert api.get("notifications/")["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_503_and_nothing_was_accepted(api: Api, shop: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])

    response = api.post("notifications/", SMALL)

    connection.close()
    problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) > 0
    assert not Notification.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_is_503(api: Api, shop: None) -> None:
    api.get("notifications/")  # notes the key's use, which would itself be a write
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")

    response = api.post("notifications/", SMALL)

    connection.close()
    problem(response, 503, "unavailable")


@pytest.mark.django_db(transaction=True)
def test_an_unreachable_database_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    factories.category("orders")
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")

    response = api.post("notifications/", SMALL)

    monkeypatch.undo()
    connection.close()
    problem(response, 503, "unavailable")
