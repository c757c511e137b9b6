"""The providers' panel in a real Chromium: it follows what happens by itself, and lets a person work meanwhile."""

from typing import Any

import pytest

from notifications.models import ProviderSwitch
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from tests.browser.test_admin import expect, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_it_follows_a_provider_s_fall_without_a_reload_and_keeps_the_focus(page: Any, live_server: Any) -> None:
    sign_in(page, live_server.url)
    page.locator("#nav-sidebar-apps").get_by_role("link", name="Providers").click()
    email, backup = (page.locator(f"[data-provider={name}]") for name in ("simulated_email", "simulated_email_backup"))
    expect(email).to_contain_text("Working")
    page.evaluate("window.sameDocument = true")
    email.get_by_role("link", name="Switch off").focus()

    Breaker().report("simulated_email", Report(answered=10, failed=30))

    expect(email).to_contain_text("Circuit open")
    expect(email).to_contain_text("30 of 40 messages failed.")
    expect(page.locator("#chain-email")).to_contain_text("Failed over to simulated_email_backup")
    expect(backup).to_contain_text("Working")
    expect(email.get_by_role("link", name="Reset circuit")).to_be_visible()
    expect(email.get_by_role("link", name="Switch off")).to_be_focused()
    assert page.evaluate("window.sameDocument")


def test_switching_off_and_on(page: Any, live_server: Any) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/providerswitch/")
    feed = page.locator("[data-provider=feed]")

    feed.get_by_role("link", name="Switch off").click()
    page.get_by_role("button", name="Switch off").click()
    expect(page.locator(".cr-field-error")).to_contain_text("Say why")
    page.get_by_label("Why").fill("Moving house")
    page.get_by_role("button", name="Switch off").click()
    expect(feed).to_contain_text("Switched off by grace: Moving house.")
    assert ProviderSwitch.objects.get().provider == "feed"

    feed.get_by_role("link", name="Switch on").click()
    page.get_by_role("button", name="Switch on").click()
    expect(feed).to_contain_text("Working")
    assert not ProviderSwitch.objects.exists()


def test_signed_out_it_says_that_it_stands_still(page: Any, live_server: Any) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/providerswitch/")

    page.context.clear_cookies()

    expect(page.locator("[data-stale]")).to_contain_text("signed out")


@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_never_wider_than_the_window(page: Any, live_server: Any, width: int) -> None:
    Breaker().report("simulated_email", Report(failed=50, pause=600.0))
    ProviderSwitch.objects.create(provider="simulated_sms", by="grace", reason="x" * 200)
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, live_server.url)

    for address in ("", "simulated_email/off/", "simulated_sms/on/", "simulated_email/reset/"):
        page.goto(f"{live_server.url}/admin/notifications/providerswitch/{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
