"""The sandbox in a real Chromium: weather by a click, a fault beside its field, and a mail as it looks."""

from typing import Any

import pytest

from notifications.models import SandboxState
from tests.admin import simulated_call
from tests.browser.test_admin import sign_in

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [390, 1280])
def test_weather_is_made_and_taken_back_and_mails_are_seen(page: Any, live_server: Any, width: int) -> None:
    simulated_call()
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, live_server.url)

    page.goto(f"{live_server.url}/admin/notifications/sandboxstate/")
    card = page.locator("[data-provider=simulated_email]")
    card.get_by_role("button", name="Outage").click()
    expect(card.locator("[data-weather]")).to_have_text("Outage")
    expect(page.locator("[data-channel=in_app]")).to_contain_text("The sandbox affects test keys only.")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    card.get_by_role("link", name="simulated_email", exact=True).click()
    frame = page.frame_locator("[data-call] iframe")
    expect(frame.locator("b")).to_have_text("Ada")
    page.get_by_label("Temporary failures").fill("0.7")
    page.get_by_label("Time-outs", exact=True).fill("0.7")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".cr-field-error")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.get_by_role("button", name="Reset to settings").click()
    expect(page.locator(".cr-simulated")).to_contain_text("As the settings say.")
    assert not SandboxState.objects.exists()
