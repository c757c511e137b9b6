"""Too much waits: 503 for what can come later, nothing lost, and critical notifications pass."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from core.ids import uuid7
from notifications.models import Notification, OutboxMessage
from notifications.services import gauge as gauges
from notifications.services import notify, overload
from notifications.services.overload import new_gauge, outbox_gauge
from tests import factories
from tests.admin import big_tables_scanned
from tests.api import Api

pytestmark = pytest.mark.django_db

ORDER = {"recipient": "user-42", "category": "orders", "content": {"title": "Hello", "body": "There"}}
URGENT = {**ORDER, "priority": "critical"}


def outbox(rows: int, *, later: int = 0) -> None:
    OutboxMessage.objects.bulk_create(
        OutboxMessage(channel="email", priority="low", delivery_ids=[uuid7()], due_at=Now() + timedelta(seconds=later))
        for _ in range(rows)
    )


@pytest.fixture
def overloaded(shop: None, settings: LazySettings) -> None:
    settings.OUTBOX_MAX_ROWS = 5
    outbox(6)


def refused(response: HttpResponse) -> str:
    assert response.status_code == 503, response.content
    document: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert document["type"] == "urn:carillon:problem:overloaded"
    low, high = overload.RETRY_AFTER_SECONDS
    assert low <= int(response["Retry-After"]) <= high
    assert not Notification.objects.exists()
    return str(document["detail"])


def test_beyond_the_bound_a_send_is_503_and_nothing_is_accepted(api: Api, overloaded: None) -> None:
    assert "only critical" in refused(api.post("notifications/", ORDER))
    refused(api.post("notifications/bulk/", {"notifications": [ORDER, ORDER]}))
    assert api.get("notifications/").status_code == 200


def test_at_the_bound_it_is_accepted(api: Api, shop: None, settings: LazySettings) -> None:
    settings.OUTBOX_MAX_ROWS = 5
    outbox(5)

    assert api.post("notifications/", ORDER).status_code == 202


def test_critical_notifications_pass_by_their_own_word_or_their_category_s(api: Api, overloaded: None) -> None:
    factories.category("security", default_priority="critical")
    codes = [ORDER | {"category": "security"}, URGENT]

    assert api.post("notifications/", URGENT).status_code == 202
    assert api.post("notifications/bulk/", {"notifications": codes}).status_code == 202


def test_a_category_s_critical_can_be_lowered(api: Api, overloaded: None) -> None:
    factories.category("security", default_priority="critical")

    refused(api.post("notifications/", {**ORDER, "category": "security", "priority": "low"}))


def test_a_mixed_call_is_refused_whole_and_told_how_to_go_on(api: Api, overloaded: None) -> None:
    detail = refused(api.post("notifications/bulk/", {"notifications": [ORDER, URGENT, ORDER]}))

    assert "1 of these 3 are critical: send those in a call of their own" in detail


def test_an_idempotent_call_that_was_refused_can_be_repeated(
    api: Api, overloaded: None, settings: LazySettings
) -> None:
    refused(api.post("notifications/", ORDER, Idempotency_Key="k"))
    settings.OUTBOX_MAX_ROWS = 0

    assert api.post("notifications/", ORDER, Idempotency_Key="k").status_code == 202


def test_a_replay_is_answered_during_overload(api: Api, shop: None, settings: LazySettings) -> None:
    first = api.post("notifications/", ORDER, Idempotency_Key="k")
    settings.OUTBOX_MAX_ROWS = 1
    outbox_gauge.forget()

    assert api.post("notifications/", ORDER, Idempotency_Key="k").json() == first.json()


def test_no_bound_is_no_bound_and_costs_nothing(shop: None, settings: LazySettings) -> None:
    settings.OUTBOX_MAX_ROWS = 0
    outbox(3)

    with CaptureQueriesContext(connection) as captured:
        assert not new_gauge().is_full()
    assert len(captured) == 0


def test_what_is_due_later_does_not_count(api: Api, shop: None, settings: LazySettings) -> None:
    settings.OUTBOX_MAX_ROWS = 5
    outbox(20, later=60)

    assert api.post("notifications/", ORDER).status_code == 202


def test_a_host_s_own_calls_are_not_refused(overloaded: None) -> None:
    notify(recipient="user-42", category="orders", content={"title": "Hello", "body": "There"})

    assert Notification.objects.count() == 1


def test_the_longer_counting_takes_the_less_often_it_is_done(overloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(gauges, "REST", 1_000_000)
    gauge = new_gauge()
    assert gauge.is_full()

    with CaptureQueriesContext(connection) as captured:
        assert gauge.is_full()
    assert len(captured) == 0


def test_it_ends_when_the_outbox_has_drained(api: Api, overloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(gauges, "REST", 0)
    refused(api.post("notifications/", ORDER))
    OutboxMessage.objects.all().delete()

    assert api.post("notifications/", ORDER).status_code == 202


def test_rows_are_counted_once_a_second_to_the_bound_and_by_their_index(settings: LazySettings) -> None:
    settings.OUTBOX_MAX_ROWS = 100
    outbox(5000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_outbox")
    gauge = new_gauge()

    with CaptureQueriesContext(connection) as captured:
        assert all(gauge.is_full() for _ in range(10))

    assert len(captured) == 1
    assert gauge._found == 101
    assert big_tables_scanned([{"sql": captured[0]["sql"].strip()}]) == set()


def test_while_one_counts_the_others_go_by_the_figure_before(overloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(gauges, "REST", 0)
    gauge = new_gauge()
    assert gauge.is_full()
    OutboxMessage.objects.all().delete()

    with gauge._counting:
        assert gauge.is_full()
    assert not gauge.is_full()
