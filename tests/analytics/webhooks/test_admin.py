"""Webhooks in the admin: endpoints are made, tried, switched and deleted; the log is read, and told again from."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics.webhooks import endpoints
from analytics.webhooks.endpoints import EndpointRefused, Wishes
from analytics.webhooks.listener import schedule
from analytics.webhooks.models import WebhookEndpoint, WebhookMessage
from core.ids import uuid7
from notifications.models import ApiKey, OutboxMessage
from tests import factories
from tests.admin import page, signed_in, webhook
from tests.analytics.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db

URL = "https://shop.example/hooks"


def new(key: ApiKey, **fields: Any) -> dict[str, Any]:
    return {"url": URL, "description": "Shop", "keys": [key.pk], "events": ["failed", "dead"], **fields}


def act(client: Any, row: Any, name: str) -> Any:
    return client.post(page(row, name), {"confirmed": "1"}, follow=True)


def test_an_endpoint_is_made_and_its_secret_is_shown_once(key: ApiKey) -> None:
    client = signed_in(may="everything")

    shown = client.post(page(WebhookEndpoint, "add"), new(key))

    made = WebhookEndpoint.objects.get()
    [secret] = made.secrets
    assert secret in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert (made.url, list(made.keys.all()), made.events) == (URL, [key], ["failed", "dead"])
    for address in (page(made), page(WebhookEndpoint), page(made, "history")):
        assert secret not in client.get(address).content.decode()
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())


@pytest.mark.parametrize(
    ("field", "value"),
    [("url", "ftp://shop.example/"), ("url", "http://10.0.0.1/"), ("url", ""), ("keys", []), ("events", ["held"])],
)
def test_a_bad_value_makes_none(key: ApiKey, field: str, value: Any) -> None:
    answer = signed_in(may="everything").post(page(WebhookEndpoint, "add"), new(key, **{field: value}))

    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not WebhookEndpoint.objects.exists()


def test_a_limit_that_a_colleague_reached_first_is_told(key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(wishes: Wishes, *, keys: list[ApiKey]) -> WebhookEndpoint:
        raise EndpointRefused("keys", "too_many", "This key has 20 endpoints.")

    monkeypatch.setattr(endpoints, "create", reached)

    answer = signed_in(may="everything").post(page(WebhookEndpoint, "add"), new(key), follow=True)

    assert "Nothing was saved. This key has 20 endpoints." in answer.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_live_and_test_keys_do_not_share_one(key: ApiKey) -> None:
    test, _ = factories.api_key(mode="test")
    answer = signed_in(may="everything").post(page(WebhookEndpoint, "add"), new(key, keys=[key.pk, test.pk]))
    assert "keys" in answer.context["adminform"].form.errors


def test_a_change_reaches_what_the_form_shows_and_keeps_the_secret(endpoint: WebhookEndpoint, key: ApiKey) -> None:
    other, _ = factories.api_key()

    signed_in(may="everything").post(page(endpoint), new(key, url=URL + "/2", keys=[key.pk, other.pk], events=[]))

    changed = WebhookEndpoint.objects.get()
    assert (changed.url, set(changed.keys.all()), changed.events) == (URL + "/2", {key, other}, [])
    assert changed.secrets == endpoint.secrets


def test_a_test_leads_to_what_it_answered(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Callable[[], Any]
) -> None:
    client = signed_in(may="everything")
    receiver.status, receiver.body = 404, b"<h1>No such hook</h1>"

    asked = act(client, endpoint, "send_test")
    assert asked.redirect_chain[0][0] == page(WebhookMessage.objects.get())
    work()

    shown = client.get(page(WebhookMessage.objects.get())).content.decode()
    assert "404" in shown
    assert "&lt;h1&gt;No such hook&lt;/h1&gt;" in shown
    assert "It will be tried again." in shown


def test_it_is_switched_off_and_on_by_hand(endpoint: WebhookEndpoint) -> None:
    client = signed_in(may="everything")

    act(client, endpoint, "switch")
    endpoint.refresh_from_db()
    assert (endpoint.is_on, endpoint.off_reason) == (False, "by_hand")

    act(client, endpoint, "switch")
    endpoint.refresh_from_db()
    assert (endpoint.is_on, endpoint.off_reason) == (True, "")


def test_why_it_is_off_is_said(endpoint: WebhookEndpoint) -> None:
    from django.utils import timezone

    WebhookEndpoint.objects.update(is_on=False, off_reason="gone", off_at=timezone.now())
    assert "410 Gone" in signed_in(may="view").get(page(endpoint)).content.decode()


def test_a_new_secret_is_shown_and_the_old_one_signs_on(endpoint: WebhookEndpoint) -> None:
    shown = act(signed_in(may="everything"), endpoint, "rotate")

    old = endpoint.secrets
    endpoint.refresh_from_db()
    assert endpoint.secrets[1:] == old
    assert endpoint.secrets[0] in shown.content.decode()


def test_what_failed_is_replayed_from_the_endpoints_page(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Callable[[], Any]
) -> None:
    for _ in range(3):
        WebhookMessage.objects.create(endpoint=endpoint, type="test", status="failed", attempts=8)

    act(signed_in(may="everything"), endpoint, "replay_failed")
    work()

    assert len(receiver.received) == 3
    assert set(WebhookMessage.objects.values_list("status", "replayed_by")) == {("delivered", "user-everything")}


def test_one_message_and_ticked_ones_are_replayed(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Callable[[], Any]
) -> None:
    client = signed_in(may="everything")
    rows = [WebhookMessage.objects.create(endpoint=endpoint, type="test", status="failed") for _ in range(3)]

    act(client, rows[0], "replay_one")
    ticked = {"action": "replay", "_selected_action": [str(row.pk) for row in rows[1:]], "confirmed": "1"}
    client.post(page(WebhookMessage), ticked)
    work()

    assert len(receiver.received) == 3


def test_a_deleted_endpoint_is_seen_no_more(endpoint: WebhookEndpoint) -> None:
    client = signed_in(may="everything")

    act(client, endpoint, "remove")

    assert client.get(page(endpoint)).status_code == 404
    assert not WebhookEndpoint.objects.get().is_on


@pytest.mark.parametrize("name", ["send_test", "switch", "rotate", "replay_failed", "remove"])
def test_who_may_only_look_changes_nothing(endpoint: WebhookEndpoint, name: str) -> None:
    before = WebhookEndpoint.objects.values().get()

    assert act(signed_in(may="view"), endpoint, name).status_code == 403

    assert WebhookEndpoint.objects.values().get() == before
    assert not WebhookMessage.objects.exists()


def test_a_question_comes_first(endpoint: WebhookEndpoint) -> None:
    asked = signed_in(may="everything").get(page(endpoint, "switch")).content.decode()
    assert "Switch it off?" in asked
    endpoint.refresh_from_db()
    assert endpoint.is_on


def test_the_log_is_narrowed_to_an_endpoint() -> None:
    mine, other = webhook(), webhook()
    shown = signed_in(may="view").get(page(WebhookMessage), {"endpoint__id__exact": str(mine.endpoint_id)})
    assert str(mine.pk) in shown.content.decode()
    assert str(other.pk) not in shown.content.decode()


def test_the_log_asks_as_much_for_many_rows_as_for_one(endpoint: WebhookEndpoint) -> None:
    client, asked = signed_in(may="view"), []
    for _ in (1, 2):
        WebhookMessage.objects.create(endpoint=endpoint, type="test")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(page(WebhookMessage))
            client.get(page(WebhookEndpoint))
        asked.append(len(queries))
    assert asked[0] == asked[1]


def test_the_outbox_shows_the_lane(endpoint: WebhookEndpoint) -> None:
    schedule([uuid7().bytes])
    client = signed_in(may="everything")

    assert "Webhook · Normal" in client.get(page(OutboxMessage)).content.decode()
    assert client.get(page(OutboxMessage.objects.get())).status_code == 200


def test_the_pages_are_in_the_sidebar() -> None:
    shown = signed_in(may="view").get(reverse("admin:index")).content.decode()
    assert page(WebhookEndpoint) in shown
    assert page(WebhookMessage) in shown
