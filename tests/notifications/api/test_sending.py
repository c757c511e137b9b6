from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications.errors import DraftsRejected
from notifications.models import Delivery, Notification, OutboxMessage
from notifications.models.api_key import KeyMode
from notifications.services import notify
from tests import factories
from tests.api import Api, codes, pointers

pytestmark = pytest.mark.django_db

ORDER = {"recipient": "user-42", "category": "orders", "template": "order-shipped", "data": {"order": "A-1"}}
INLINE = {"recipient": "user-42", "category": "orders", "content": {"title": "Hello", "body": "There"}}


def test_one_notification_is_on_the_record_with_its_work_in_the_outbox(api: Api, shop: None) -> None:
    response = api.post("notifications/", {**ORDER, "metadata": {"ref": 7}})

    assert response.status_code == 202
    answer = response.json()
    row = Notification.objects.get()
    assert answer == {
        "id": str(row.id),
        "deliveries": 4,
        "skipped": 0,
        "url": f"/api/v1/notifications/{row.id}/",
        "duplicate_of": None,
    }
    assert (row.source, row.is_test, row.metadata) == (f"api:{api.key.prefix}", False, {"ref": 7})
    assert sum(len(message.delivery_ids) for message in OutboxMessage.objects.all()) == 4


def test_a_test_key_marks_what_it_sends(shop: None) -> None:
    Api(mode=KeyMode.TEST).post("notifications/", ORDER)

    assert Notification.objects.get().is_test


def test_what_cannot_be_sent_is_skipped_and_on_the_record(api: Api) -> None:
    factories.recipient("user-42", devices=0, phone="")
    factories.category("orders")

    answer = api.post("notifications/", INLINE).json()

    assert (answer["deliveries"], answer["skipped"]) == (2, 2)
    skipped = Delivery.objects.filter(status="skipped").values_list("channel", "skip_reason")
    assert set(skipped) == {("push", "no_address"), ("sms", "no_address")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"recipient": "nobody"}, {"/recipient": "unknown"}),
        ({"category": "none"}, {"/category": "unknown"}),
        ({"template": "none"}, {"/template": "unknown"}),
        ({"content": {"title": "x", "body": "y"}}, {"/template": "one_of"}),
        ({"priority": "urgent"}, {"/priority": "invalid"}),
        ({"channels": ["push", "fax"]}, {"/channels/1": "invalid"}),
        ({"channels": []}, {"/channels": "length"}),
        ({"send_at": "2027-01-01"}, {"/send_at": "invalid"}),
        ({"send_at": "2027-01-01T00:00:00"}, {"/send_at": "naive"}),
        ({"send_at": "9999-01-01T00:00:00Z"}, {"/send_at": "too_far"}),
        ({"send_at": "0001-01-01T00:00:00+14:00"}, {"/send_at": "invalid"}),
        ({"send_at": "9999-12-31T23:59:59-14:00"}, {"/send_at": "invalid"}),
        ({"send_at": "0001-01-01T00:00:00Z"}, {"/send_at": "too_old"}),
        ({"send_at": "2020-01-01T00:00:00Z"}, {"/send_at": "too_old"}),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, {"/expires_at": "invalid"}),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, {"/expires_at": "invalid"}),
        ({"data": {"a": ["x\x00"]}}, {"/data/a/0": "nul_character"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at": "too_early"}),
        ({"data": {"text": "x" * 40_000}}, {"/data": "too_large"}),
        ({"metadata": "text"}, {"/metadata": "type"}),
        ({"dedup_key": "x" * 129}, {"/dedup_key": "length"}),
        ({"recipient": "x" * 129}, {"/recipient": "length"}),
        ({"recipient": 42}, {"/recipient": "type"}),
        ({"colour": "red"}, {"/colour": "unknown_field"}),
    ],
)
def test_a_fault_is_422_with_its_pointer(
    api: Api, shop: None, change: dict[str, Any], expected: dict[str, str]
) -> None:
    response = api.post("notifications/", {**ORDER, **change})

    assert codes(response) == expected
    assert not Notification.objects.exists()


def test_a_scheduled_notification_waits_in_the_outbox(api: Api, shop: None) -> None:
    later = timezone.now() + timedelta(days=1)

    api.post("notifications/", {**ORDER, "send_at": later.isoformat()})

    assert all(abs(message.due_at - later) < timedelta(seconds=1) for message in OutboxMessage.objects.all())


def test_a_bulk_call_answers_item_by_item_in_order(api: Api, shop: None) -> None:
    factories.recipient("user-43")

    response = api.post("notifications/bulk/", {"notifications": [ORDER, {**ORDER, "recipient": "user-43"}]})

    assert response.status_code == 202
    sent_to = [
        Notification.objects.select_related("recipient").get(pk=item["id"]).recipient.external_id
        for item in response.json()["notifications"]
    ]
    assert sent_to == ["user-42", "user-43"]


