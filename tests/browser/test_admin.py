"""The admin in a real Chromium: sign in, read a timeline, make a key and see its secret once, publish a wording."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from notifications.choices import EventType, Status
from notifications.models import ApiKey, Delivery
from notifications.services import api_keys
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from tests import factories
from tests.admin import delivery, notification

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def sign_in(browser_page: Any, server: str) -> None:
    User.objects.create_superuser("grace", password="correct horse")
    browser_page.goto(f"{server}/admin/")
    browser_page.get_by_label("Username").fill("grace")
    browser_page.get_by_label("Password").fill("correct horse")
    browser_page.get_by_role("button", name="Log in").click()
    expect(browser_page).to_have_title(re.compile("Home"))


def test_a_timeline_is_found_by_recipient_and_tells_what_happened(page, live_server):
    factories.recipient("ada", phone="")
    sent = notification("ada")
    email = delivery(sent)
    Delivery.objects.filter(pk=email.pk).update(status=Status.SENT, sent_at=timezone.now())
    DeliveryTracker().receipts([ProviderReceipt(email.pk, EventType.DELIVERED, "mailhouse")])
    sign_in(page, live_server.url)

    page.locator("#nav-sidebar-apps a[href='/admin/notifications/notification/']").click()
    page.locator("#searchbar").fill("ada")
    page.locator("#searchbar").press("Enter")
    page.locator("#result_list a").first.click()

    card = page.locator("[data-channel=email]")
    expect(card.locator("[data-status]")).to_have_text("Delivered")
    expect(card.locator(".cr-step")).to_have_count(2)
    expect(page.locator("[data-channel=sms]")).to_contain_text("has no address for this channel")


def test_a_key_s_secret_is_shown_once(page, live_server):
    sign_in(page, live_server.url)

    page.goto(f"{live_server.url}/admin/notifications/apikey/add/")
    page.get_by_label("Name").fill("shop")
    page.get_by_role("button", name="Save").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("[data-copy]")).to_have_text(re.compile("Copied|Ctrl"))
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="shop").click()

    assert api_keys.authenticate(secret) == ApiKey.objects.get()
    assert secret.rsplit("_", 1)[1] not in page.content()


def test_a_wording_is_written_looked_at_and_published(page, live_server):
    template = factories.template()
    sign_in(page, live_server.url)

    page.goto(f"{live_server.url}/admin/notifications/messagetemplate/{template.pk}/change/")
    page.get_by_role("link", name="Edit as a new version").click()
    page.get_by_role("button", name="SMS", exact=True).click()
    page.locator("[name=en--sms--body]").fill("Parcel {{ order }} is here")
    page.get_by_role("button", name="Save as a new draft").click()
    expect(page.locator("[data-preview=en-sms]")).to_contain_text("Parcel A-1001 is here")
    frame = page.frame_locator("[data-preview=en-email] iframe")
    expect(frame.locator("b")).to_have_text("A-1001")
    page.get_by_role("button", name="Publish").click()

    expect(page.locator("#versions li").first).to_contain_text("published")
    template.refresh_from_db()
    assert template.published.content["en"]["sms"]["body"] == "Parcel {{ order }} is here"


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window_or_asks_another_site(page, live_server, width):
    factories.recipient("ada")
    sent = notification("ada")
    page.set_viewport_size({"width": width, "height": 900})
    foreign: list[str] = []
    page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(("data:", live_server.url)) else 0)
    sign_in(page, live_server.url)

    for address in ("", f"notifications/notification/{sent.pk}/change/", "notifications/apikey/add/", "auth/user/"):
        page.goto(f"{live_server.url}/admin/{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    assert foreign == []
