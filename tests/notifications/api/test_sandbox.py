"""The sandbox over the API, from a change of the weather to the calls that came in."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from core import ids
from notifications import registry
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import Delivery, OutboxMessage, SandboxState, SimulatedCall
from notifications.worker import Worker
from preferences.models import Preference
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(db: None) -> Api:
    """A service under test, with a test key of all scopes."""
    return Api(mode="test")


def provider(api: Api, name: str = "simulated_email") -> dict[str, Any]:
    return api.get(f"sandbox/{name}/").json()  # type: ignore[no-any-return]


class TestWhoMay:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "sandbox/"),
            ("GET", "sandbox/simulated_email/"),
            ("PUT", "sandbox/simulated_email/"),
            ("PATCH", "sandbox/simulated_email/"),
            ("DELETE", "sandbox/simulated_email/"),
            ("GET", "sandbox/calls/"),
        ],
    )
    def test_a_live_key_is_told_why_not(self, db: None, method: str, path: str) -> None:
        answer = Api(mode="live").call(method, path, {"outage": True} if method in {"PUT", "PATCH"} else None)

        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:carillon:problem:test-key-needed"  # type: ignore[attr-defined]
        assert "this key is live" in answer.json()["detail"]  # type: ignore[attr-defined]
        assert not SandboxState.objects.exists()

    def test_changing_needs_the_scope_to_write(self, db: None) -> None:
        reader = Api(mode="test", scopes=["notifications:read"])

        assert reader.get("sandbox/").status_code == 200
        assert reader.put("sandbox/simulated_email/", {"outage": True}).status_code == 403
        assert reader.delete("sandbox/simulated_email/").status_code == 403

    def test_nobody_is_nobody(self, client: Any) -> None:
        assert client.get("/api/v1/sandbox/").status_code == 401


class TestProviders:
    def test_every_simulated_provider_is_listed_and_no_other(self, api: Api, settings: Any) -> None:
        names = [one["name"] for one in api.get("sandbox/").json()["results"]]

        assert set(settings.TEST_PROVIDERS.values()) <= set(names)
        assert "feed" not in names
        assert "journal" not in str(api.get("sandbox/").json())

    def test_it_says_which_live_traffic_it_gets(self, api: Api, settings: Any) -> None:
        settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "email": ["feed"], "sms": ["feed", "simulated_sms"]}

        assert provider(api)["channels"] == ["email"]
        assert provider(api)["live_channels"] == []
        assert provider(api, "simulated_sms")["live_channels"] == ["sms"]

    def test_it_says_how_test_traffic_is_treated_and_what_of_it_was_set(self, api: Api) -> None:
        assert provider(api)["options"]["success_rate"] == 1
        assert (provider(api)["overridden"], provider(api)["by"], provider(api)["at"]) == ({}, None, None)

        shown = api.put("sandbox/simulated_email/", {"temporary_rate": 0.25, "latency_ms": 10}).json()

        assert shown == provider(api)
        assert shown["overridden"] == {"temporary_rate": 0.25, "latency_ms": 10}
        assert (shown["options"]["temporary_rate"], shown["options"]["success_rate"]) == (0.25, 0.75)
        assert shown["by"] == f"api:{api.key.prefix}"

    def test_put_replaces_and_patch_changes_and_null_goes_back(self, api: Api) -> None:
        api.put("sandbox/simulated_email/", {"outage": True, "latency_ms": 10})
        assert api.patch("sandbox/simulated_email/", {"latency_ms": None, "invalid_rate": 1}).status_code == 200
        assert provider(api)["overridden"] == {"outage": True, "invalid_rate": 1}

        api.put("sandbox/simulated_email/", {"timeout_rate": 1})
        assert provider(api)["overridden"] == {"timeout_rate": 1}

    def test_nothing_left_to_say_is_as_the_settings_say(self, api: Api) -> None:
        api.put("sandbox/simulated_email/", {"outage": True})
        api.patch("sandbox/simulated_email/", {"outage": None})
        assert provider(api)["at"] is None

        api.put("sandbox/simulated_email/", {"outage": True})
        assert api.delete("sandbox/simulated_email/").status_code == 204
        assert provider(api)["overridden"] == {}
        assert not SandboxState.objects.exists()

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"outrage": True}, {"/outrage": "unknown_field"}),
            ({"journal": "/etc/passwd"}, {"/journal": "unknown_field"}),
            ({"success_rate": 1.5}, {"/success_rate": "range"}),
            ({"latency_ms": -1, "outage": "yes"}, {"/latency_ms": "range", "/outage": "type"}),
            ({"latency_ms": 1e9}, {"/latency_ms": "range"}),
            ({"temporary_rate": 0.6, "invalid_rate": 0.6}, {"/temporary_rate": "range", "/invalid_rate": "range"}),
            ({"bounce_rate": 0.6, "complaint_rate": 0.6}, {"/bounce_rate": "range", "/complaint_rate": "range"}),
            ({"throttle_retry_after": "30\r\nX-Evil: 1"}, {"/throttle_retry_after": "invalid"}),
            ({"throttle_retry_after": "3" * 101}, {"/throttle_retry_after": "length"}),
            ({"outage": None}, {"/outage": "type"}),
            ([], {"": "type"}),
        ],
    )
    def test_what_makes_no_sense_is_refused_at_its_place(self, api: Api, body: Any, expected: dict[str, str]) -> None:
        assert codes(api.put("sandbox/simulated_email/", body)) == expected
        assert not SandboxState.objects.exists()

    def test_what_makes_no_sense_together_with_what_was_set_is_refused(self, api: Api) -> None:
        api.put("sandbox/simulated_email/", {"temporary_rate": 0.6})

        answer = api.patch("sandbox/simulated_email/", {"invalid_rate": 0.6})

        assert codes(answer) == {"/temporary_rate": "range", "/invalid_rate": "range"}
        assert "Temporary failures 0.6, Invalid addresses or tokens 0.6" in answer.json()["errors"][0]["detail"]  # type: ignore[attr-defined]
        assert provider(api)["overridden"] == {"temporary_rate": 0.6}

    @pytest.mark.parametrize("name", ["nobody", "feed", "calls"])
    def test_an_unknown_or_real_provider_is_404(self, api: Api, name: str) -> None:
        for method in ("put", "patch"):
            assert getattr(api, method)(f"sandbox/{name}/", {}).status_code == (405 if name == "calls" else 404)
        if name != "calls":
            assert api.get(f"sandbox/{name}/").status_code == 404
            assert api.delete(f"sandbox/{name}/").status_code == 404

    def test_what_another_version_wrote_is_as_if_it_were_not_there(self, api: Api) -> None:
        SandboxState.objects.create(provider="simulated_email", options={"moon": "full"})

        assert provider(api)["overridden"] == {}
        assert api.patch("sandbox/simulated_email/", {"outage": True}).json()["overridden"] == {"outage": True}


@pytest.mark.usefixtures("no_calls")
class TestCalls:
    def call(self, **fields: Any) -> SimulatedCall:
        values = {
            "provider": "simulated_email",
            "delivery_id": ids.uuid7(),
            "recipient_id": ids.uuid7(),
            "attempt": 1,
            "is_test": True,
            "address": "ada@example.com",
            "category": "orders",
            "content": {"subject": "Hello"},
            "outcome": "accepted",
        }
        return SimulatedCall.objects.create(**{**values, **fields})

    def shown(self, api: Api, query: str = "") -> list[str]:
        return [one["id"] for one in api.get(f"sandbox/calls/?{query}").json()["results"]]

    def test_they_come_newest_first_in_pages(self, api: Api) -> None:
        made = [str(self.call().id) for _ in range(5)][::-1]

        first = api.get("sandbox/calls/?limit=3").json()
        second = api.get(f"sandbox/calls/?limit=3&cursor={first['next_cursor']}").json()

        assert [one["id"] for one in first["results"] + second["results"]] == made
        assert second["next_cursor"] is None

    def test_each_filter_narrows(self, api: Api) -> None:
        ada = factories.recipient("ada")
        one = self.call(recipient_id=ada.pk)
        two = self.call(provider="simulated_sms", outcome="throttled", retry_after=30)

        assert self.shown(api, f"delivery={one.delivery_id}") == [str(one.id)]
        assert self.shown(api, "recipient=ada") == [str(one.id)]
        assert self.shown(api, "recipient=nobody") == []
        assert self.shown(api, "provider=simulated_sms") == [str(two.id)]
        assert self.shown(api, "outcome=throttled&provider=simulated_sms") == [str(two.id)]
        assert self.shown(api, "outcome=throttled&provider=simulated_email") == []

    def test_what_live_keys_sent_is_not_shown(self, api: Api) -> None:
        live = self.call(is_test=False)

        assert self.shown(api) == []
        assert self.shown(api, f"delivery={live.delivery_id}") == []

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("delivery=x", "delivery"),
            ("recipient=", "recipient"),
            ("status=sent", "status"),
            ("outcome=" + "x" * 33, "outcome"),
            ("limit=0", "limit"),
            ("cursor=%25", "cursor"),
        ],
    )
    def test_a_bad_parameter_is_named(self, api: Api, query: str, parameter: str) -> None:
        assert list(codes(api.get(f"sandbox/calls/?{query}"))) == [parameter]

    def test_hostile_text_finds_nothing_or_is_refused(self, api: Api) -> None:
        for name in ("recipient", "provider", "outcome"):
            assert api.get(f"sandbox/calls/?{name}=%00").status_code in {200, 400, 422}


@pytest.mark.django_db(transaction=True)
def test_a_notification_waits_out_an_outage_and_every_call_can_be_read(settings: Any) -> None:
    # Given a service under test, somebody to reach, and an outage of email set at run time
    api = Api(mode="test")
    factories.recipient("user-42", email="ada@example.com")
    factories.category("orders")
    settings.PROVIDERS = {**settings.PROVIDERS, "simulated_email": _QUICK}
    registry.provider.cache_clear()
    assert api.put("sandbox/simulated_email/", {"outage": True}).status_code == 200
    content = {"email": {"subject": "Order 4711", "text": "It has left.\nThank you."}}
    draft = {"recipient": "user-42", "category": "orders", "content": content, "channels": ["email"]}
    # When it sends
    assert api.post("notifications/", draft).status_code == 202
    work()
    # Then the delivery is not lost: it waits
    delivery = Delivery.objects.get()
    assert delivery.status == "queued"
    # When the weather is calm again
    assert api.delete("sandbox/simulated_email/").status_code == 204
    work()
    # Then it is sent, and both calls are to be read as they came in
    delivery.refresh_from_db()
    assert delivery.status == "sent"
    sent, refused = api.get(f"sandbox/calls/?delivery={delivery.pk}").json()["results"]
    assert [refused["outcome"], sent["outcome"]] == ["unavailable", "accepted"]
    for call in (sent, refused):
        assert (call["provider"], call["recipient"], call["address"]) == (
            "simulated_email",
            "user-42",
            "ada@example.com",
        )
        assert (call["category"], call["content"]) == ("orders", content["email"])


@pytest.mark.django_db(transaction=True)
def test_the_button_of_mail_programs_can_be_read_and_pressed(settings: Any) -> None:
    # Given marketing that was sent with a test key
    api, ada = Api(mode="test"), factories.recipient("user-42", email="ada@example.com")
    factories.category("offers", purpose="marketing")
    settings.PROVIDERS = {**settings.PROVIDERS, "simulated_email": _QUICK}
    registry.provider.cache_clear()
    content = {"email": {"subject": "20 percent off", "text": "Until Sunday."}}
    draft = {"recipient": "user-42", "category": "offers", "content": content, "channels": ["email"]}
    assert api.post("notifications/", draft).status_code == 202
    work()
    # When its button is pressed as it came in
    [call] = api.get("sandbox/calls/?recipient=user-42").json()["results"]
    assert call["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = urlsplit(call["headers"]["List-Unsubscribe"].strip("<>")).path
    assert Client().post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    # Then that kind has stopped
    assert not Preference.objects.get(recipient=ada, category__slug="offers", channel="email").enabled


_QUICK = {"class": "notifications.providers.simulated.SimulatedProvider", "options": {}}


def work() -> None:
    """Take what is in the outbox now, however long it was to wait."""
    OutboxMessage.objects.update(due_at=timezone.now())
    for row in OutboxMessage.objects.all():
        row.delete()
        assert Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids)) is Verdict.DONE
