from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.statements import StatementTooSlow, bounded
from notifications.choices import EventType
from notifications.models import Delivery, DeliveryEvent
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db


def send(api: Api, recipient: str = "user-42", **change: Any) -> str:
    body = {"recipient": recipient, "category": "orders", "template": "order-shipped", **change}
    answer = api.post("notifications/", body)
    assert answer.status_code == 202, answer.content
    sent: str = answer.json()["id"]
    return sent


def ids(api: Api, query: str = "") -> list[str]:
    response = api.get(f"notifications/?{query}")
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def test_a_notification_tells_each_delivery_s_story_in_order(api: Api, shop: None) -> None:
    sent = send(api, data={"order": "A-1"}, metadata={"ref": 1})
    delivery = Delivery.objects.get(notification_id=sent, channel="email")
    now = timezone.now()
    for seconds, kind in ((3, EventType.DELIVERED), (1, EventType.DEFERRED), (2, EventType.SENT)):
        DeliveryEvent.objects.create(delivery=delivery, type=kind, at=now + timedelta(seconds=seconds), provider="p")

    story = api.get(f"notifications/{sent}/").json()

    assert (story["recipient"], story["category"], story["template"], story["template_version"]) == (
        "user-42",
        "orders",
        "order-shipped",
        1,
    )
    assert (story["data"], story["metadata"]) == ({"order": "A-1"}, {"ref": 1})
    [email] = [one for one in story["deliveries"] if one["channel"] == "email"]
    assert [event["type"] for event in email["timeline"]] == ["accepted", "deferred", "sent", "delivered"]
    assert email["timeline"][0]["at"] == email["created_at"]


def test_a_skip_is_told_with_its_reason(api: Api) -> None:
    factories.recipient("user-42", email="")
    factories.category("orders")
    factories.template("order-shipped")

    story = api.get(f"notifications/{send(api)}/").json()

    [email] = [one for one in story["deliveries"] if one["channel"] == "email"]
    assert (email["status"], email["skip_reason"]) == ("skipped", "no_address")
    assert [(event["type"], event["code"]) for event in email["timeline"]] == [
        ("accepted", ""),
        ("skipped", "no_address"),
    ]


def test_after_an_erasure_the_story_has_no_name_and_no_content(api: Api, shop: None) -> None:
    sent = send(api, data={"order": "A-1"})
    PreferencesService().erase("user-42")

    story = api.get(f"notifications/{sent}/").json()

    assert (story["recipient"], story["data"]) == (None, {})


def test_an_unknown_notification_is_404(api: Api) -> None:
    assert api.get("notifications/019aac5e-7c1a-7b52-9d3f-5e8f0a6c2b11/").status_code == 404


def test_every_key_reads_the_whole_installation(api: Api, shop: None) -> None:
    sent = send(api)

    assert ids(Api()) == [sent]


def test_pages_show_every_notification_once_newest_first(api: Api, shop: None) -> None:
    sent = [send(api) for _ in range(5)]

    seen, query = [], "limit=2"
    while query:
        page = api.get(f"notifications/?{query}").json()
        seen += [row["id"] for row in page["results"]]
        query = f"limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""

    assert seen == sent[::-1]


def test_filters_narrow_the_list(api: Api, shop: None) -> None:
    factories.recipient("user-43")
    factories.category("offers")
    other_key = Api()
    plain = send(api)
    theirs = send(api, "user-43")
    offer = send(api, category="offers", priority="low")
    inline = send(other_key, template=None, content={"title": "a", "body": "b"})
    Delivery.objects.filter(notification_id=plain, channel="sms").update(status="failed")

    assert ids(api, "recipient=user-43") == [theirs]
    assert ids(api, "category=offers") == [offer]
    assert ids(api, "priority=low") == [offer]
    assert ids(api, "template=order-shipped") == [offer, theirs, plain]
    assert ids(api, f"source=api:{other_key.key.prefix}") == [inline]
    assert ids(api, "status=failed") == [plain]
    assert ids(api, "recipient=user-42&category=orders&status=queued") == [inline, plain]
    assert ids(api, "recipient=nobody") == []
    assert ids(api, "category=none") == []


def test_times_are_ranges_of_ids(api: Api, shop: None) -> None:
    sent = send(api)
    at = api.get(f"notifications/{sent}/").json()["created_at"].replace("+", "%2B")

    assert ids(api, "created_before=2026-01-01T00:00:00Z") == []
    assert ids(api, "created_after=2026-01-01T00:00:00Z") == [sent]
    assert ids(api, f"created_before={at}") in ([], [sent])  # the id is made a moment before the row's time
    assert ids(api, "created_after=2099-01-01T00:00:00%2B02:00") == []


def test_a_list_takes_the_same_queries_however_long(api: Api, shop: None) -> None:
    def queries(limit: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(ids(api, f"limit={limit}")) == limit
        return len(captured)

    for _ in range(6):
        send(api)
    assert queries(6) == queries(1)


def test_a_list_counts_nothing(api: Api, shop: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        ids(api, "category=orders")

    assert not any("COUNT(" in query["sql"].upper() for query in captured)


@pytest.mark.parametrize("limit", ["0", "101", "all"])
def test_a_page_is_bounded(api: Api, limit: str) -> None:
    assert codes(api.get(f"notifications/?limit={limit}")) == {"limit": "range"}


def test_a_misspelt_filter_is_refused(api: Api) -> None:
    assert codes(api.get("notifications/?recipent=user-42")) == {"recipent": "unknown_field"}


def test_a_read_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(StatementTooSlow):
        with bounded(50), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")


def test_a_list_that_takes_too_long_says_how_to_narrow_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr("notifications.api.notifications.LIST_TIMEOUT_MS", 50)
    monkeypatch.setattr("notifications.selectors.matching", slow)

    assert codes(api.get("notifications/?category=orders")) == {"created_after": "too_broad"}
