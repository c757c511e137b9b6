"""Providers in the admin: the panel, switching off and on, resetting, who may, and what the log keeps."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from notifications.models import ProviderSwitch
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from notifications.services import providers
from tests.admin import page, signed_in

pytestmark = pytest.mark.django_db
PANEL = reverse("admin:notifications_providerswitch_panel")


def step(name: str, provider: str = "simulated_email") -> str:
    return reverse(f"admin:notifications_providerswitch_{name}", args=[provider])


def shown(client: Client, address: str = PANEL) -> str:
    return client.get(address).content.decode()


def row(body: str, provider: str) -> str:
    return body.split(f'data-provider="{provider}"')[1].split("</li>", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("given", "back"),
    [
        ("", ""),
        ("/admin/dashboard/?range=15m", "/admin/dashboard/?range=15m"),
        ("https://evil.example/", ""),
        ("//evil.example/", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_who_came_from_another_page_of_ours_is_led_back_there_and_nowhere_else(given: str, back: str) -> None:
    client = signed_in(may="everything")
    address = f"{step('off')}?{urlencode({'next': given})}"
    back = back or reverse("admin:notifications_providerswitch_changelist")

    assert f'href="{escape(back)}">Keep it on' in shown(client, address)
    assert client.post(address, {"reason": "Invoices unpaid"})["Location"] == back


class TestPanel:
    def test_every_channel_shows_its_chain_and_who_serves_it(self) -> None:
        body = shown(signed_in(may="everything"))

        assert body.count("Served by simulated_email<") == 1
        assert row(body, "simulated_email")
        assert body.index('data-provider="simulated_email"') < body.index('data-provider="simulated_email_backup"')
        assert "Served by feed<" in body
        assert body.count('data-state="closed"') == 7

    def test_an_open_circuit_says_why_and_until_when_and_who_stands_in(self) -> None:
        Breaker().report("simulated_email", Report(answered=10, failed=30))

        body = shown(signed_in(may="everything"))

        assert "Failed over to simulated_email_backup" in body
        failing = row(body, "simulated_email")
        assert 'data-state="open"' in failing
        assert "Circuit open" in failing
        assert "30 of 40 messages failed." in failing
        assert "One message probes it in 1" in failing
        assert "75%" in failing
        assert step("reset") in failing

    def test_a_probe_under_way_and_one_to_come_are_told_apart(self, settings: Any) -> None:
        settings.BREAKER_OPEN_SECONDS = 1e-6
        Breaker().report("feed", Report(failed=10))
        client = signed_in(may="everything")

        before = shown(client)
        Breaker().ask("feed")
        after = shown(client)

        assert "Waiting for a probe" in before
        assert "The next message is the probe" in row(before, "feed")
        assert "A probe is under way" in row(after, "feed")

    def test_a_pause_says_how_long(self) -> None:
        Breaker().report("feed", Report(pause=40.0))

        body = shown(signed_in(may="everything"))

        assert "Nobody: messages wait" in body
        assert "asked us to wait (429)" in row(body, "feed")

    def test_works_without_redis_and_says_so(self, redis_away: Any) -> None:
        client = signed_in(may="everything")
        providers.switch_off("simulated_sms", by="grace", reason="unpaid")
        redis_away.leave()

        body = shown(client, page(ProviderSwitch))

        assert "Redis does not answer" in body
        assert "Unknown while Redis is away" in body
        assert "Switched off by grace: unpaid." in row(body, "simulated_sms")

    def test_a_reason_is_shown_as_text(self) -> None:
        providers.switch_off("simulated_sms", by="grace", reason="<b>unpaid</b>")

        assert "&lt;b&gt;unpaid" in shown(signed_in(may="everything"))

    def test_the_page_holds_the_panel_and_asks_for_it_again(self) -> None:
        body = shown(signed_in(may="everything"), page(ProviderSwitch))

        assert f'data-refresh="{PANEL}"' in body
        assert 'data-provider="simulated_email"' in body
        assert "no-store" in signed_in(may="view").get(PANEL)["Cache-Control"]

    def test_stands_in_the_navigation(self) -> None:
        assert page(ProviderSwitch) in shown(signed_in(may="view"), reverse("admin:index"))


class TestSwitching:
    def test_off_asks_first_then_acts_and_is_kept_in_the_log(self) -> None:
        client = signed_in(may="everything")

        asked = shown(client, step("off"))
        assert "Email goes to simulated_email_backup." in asked
        assert not ProviderSwitch.objects.exists()
        answer = client.post(step("off"), {"reason": "Invoices unpaid."}, follow=True)

        switch = ProviderSwitch.objects.get()
        assert (switch.provider, switch.by, switch.reason) == ("simulated_email", "user-everything", "Invoices unpaid.")
        body = answer.content.decode()
        assert "Switched off by user-everything: Invoices unpaid." in row(body, "simulated_email")
        entry = LogEntry.objects.get()
        assert (entry.object_repr, entry.get_change_message()) == ("simulated_email", "Switched off: Invoices unpaid.")
        assert "Switched off: Invoices unpaid." in body.split('id="latest"')[1]

    def test_the_last_of_a_chain_is_told_what_that_means(self) -> None:
        assert "its messages wait" in shown(signed_in(may="everything"), step("off", "feed"))

    @pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
    def test_without_a_proper_reason_it_stays_on(self, reason: str) -> None:
        answer = signed_in(may="everything").post(step("off"), {"reason": reason})

        assert answer.status_code == 200
        assert "reason" in answer.context["form"].errors
        assert not ProviderSwitch.objects.exists()

    def test_on_asks_first_and_is_kept_in_the_log(self) -> None:
        providers.switch_off("simulated_email", by="grace", reason="unpaid")
        client = signed_in(may="everything")

        assert "unpaid" in shown(client, step("on"))
        client.post(step("on"))
        assert ProviderSwitch.objects.exists()
        client.post(step("on"), {"confirmed": "1"})

        assert not ProviderSwitch.objects.exists()
        assert LogEntry.objects.get().get_change_message() == "Switched on"

    def test_what_another_did_meanwhile_is_said_and_not_logged(self) -> None:
        client = signed_in(may="everything")
        providers.switch_off("simulated_email", by="grace", reason="unpaid")

        twice = client.post(step("off"), {"reason": "mine"}, follow=True)
        providers.switch_on("simulated_email", by="grace")
        again = client.post(step("on"), {"confirmed": "1"}, follow=True)

        assert "was switched off already" in twice.content.decode()
        assert "was on already" in again.content.decode()
        assert not LogEntry.objects.exists()

    def test_one_that_left_the_settings_can_be_cleared(self) -> None:
        ProviderSwitch.objects.create(provider="bygone", by="grace")
        client = signed_in(may="everything")

        assert "In no chain" in shown(client)
        client.post(step("on", "bygone"), {"confirmed": "1"})

        assert not ProviderSwitch.objects.exists()


class TestReset:
    def test_asks_first_then_closes_the_circuit_and_is_kept_in_the_log(self) -> None:
        Breaker().report("simulated_email", Report(failed=10))
        client = signed_in(may="everything")

        client.get(step("reset"))
        assert 'data-state="open"' in shown(client)
        client.post(step("reset"), {"confirmed": "1"})

        assert 'data-state="open"' not in shown(client)
        assert LogEntry.objects.get().get_change_message() == "Reset its circuit"

    def test_without_redis_nothing_is_reset_and_that_is_said(self, redis_away: Any) -> None:
        client = signed_in(may="everything")
        redis_away.leave()

        answer = client.post(step("reset"), {"confirmed": "1"}, follow=True)

        assert "nothing was reset" in answer.content.decode()
        assert not LogEntry.objects.exists()


class TestWhoMay:
    ACTS = (("off", {"reason": "x"}), ("on", {"confirmed": "1"}), ("reset", {"confirmed": "1"}))

    def test_those_who_only_look_see_no_buttons_and_change_nothing(self) -> None:
        providers.switch_off("simulated_sms", by="grace", reason="unpaid")
        Breaker().report("simulated_email", Report(failed=10))
        client = signed_in(may="view")

        body = shown(client)

        assert "Switch o" not in body.replace("Switched o", "")
        assert "Reset circuit" not in body
        for name, given in self.ACTS:
            assert client.get(step(name)).status_code == 403
            assert client.post(step(name), given).status_code == 403
        assert ProviderSwitch.objects.count() == 1

    def test_off_and_on_are_permissions_of_their_own(self) -> None:
        user = User.objects.create_user("ada", password="pw", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_providerswitch", "add_providerswitch"]))
        client = Client()
        client.force_login(user)

        assert client.post(step("off"), {"reason": "unpaid"}).status_code == 302
        assert client.post(step("on"), {"confirmed": "1"}).status_code == 403
        assert "Switch on" not in shown(client)

    def test_without_a_permission_there_is_no_panel(self) -> None:
        assert signed_in().get(PANEL).status_code == 403

    @pytest.mark.parametrize("name", ["off", "on", "reset"])
    def test_an_unknown_provider_is_not_found(self, name: str) -> None:
        client = signed_in(may="everything")

        assert client.get(step(name, "nobody")).status_code == 404
        assert client.post(step(name, "nobody"), {"confirmed": "1", "reason": "x"}).status_code == 404

    def test_a_strangers_form_is_refused(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(User.objects.create_superuser("grace", password="pw"))

        assert client.post(step("off"), {"reason": "x"}).status_code == 403
        assert not ProviderSwitch.objects.exists()
