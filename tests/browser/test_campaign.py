"""A manager makes a campaign in the admin, sends it and sees it complete."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from campaigns.models import Campaign, CampaignStatus
from notifications.models import Notification
from tests import factories
from tests.browser.console import complaints
from tests.campaigns.conftest import hand_out, work
from tests.notifications.fakes import FakeProvider, use_provider

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A tab. Playwright keeps an event loop on this thread, beside which Django must be allowed to work."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        problems = complaints(tab)
        yield tab
        browser.close()
    assert problems == []


def work_elsewhere() -> None:
    """The worker's step, on a thread without Playwright's event loop."""

    def step() -> None:
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(step).result(60)


@pytest.fixture
def manager(page: Any, live_server) -> Any:
    """Signed in, on the list of campaigns."""
    User.objects.create_superuser("manager", password="secret-for-tests")
    page.goto(f"{live_server.url}/admin/campaigns/campaign/")
    page.fill("[name=username]", "manager")
    page.fill("[name=password]", "secret-for-tests")
    page.click("[type=submit]")
    return page


@pytest.fixture
def catalog(settings) -> None:
    use_provider(settings, FakeProvider("fake"))
    settings.CAMPAIGN_CHUNK = 20
    factories.category("news", name="News", channels=["email", "in_app"], default_priority="low")
    factories.template("sale", name="Summer sale")
    factories.recipients(30)


def fill_in(page: Any) -> None:
    page.click("a[href$='/campaigns/campaign/add/'] >> nth=0")
    page.fill("[name=name]", "Week 1")
    page.select_option("[name=template]", label="Summer sale")
    page.select_option("[name=category]", label="News")
    page.fill("[name=data]", '{"order": "A17"}')


def test_a_campaign_is_made_sent_and_followed_to_its_end(catalog, manager: Any):
    # Given a draft to everyone, reviewed
    fill_in(manager)
    manager.click("text=Review and send")
    expect(manager.get_by_text("goes to 30 people")).to_be_visible()
    expect(manager.get_by_text("Order A17 is on its way")).to_be_visible()

    # When it is sent and half of it handed out, the page says so without a reload
    manager.click("text=Send to 30 people")
    expect(manager.locator("[data-part=status]")).to_have_text("Sending")
    campaign = Campaign.objects.get()
    hand_out(campaign, steps=1)
    expect(manager.locator("[data-part=handed]")).to_contain_text("20 of 30 people handed out")

    # When it pauses and goes on, it stays where it was
    manager.click("text=Pause")
    expect(manager.locator("[data-part=status]")).to_have_text("Paused")
    assert hand_out(campaign) == 0
    manager.click("text=Resume")
    expect(manager.locator("[data-part=status]")).to_have_text("Sending")

    # When the rest is handed out and the workers have worked, the page shows it complete and adds up
    hand_out(campaign)
    work_elsewhere()
    expect(manager.locator("[data-part=status]")).to_have_text("Completed")
    expect(manager.locator("[data-part=ended]")).to_contain_text("60 of 60 messages done")
    expect(manager.locator("[data-part=channels] tr.total")).to_have_text(re.compile(r"All\s*60\s*60"))
    expect(manager.locator("[data-part=people] tr.total")).to_contain_text("30")
    expect(manager.get_by_text("Cancel…")).to_be_hidden()
    assert Notification.objects.filter(source=campaign.source).count() == 30


def test_a_list_with_unknown_ids_says_so_beside_the_field(catalog, manager: Any):
    fill_in(manager)
    expect(manager.locator("[name=recipients]")).to_be_hidden()
    manager.check("[name=audience][value=list]")
    manager.fill("[name=recipients]", "person-1\n\nmoon\nperson-2")
    manager.click("text=Review and send")

    expect(manager.get_by_text("Nobody has this id: moon.")).to_be_visible()
    manager.check("[name=leave_out_unknown]")
    manager.click("text=Review and send")

    expect(manager.get_by_text("goes to 2 people")).to_be_visible()


def test_a_campaign_is_cancelled_after_a_question(catalog, manager: Any):
    fill_in(manager)
    manager.click("text=Review and send")
    manager.click("text=Send to 30 people")
    manager.click("text=Cancel…")
    expect(manager.get_by_text("This can't be undone.")).to_be_visible()

    manager.click("button:has-text('Cancel the campaign')")

    expect(manager.locator("[data-part=status]")).to_have_text("Cancelling")
    assert Campaign.objects.get().status == CampaignStatus.CANCELLED


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen_or_logs_an_error(catalog, manager: Any, live_server, width: int):
    complaints: list[str] = []
    manager.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    manager.on("pageerror", lambda error: complaints.append(str(error)))
    manager.set_viewport_size({"width": width, "height": 850})
    fill_in(manager)
    manager.click("text=Review and send")
    manager.click("text=Send to 30 people")
    hand_out(Campaign.objects.get())

    for address in (manager.url, f"{live_server.url}/admin/dashboard/"):
        manager.goto(address)
        expect(manager.locator("svg[role=img]")).to_be_visible()
        assert manager.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert complaints == []
