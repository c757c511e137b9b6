"""Explaining in a real Chromium: a support agent asks about a person, and comes from a notification that never came."""

import re
from typing import Any

import pytest

from notifications.drafts import Draft
from notifications.models import Notification
from notifications.services import providers
from notifications.services.notification import NotificationService
from preferences.services import PreferencesService
from tests import factories
from tests.browser.axe import violations
from tests.browser.test_admin import expect, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop() -> None:
    """Ada wants no email about orders, has a phone that bounced, one device, and a provider of push is switched off."""
    factories.category("orders", name="Orders", dedup_seconds=300)
    factories.template("order-shipped", name="Order shipped")
    ada = factories.recipient("ada", name="Ada")
    factories.preference(ada, "email", category=factories.category("orders", name="Orders", dedup_seconds=300))
    PreferencesService().suppress("sms", ada.phone, "hard_bounce", "simulated_sms")
    providers.switch_off("simulated_push", by="grace", reason="Moving house")


def test_an_agent_asks_who_and_what_about_and_reads_why(page: Any, live_server: Any, shop: None) -> None:
    sign_in(page, live_server.url)
    page.locator("#nav-sidebar-apps").get_by_role("link", name="Explain").click()

    page.locator("#id_recipient").fill("ada@example.com")
    page.get_by_label("What about").select_option("orders")
    page.locator("#id_recipient").press("Enter")

    expect(page.locator("#found .cr-answer")).to_contain_text("It goes out now by Push and In-app.")
    email, sms, push = (page.locator(f"article[data-channel={name}]") for name in ("email", "sms", "push"))
    expect(email).to_contain_text("They said no to Orders by Email.")
    expect(email).to_contain_text("Only they can change that")
    expect(sms).to_contain_text("may not be used since")
    expect(push).to_contain_text("in place of simulated_push")
    assert violations(page) == []
    assert not Notification.objects.exists()


def test_its_boxes_are_boxes(page: Any, live_server: Any, shop: None) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/notification/explain/?recipient=ada&channels=email")

    box = page.get_by_role("checkbox", name="Email")

    expect(box).to_be_checked()
    assert box.bounding_box()["width"] < 30


def test_the_rows_that_decided_are_a_click_away(page: Any, live_server: Any, shop: None) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/notification/explain/?recipient=ada&category=orders")
    page.get_by_role("button", name="Explain").click()

    gate = page.locator("article[data-channel=sms] [data-gate=suppression]")
    gate.get_by_text("Seen").click()
    expect(gate).to_contain_text("Hard bounce")
    gate.get_by_role("link").click()

    expect(page).to_have_url(re.compile(r"/preferences/suppression/\d+/change/$"))


def test_why_leads_from_a_notification_to_what_became_of_it(page: Any, live_server: Any, shop: None) -> None:
    draft = Draft(recipient="ada", category="orders", template="order-shipped", data={"order": "A-1"})
    [sent] = NotificationService().send([draft], source="api:shop")
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/notification/{sent.id}/change/")

    page.get_by_role("link", name="Why?").click()

    expect(page.locator("#happened")).to_contain_text("The recipient said no to this channel for this category.")
    expect(page.get_by_text("If the same were sent today")).to_be_visible()
    expect(page.locator("#found .cr-answer")).to_contain_text("It goes out now by Push and In-app.")


def test_what_is_left_out_and_what_is_unknown_is_said(page: Any, live_server: Any, shop: None) -> None:
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/notification/explain/")

    page.get_by_role("button", name="Explain").click()
    expect(page.locator("form.cr-ask")).to_contain_text("This field is required")
    page.locator("#id_recipient").fill("nobody")
    page.get_by_label("What about").select_option("orders")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#found .cr-answer")).to_contain_text("There is no recipient 'nobody'.")

    page.goto(f"{live_server.url}/admin/notifications/notification/explain/?notification=nonsense")
    expect(page.get_by_text("There is no such notification")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_never_wider_than_the_window(page: Any, live_server: Any, shop: None, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/notifications/notification/explain/?recipient={'x' * 128}&category=orders")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for who in ("x" * 128, "ada"):
        page.locator("#id_recipient").fill(who)
        page.get_by_role("button", name="Explain").click()
        expect(page.locator("#found")).to_be_visible()
        for summary in page.locator("#found summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), who
