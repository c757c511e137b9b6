"""The dead-letter workbench in a real Chromium: from a group to a replay that is watched and stopped."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from notifications.models import ReplayRun
from notifications.services import replays
from tests.browser.test_admin import sign_in
from tests.notifications.dead_letters import later, letters, still_open

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A telephone. Playwright keeps an event loop on this thread, beside which Django must be allowed to work."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 900})
        tab.set_default_timeout(10_000)
        yield tab
        browser.close()


def test_a_group_is_replayed_watched_and_stopped(page, live_server):
    letters(1200, detail="https://api.example/" + "a" * 400)
    letters(3, channel="sms", provider="textco", code="timeout")
    sign_in(page, live_server.url)

    # From the group to the form, which wants the number
    page.goto(f"{live_server.url}/admin/notifications/deadletter/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    group = page.locator(".cr-group").first
    expect(group).to_contain_text("1,200")
    group.get_by_role("link", name="Replay…").click()
    page.get_by_role("button", name="Replay 1,200").click()
    expect(page.get_by_text("Type 1,200 to agree: that is")).to_be_visible()
    page.get_by_label("Their number").fill("1200")
    page.get_by_role("button", name="Replay 1,200").click()

    # Its page follows it
    expect(page.locator("#replay")).to_contain_text("0 of 1,200")
    run = ReplayRun.objects.get()
    later(run, 9)
    replays.step()
    expect(page.locator("#replay")).to_contain_text(re.compile(r"\d\d of 1,200"))

    # And it is stopped
    page.get_by_role("link", name="Stop…").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#replay")).to_contain_text("stopped by grace")
    assert still_open() > 1000