def test_a_bulk_call_with_a_fault_accepts_nothing_and_points_at_each(api: Api, shop: None) -> None:
    items = [ORDER, {**ORDER, "recipient": "nobody"}, ORDER, {**ORDER, "category": "none"}]

    response = api.post("notifications/bulk/", {"notifications": items})

    assert pointers(response) == ["/notifications/1/recipient", "/notifications/3/category"]
    assert not Notification.objects.exists()


def test_a_bulk_call_points_at_items_of_the_wrong_shape(api: Api, shop: None) -> None:
    response = api.post("notifications/bulk/", {"notifications": [ORDER, 7, {"recipient": "user-42"}]})

    assert pointers(response) == ["/notifications/1", "/notifications/2/category"]


@pytest.mark.parametrize("count", [0, 1001])
def test_a_bulk_call_takes_1_to_1000_items(api: Api, shop: None, count: int) -> None:
    assert pointers(api.post("notifications/bulk/", {"notifications": [INLINE] * count})) == ["/notifications"]


def test_a_bulk_call_of_a_thousand_takes_no_more_queries_than_one_of_ten(api: Api, shop: None) -> None:
    factories.recipients(1000)

    def queries(count: int) -> int:
        items = [{**ORDER, "recipient": f"person-{n}"} for n in range(count)]
        with CaptureQueriesContext(connection) as captured:
            assert api.post("notifications/bulk/", {"notifications": items}).status_code == 202
        return len(captured)

    queries(10)  # fills the process's caches of categories and templates
    assert queries(1000) <= queries(10) + 2  # the two that read recipients who are not cached yet


def test_a_duplicate_is_accepted_and_says_of_what(api: Api, shop: None) -> None:
    factories.category("orders", dedup_seconds=300)
    first = api.post("notifications/", ORDER).json()

    again = api.post("notifications/", ORDER)

    assert again.status_code == 202
    assert first["duplicate_of"] is None
    assert (again.json()["deliveries"], again.json()["duplicate_of"]) == (0, first["id"])
    told = api.get(f"notifications/{again.json()['id']}/").json()
    assert told["duplicate_of"] == first["id"]
    assert {delivery["skip_reason"] for delivery in told["deliveries"]} == {"duplicate"}


def test_a_bulk_call_names_the_duplicates_among_its_items(api: Api, shop: None) -> None:
    factories.category("orders", dedup_seconds=300)

    items = api.post("notifications/bulk/", {"notifications": [ORDER, ORDER]}).json()["notifications"]

    assert [item["duplicate_of"] for item in items] == [None, items[0]["id"]]


def test_cancelling_stops_what_has_not_left(api: Api, shop: None) -> None:
    sent = api.post("notifications/", ORDER).json()

    response = api.post(f"notifications/{sent['id']}/cancel/")

    assert (response.status_code, response.json()["cancelled"]) == (200, 4)
    assert api.post(f"notifications/{sent['id']}/cancel/").status_code == 409


def test_what_has_left_cannot_be_cancelled(api: Api, shop: None) -> None:
    sent = api.post("notifications/", ORDER).json()
    Delivery.objects.update(status="sent")

    response = api.post(f"notifications/{sent['id']}/cancel/")

    assert response.status_code == 409
    assert response.json()["type"] == "urn:carillon:problem:conflict"


@pytest.mark.parametrize(
    "unknown",
    [
        "019aac5e-7c1a-7b52-9d3f-5e8f0a6c2b11",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",  # at random, as whoever makes ids of their own has them
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_what_is_not_there_cannot_be_cancelled(api: Api, unknown: str) -> None:
    assert api.post(f"notifications/{unknown}/cancel/").status_code == 404


def test_a_time_to_send_that_has_just_passed_is_now(api: Api, shop: None) -> None:
    earlier = timezone.now() - timedelta(hours=23)

    assert api.post("notifications/", {**ORDER, "send_at": earlier.isoformat()}).status_code == 202

    assert api.get("notifications/").json()["results"][0]["send_at"]


@pytest.mark.parametrize("text", ["C:\\u0000dir", "\\\\u0000", "\\u0000"])
def test_text_that_only_looks_like_a_nul_is_text(api: Api, shop: None, text: str) -> None:
    response = api.post("notifications/", {**ORDER, "data": {"order": text}, "metadata": {text: [text]}})

    assert response.status_code == 202, response.content
    row = Notification.objects.get()
    assert (row.data, row.metadata) == ({"order": text}, {text: [text]})


@pytest.mark.parametrize("value", [{"a": "x\x00"}, {"a\x00": 1}, {"a": [{"b": ("\x00",)}]}])
def test_a_nul_from_within_the_process_is_refused(shop: None, value: dict[str, Any]) -> None:
    with pytest.raises(DraftsRejected) as caught:
        notify(recipient="user-42", category="orders", template="order-shipped", data=value)

    assert [error.pointer for error in caught.value.errors[0]] == ["/data"]
