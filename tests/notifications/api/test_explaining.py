"""POST notifications/explain/: what a caller learns, and that nothing happens."""

from typing import Any

import pytest
from django.conf import settings

from notifications.models import Delivery, DeliveryEvent, Notification, OutboxMessage
from notifications.models.api_key import Scope
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api

pytestmark = pytest.mark.django_db

DRAFT = {"recipient": "user-42", "category": "orders", "template": "order-shipped", "data": {"order": "A-1"}}


def explain(api: Api, **change: Any) -> dict[str, Any]:
    answer = api.post("notifications/explain/", {**DRAFT, **change})
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = answer.json()
    return told


def by_channel(told: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["channel"]: (one["outcome"], one["code"]) for one in told["today"]["channels"]}


def test_a_draft_that_would_go_out_is_told_channel_by_channel(api: Api, shop: None) -> None:
    told = explain(api)

    assert told["happened"] is None
    assert told["today"]["outcome"] == "pass"
    assert told["today"]["says"] == "It goes out now by Push, Email, SMS and In-app."
    assert [gate["gate"] for gate in told["today"]["gates"]] == ["recipient", "category", "content"]
    email = next(one for one in told["today"]["channels"] if one["channel"] == "email")
    assert email["provider"] == "simulated_email"
    assert email["addresses"] == ["u•••@example.com"]
    assert [gate["gate"] for gate in email["gates"]] == [
        "preference", "suppression", "address", "duplicate", "schedule", "quiet_hours", "recipient_limit",
        "frequency_cap", "wording", "provider", "provider", "chain",
    ]  # fmt: skip


def test_nothing_is_on_the_record_afterwards(api: Api, shop: None) -> None:
    explain(api)

    for model in (Notification, Delivery, DeliveryEvent, OutboxMessage):
        assert not model.objects.exists()


def test_what_is_not_sent_names_the_gate_and_the_row_that_decided(api: Api, shop: None) -> None:
    person = factories.recipient("bob", phone="")
    word = factories.preference(person, "email")

    told = explain(api, recipient="bob")

    assert by_channel(told)["email"] == ("skip", "opted_out")
    assert by_channel(told)["sms"] == ("skip", "no_address")
    email = next(one for one in told["today"]["channels"] if one["channel"] == "email")
    decided = next(gate for gate in email["gates"] if gate["verdict"] == "skip")
    assert decided["gate"] == "preference"
    assert {"store": "postgresql", "name": "preferences_preference", "id": str(word.pk)} in decided["sources"]
    assert "They said no to any message by Email." in told["today"]["says"]


def test_a_draft_that_would_be_refused_is_explained_and_not_refused(api: Api, shop: None) -> None:
    told = explain(api, recipient="nobody", category="nothing")

    assert told["today"]["outcome"] == "refuse"
    assert told["today"]["channels"] == []
    assert {gate["gate"]: gate["code"] for gate in told["today"]["gates"]} == {
        "recipient": "unknown",
        "category": "unknown",
    }


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/recipient", "/category"}),
        ({**DRAFT, "notification": "0192f0c1-0000-7000-8000-000000000000"}, {"/recipient", "/category", "/template",
                                                                              "/data"}),
        ({"notification": "x"}, {"/notification"}),
        ({"notification": "0192f0c1-0000-7000-8000-000000000000"}, {"/notification"}),
        ([], {""}),
    ],
)  # fmt: skip
def test_a_body_of_the_wrong_shape_is_422_with_its_places(api: Api, body: Any, pointers: set[str]) -> None:
    answer = api.post("notifications/explain/", body)

    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == pointers


def test_reading_is_enough_and_sending_is_not(shop: None) -> None:
    reader, sender = Api(scopes=[Scope.NOTIFICATIONS_READ]), Api(scopes=[Scope.NOTIFICATIONS_WRITE])

    assert reader.post("notifications/explain/", DRAFT).status_code == 200
    assert sender.post("notifications/explain/", DRAFT).status_code == 403


def test_a_test_key_s_draft_is_told_as_test_traffic(shop: None) -> None:
    told = explain(Api(mode="test"))

    assert told["today"]["is_test"] is True
    providers = {one["channel"]: one["provider"] for one in told["today"]["channels"]}
    assert providers == settings.TEST_PROVIDERS


def test_after_the_fact_the_record_comes_first_and_then_today(api: Api, shop: None) -> None:
    factories.recipient("bob", phone="", devices=0)
    sent = api.post("notifications/", {**DRAFT, "recipient": "bob"}).json()["id"]
    PreferencesService().suppress("email", "bob@example.com", "complaint")

    told = api.post("notifications/explain/", {"notification": sent}).json()

    assert told["happened"]["recipient"] == "bob"
    fates = {one["channel"]: (one["status"], one["code"]) for one in told["happened"]["deliveries"]}
    assert fates["sms"] == ("skipped", "no_address")
    assert fates["email"] == ("queued", "")
    assert by_channel(told)["email"] == ("skip", "suppressed")


def test_after_the_fact_a_notification_is_not_its_own_duplicate(api: Api, shop: None) -> None:
    factories.category("orders", dedup_seconds=300)
    sent = api.post("notifications/", {**DRAFT, "dedup_key": "once"}).json()["id"]

    told = api.post("notifications/explain/", {"notification": sent}).json()

    assert set(by_channel(told).values()) == {("pass", "")}
    assert set(by_channel(explain(api, dedup_key="once")).values()) == {("skip", "duplicate")}


def test_after_an_erasure_the_record_is_told_and_nobody_is_named(api: Api, shop: None) -> None:
    sent = api.post("notifications/", DRAFT).json()["id"]
    PreferencesService().erase("user-42")

    told = api.post("notifications/explain/", {"notification": sent}).json()

    assert told["happened"]["recipient"] is None
    assert told["today"]["outcome"] == "refuse"
    assert "user-42" not in str(told)
