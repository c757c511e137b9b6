"""POST /webhooks/<provider>/: what is answered 200 is on the lane, and nothing else is."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.conf import settings as conf
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client

from core import standard_webhooks
from core.ids import uuid7
from notifications.choices import EventType
from notifications.models import ReceivedEvent
from notifications.receivers import simulated
from notifications.services import events_lane, webhooks
from notifications.services.events_lane import lane_gauge

pytestmark = pytest.mark.django_db


def body_of(events: Sequence[tuple[UUID, EventType]]) -> bytes:
    return msgspec.json.encode(
        simulated.Webhook(
            [simulated.Event(f"{id.hex}-{type}", simulated.WORDS[type], f"sim-{id.hex}") for id, type in events]
        )
    )


def signed(body: bytes, provider: str = "simulated_email", *, age: int = 0) -> dict[str, str]:
    secret = simulated.secret(provider, conf.SECRET_KEY)
    return standard_webhooks.sign([secret], id="msg_1", timestamp=int(time.time()) - age, body=body)


def post(
    body: bytes, headers: Mapping[str, str] | None = None, provider: str = "simulated_email", **more: Any
) -> HttpResponse:
    client = Client(enforce_csrf_checks=True)
    client.raise_request_exception = False
    found = headers if headers is not None else signed(body, provider)
    return client.generic(  # type: ignore[return-value]
        "POST", f"/webhooks/{provider}/", data=body, content_type="application/json", headers=dict(found), **more
    )


def problem(response: HttpResponse, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert not ReceivedEvent.objects.exists()
    found: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    return found


def test_what_is_answered_200_is_on_the_lane() -> None:
    delivered, bounced = uuid7(), uuid7()

    response = post(body_of([(delivered, EventType.DELIVERED), (bounced, EventType.BOUNCED)]))

    assert (response.status_code, response.json()) == (200, {"taken": 2})  # type: ignore[attr-defined]
    rows = ReceivedEvent.objects.order_by("id").values_list("delivery_id", "type", "origin", "event_id")
    assert list(rows) == [
        (delivered, "delivered", "simulated_email", f"{delivered.hex}-delivered"),
        (bounced, "bounced", "simulated_email", f"{bounced.hex}-bounced"),
    ]


def test_a_webhook_of_any_size_is_one_statement(django_assert_num_queries: Any) -> None:
    body = body_of([(uuid7(), EventType.DELIVERED) for _ in range(1000)])
    assert not lane_gauge.is_full()  # asked once a second, by one more

    with django_assert_num_queries(1):
        assert post(body).status_code == 200


def test_a_signature_that_does_not_fit_is_401_and_leaves_nothing() -> None:
    body = body_of([(uuid7(), EventType.DELIVERED)])

    for headers in ({}, signed(b"another"), signed(body, "simulated_sms"), signed(body, age=400)):
        found = problem(post(body, headers), 401)
        assert found["type"] == "urn:carillon:problem:unauthenticated"
    assert post(body, signed(body, age=200)).status_code == 200


@pytest.mark.parametrize("provider", ["nobody", "feed", "simulated_email%00", "..", "a" * 500])
def test_a_name_that_sends_no_webhooks_is_404(provider: str) -> None:
    response = post(body_of([]), {}, provider)

    assert response.status_code in (400, 404)
    assert response["Content-Type"] == "application/problem+json"


def test_only_post_is_taken() -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        assert Client().generic(method, "/webhooks/simulated_email/").status_code == 405


def test_a_body_that_makes_no_sense_is_422_with_its_place() -> None:
    body = b'{"events": [{"id": "a", "event": "open", "message": "what?"}]}'

    found = problem(post(body), 422)

    assert found["errors"] == [
        {"pointer": "/events/0/message", "code": "invalid", "detail": "Not a message id of this vendor."}
    ]
    problem(post(b"\xff\x00"), 422)


def test_a_body_that_is_too_large_is_413(settings: Any) -> None:
    settings.API_MAX_BODY_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    problem(post(b"x" * 1001), 413)


def test_a_compressed_body_is_415() -> None:
    problem(post(body_of([]), {"content-encoding": "gzip"}), 415)


def test_a_full_lane_is_503_and_says_when_to_come_again(settings: Any) -> None:
    settings.EVENTS_MAX_ROWS = 1
    body = body_of([(uuid7(), EventType.DELIVERED), (uuid7(), EventType.DELIVERED)])
    assert post(body).status_code == 200
    lane_gauge.forget()

    response = post(body)

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert ReceivedEvent.objects.count() == 2


def test_without_postgresql_it_is_503_and_never_200(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(events_lane, "_write", fail)

    response = post(body_of([(uuid7(), EventType.DELIVERED)]))

    assert problem(response, 503)["type"] == "urn:carillon:problem:unavailable"
    assert int(response["Retry-After"]) > 0


def test_redis_is_not_asked(redis_away: Any) -> None:
    redis_away.leave()

    assert post(body_of([(uuid7(), EventType.DELIVERED)])).status_code == 200


def test_it_wants_no_slash_at_the_end_and_no_cookie() -> None:
    body = body_of([])

    response = Client(enforce_csrf_checks=True).post(
        "/webhooks/simulated_email", data=body, content_type="text/plain", headers=signed(body)
    )

    assert response.status_code == 200
    assert not response.cookies


def test_refusals_are_logged_with_their_number_and_not_one_by_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "refusals", webhooks.Refusals())
    for _ in range(20):
        post(b"person@example.com", {})

    lines = [record.getMessage() for record in caplog.records if "webhook.refused" in record.getMessage()]
    assert len(lines) == 1
    assert "person@example.com" not in caplog.text
