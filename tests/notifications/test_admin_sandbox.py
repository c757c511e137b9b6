"""The sandbox in the admin: weather by a click or by the form, whom it touches, and what came in."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core import ids
from notifications.admin import sandbox_words
from notifications.admin.sandbox_form import GROUPS
from notifications.models import SandboxState, SimulatedCall
from notifications.providers.simulated_options import CHANGEABLE, Options
from notifications.services.sandbox import PRESETS, SandboxService
from tests import factories
from tests.admin import counted, page, signed_in, simulated_call

pytestmark = pytest.mark.django_db

NAME = "simulated_email"
DETAIL = "/admin/notifications/sandboxstate/simulated_email/change/"


def url(name: str, provider: str = NAME) -> str:
    return reverse(f"admin:notifications_sandboxstate_{name}", args=[provider])


def overridden(provider: str = NAME) -> dict[str, Any]:
    return dict(SandboxService().get(provider).overridden)


def body(client: Client, address: str, **query: str) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


class TestWeather:
    @pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.slug)
    def test_a_click_changes_it_and_the_page_says_so(self, preset: Any) -> None:
        client = signed_in(may="everything")

        answer = client.post(url("preset"), {"preset": preset.slug, "from": "list"}, follow=True)

        assert answer.redirect_chain[-1][0] == page(SandboxState)
        assert overridden() == preset.options
        assert "Set by user-everything" in answer.content.decode()
        assert preset.meaning.lower() in answer.content.decode()

    def test_reset_goes_back_to_the_settings(self) -> None:
        client = signed_in(may="everything")
        client.post(url("preset"), {"preset": "outage"})

        answer = client.post(url("reset"), follow=True)

        assert answer.redirect_chain[-1][0] == DETAIL
        assert overridden() == {}
        assert "As the settings say." in answer.content.decode()

    def test_who_changed_it_is_in_its_history(self) -> None:
        client = signed_in(may="everything")
        client.post(url("preset"), {"preset": "outage"})
        client.post(url("reset"))

        assert "Outage: every call is answered with 503." in body(client, url("history"))

    def test_only_a_post_of_a_known_preset_changes_anything(self) -> None:
        client = signed_in(may="everything")

        client.get(url("preset"), {"preset": "outage"})
        client.post(url("preset"), {"preset": "tornado"})
        client.post(url("preset"), {"preset": "outage"})
        client.get(url("reset"))

        assert overridden() == {"outage": True}

    def test_those_who_only_look_change_nothing(self) -> None:
        client = signed_in(may="view")

        assert client.post(url("preset"), {"preset": "outage"}).status_code == 403
        assert client.post(url("reset")).status_code == 403
        assert client.post(DETAIL, {"outage": "1"}).status_code == 403
        assert "Reset to settings" not in body(client, page(SandboxState))
        assert not SandboxState.objects.exists()

    def test_those_who_may_not_look_do_not(self) -> None:
        client = signed_in()

        assert client.get(page(SandboxState)).status_code == 403
        assert client.get(DETAIL).status_code == 403

    @pytest.mark.parametrize("name", ["feed", "nobody"])
    def test_a_real_or_unknown_provider_has_no_page(self, name: str) -> None:
        client = signed_in(may="everything")

        for address in (url("change", name), url("preset", name), url("reset", name)):
            assert client.post(address, {"preset": "outage"}).status_code == 404
        assert not SandboxState.objects.exists()


class TestForm:
    def test_it_has_a_field_for_every_option(self) -> None:
        assert sorted(name for names in GROUPS.values() for name in names) == sorted(CHANGEABLE)

    def test_what_is_filled_in_is_set_and_what_is_blank_is_as_the_settings_say(self) -> None:
        client = signed_in(may="everything")
        filled = {"outage": "0", "temporary_rate": "0.25", "throttle_retry_after": "soon", "latency_ms": "0"}

        answer = client.post(DETAIL, filled)

        assert answer.status_code == 302
        assert overridden() == {
            "outage": False,
            "temporary_rate": 0.25,
            "throttle_retry_after": "soon",
            "latency_ms": 0,
        }
        shown = client.get(DETAIL).context["form"]
        assert (shown["outage"].value(), shown["temporary_rate"].value()) == ("0", 0.25)
        assert shown["invalid_rate"].value() is None

        client.post(DETAIL, {})
        assert not SandboxState.objects.exists()

    @pytest.mark.parametrize(
        ("filled", "faulty"),
        [
            ({"temporary_rate": "1.5"}, {"temporary_rate"}),
            ({"temporary_rate": "often"}, {"temporary_rate"}),
            ({"temporary_rate": "nan"}, {"temporary_rate"}),
            ({"latency_ms": "-1", "seed": "1.5"}, {"latency_ms", "seed"}),
            ({"outage": "maybe"}, {"outage"}),
            ({"throttle_retry_after": "3\u00e9"}, {"throttle_retry_after"}),
            ({"temporary_rate": "0.6", "timeout_rate": "0.6"}, {"temporary_rate", "timeout_rate"}),
        ],
    )
    def test_a_fault_is_told_beside_its_field(self, filled: dict[str, str], faulty: set[str]) -> None:
        answer = signed_in(may="everything").post(DETAIL, filled)

        assert answer.status_code == 200
        assert set(answer.context["form"].errors) == faulty
        assert answer.content.decode().count('class="cr-field-error"') == len(faulty)
        assert not SandboxState.objects.exists()


class TestWhomItTouches:
    def chains(self, settings: Any, email: list[str]) -> None:
        settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "email": email}
        settings.PROVIDERS = {**settings.PROVIDERS, "acme": settings.PROVIDERS["feed"]}

    def sentence(self) -> str:
        return sandbox_words.reach("email", SandboxService().all()).sentence

    def test_where_live_traffic_is_real_the_page_says_that_test_keys_alone_are_affected(self, settings: Any) -> None:
        self.chains(settings, ["acme"])
        client = signed_in(may="everything")

        for address in (page(SandboxState), DETAIL):
            shown = body(client, address)
            assert "The sandbox affects test keys only. Live traffic goes to acme, which is not simulated." in shown
            assert "test keys only" in shown

    def test_where_live_traffic_is_simulated_the_page_says_that_it_reaches_nobody(self, settings: Any) -> None:
        self.chains(settings, ["simulated_email"])
        assert "no live message reaches anybody" in self.sentence()

        self.chains(settings, ["acme", "simulated_email"])
        assert self.sentence().startswith(
            "Live traffic goes to acme, then simulated_email. Of these simulated_email simulates: what it takes reaches"
            " nobody."
        )

    def test_a_provider_in_no_chain_is_shown_as_such(self, settings: Any) -> None:
        settings.PROVIDERS = {**settings.PROVIDERS, "spare": settings.PROVIDERS[NAME]}

        assert "No channel names these" in body(signed_in(may="everything"), page(SandboxState))

    def test_live_and_test_traffic_are_told_apart_where_they_differ(self, settings: Any) -> None:
        rough = {"success_rate": 0.5, "temporary_rate": 0.5}
        settings.PROVIDERS = {**settings.PROVIDERS, NAME: {**settings.PROVIDERS[NAME], "options": rough}}
        client = signed_in(may="everything")

        shown = body(client, DETAIL)

        assert "50% taken, 50% answered with 503." in shown.partition("<h3>Live traffic</h3>")[2]
        assert "Everything is taken." in shown.partition("<h3>Test keys</h3>")[2]


class TestWords:
    @pytest.mark.parametrize(
        ("options", "weather", "said"),
        [
            ({}, "Calm", ["Everything is taken.", "Answers at once.", "Reports nothing later."]),
            ({"outage": True}, "Outage", ["Every call is answered with 503.", "Answers at once."]),
            (
                {"latency_ms": 30_000, "latency_sigma": 0, "receipts": True, "bounce_rate": 0.1, "open_rate": 0.5},
                "Slow",
                [
                    "Everything is taken.",
                    "Answers after 30 s; workers give up after 20 s, though it has the message.",
                    "Reports after about 1.5 s: 10% bounced.",
                ],
            ),
            (
                {"success_rate": 0, "throttle_rate": 1, "throttle_retry_after": "soon", "latency_ms": 40},
                "429",
                [
                    "100% answered with 429.",
                    "Retry-After: soon",
                    "Answers after about 40 ms.",
                    "Reports nothing later.",
                ],
            ),
            (
                {"success_rate": 0.9, "temporary_rate": 0.05},
                "Failing in part",
                [
                    "90% taken, 5% answered with 503, 5% refused for good.",
                    "Answers at once.",
                    "Reports nothing later.",
                ],
            ),
        ],
    )
    def test_a_behaviour_is_told_as_one_would_tell_a_colleague(
        self, options: dict[str, Any], weather: str, said: list[str]
    ) -> None:
        assert sandbox_words.weather(Options(**options))[0] == weather
        assert sandbox_words.behaviour(Options(**options), ["sms"]) == said


@pytest.mark.usefixtures("no_calls")
class TestCalls:
    def test_a_call_reads_as_the_person_would_have_read_it(self) -> None:
        ada = factories.recipient("ada")
        call = simulated_call(recipient_id=ada.pk, outcome="throttled", retry_after=30)
        client = signed_in(may="everything")

        for address in (DETAIL, page(call)):
            shown = body(client, address)
            assert "Order A1 is on its way" in shown
            assert 'srcdoc="&lt;p&gt;Hello &lt;b&gt;Ada&lt;/b&gt;&lt;/p&gt;"' in shown
            assert 'sandbox=""' in shown
            assert "Hello Ada,<br>it has left." in shown
            assert "ada@example.com" in shown
            assert "Provider throttled us" in shown
            assert "Told to come back after 30 s." in shown
            assert reverse("admin:notifications_delivery_change", args=[call.delivery_id]) in shown
            assert reverse("admin:preferences_recipient_change", args=[ada.pk]) in shown

    def test_the_headers_of_an_email_are_told_with_it(self) -> None:
        way_out = "<https://notify.example.com/u/abc/>"
        marketing, order = simulated_call(headers={"List-Unsubscribe": way_out}), simulated_call()
        client = signed_in(may="everything")

        assert "List-Unsubscribe: &lt;https://notify.example.com/u/abc/&gt;" in body(client, page(marketing))
        assert "<summary>Headers" not in body(client, page(order))

    @pytest.mark.parametrize(
        ("content", "platform", "channel"),
        [
            ({"body": "Your code is 493 021."}, "", "sms"),
            ({"title": "On its way", "body": "It has left."}, "apns", "push"),
            ({"title": "On its way", "link": "/orders/A1"}, "", "in_app"),
        ],
    )
    def test_each_channel_is_recognised(self, content: dict[str, str], platform: str, channel: str) -> None:
        call = simulated_call(content=content, platform=platform, address="token")

        message = sandbox_words.message(call)

        assert message.channel == channel
        assert f"cr-as-{channel}" in body(signed_in(may="everything"), page(call))
        assert (("size", "1 segment, GSM-7") in message.fields) == (channel == "sms")

    def test_what_is_in_a_message_does_not_become_part_of_the_page(self) -> None:
        evil = "<script>alert(1)</script>"
        call = simulated_call(content={"subject": evil, "text": evil, "preheader": evil}, address=evil)

        for address in (DETAIL, page(call), page(SimulatedCall), page(SandboxState)):
            assert evil not in body(signed_in_once(), address)

    def test_addresses_take_a_permission_of_their_own(self) -> None:
        call = simulated_call()
        user = User.objects.create_user("operator", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_sandboxstate", "change_sandboxstate"]))
        client = Client()
        client.force_login(user)

        for address in (page(SandboxState), DETAIL):
            assert "ada@example.com" not in body(client, address)
            assert "Order A1" not in body(client, address)
        assert client.get(page(SimulatedCall)).status_code == 403
        assert client.get(page(call)).status_code == 403

    def test_the_list_is_searched_and_filtered_and_never_counted(self) -> None:
        ada = factories.recipient("ada")
        one = simulated_call(recipient_id=ada.pk)
        two = simulated_call(provider="simulated_sms", outcome="timeout", is_test=False)
        client = signed_in(may="everything")

        def shown(**query: str) -> list[Any]:
            return [row.pk for row in client.get(page(SimulatedCall), query).context["cl"].result_list]

        with CaptureQueriesContext(connection) as captured:
            assert shown() == [two.pk, one.pk]
        assert counted(captured.captured_queries, SimulatedCall) == []
        assert shown(q="ada") == shown(q=str(one.delivery_id)) == shown(provider=NAME) == [one.pk]
        assert shown(outcome="timeout") == shown(is_test__exact="0") == [two.pk]
        assert shown(q=str(ids.uuid7())) == shown(q="nobody") == []

    def test_nobody_changes_or_deletes_one(self) -> None:
        call = simulated_call()
        client = signed_in(may="everything")

        assert client.post(page(call, "delete"), {"post": "yes"}).status_code == 403
        assert client.get(page(SimulatedCall, "add")).status_code == 403
        assert SimulatedCall.objects.filter(pk=call.pk).exists()


def signed_in_once() -> Client:
    user, _ = User.objects.get_or_create(username="root", defaults={"is_staff": True, "is_superuser": True})
    client = Client()
    client.force_login(user)
    return client
