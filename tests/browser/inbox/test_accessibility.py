"""What axe-core says of every face of the inbox, light and dark."""

from collections.abc import Callable
from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.axe import violations
from tests.browser.inbox.conftest import Shop, Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("scheme", ["light", "dark"]),
]
BUTTONS = {"actions": [{"label": "Track", "link": "/orders/7", "primary": True}, {"label": "Mute", "event": "mute"}]}


def test_the_list_its_menu_and_its_empty_views(tabs: Tabs, contexts: Any, person: Recipient, scheme: str) -> None:
    deliver(message(person, "Old"), message(person, "Order", body="Sent", metadata={"in_app": BUTTONS}))
    deliver(*(message(person, f"Reply {n}", metadata={"in_app": {"group": "a"}}) for n in range(2)))
    page = tabs(of=contexts(color_scheme=scheme))
    expect(feed(page).locator(".item")).to_have_count(4)
    feed(page).get_by_text("Old").click()
    assert violations(page, "main") == []
    feed(page).locator(".item").first.hover()
    feed(page).get_by_role("button", name="Snooze", exact=True).first.click()
    expect(feed(page).get_by_role("menuitem", name="In an hour")).to_be_focused()
    assert violations(page, "main") == []
    page.keyboard.press("Escape")
    for view in ("Snoozed", "Archived"):
        feed(page).get_by_role("button", name=view, exact=True).click()
        expect(feed(page).locator(".state strong")).to_be_visible()
        assert violations(page, "main") == []
    bell(page).locator("button.bell").click()
    expect(bell(page).locator(".item")).to_have_count(4)
    assert violations(page, "header carillon-inbox") == []


def test_an_empty_feed_and_one_without_a_connection(tabs: Tabs, contexts: Any, person: Recipient, scheme: str) -> None:
    page = tabs(of=contexts(color_scheme=scheme))
    expect(feed(page).get_by_text("You’re all caught up")).to_be_visible()
    connected(page)
    assert violations(page, "main") == []
    page.context.set_offline(True)
    expect(feed(page).get_by_text("Reconnecting…")).to_be_visible(timeout=10_000)
    assert violations(page, "main") == []


def test_an_error(tabs: Tabs, contexts: Any, person: Recipient, scheme: str) -> None:
    context = contexts(color_scheme=scheme)
    context.route("**/api/v1/feed/?*", lambda route: route.abort())
    page = tabs(of=context)
    expect(feed(page).get_by_role("button", name="Try again")).to_be_visible()

    assert violations(page, "main") == []


def test_a_phone(tabs: Tabs, contexts: Any, person: Recipient, scheme: str) -> None:
    deliver(message(person, "Order", body="Sent", metadata={"in_app": BUTTONS}))
    phone = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
    page = tabs(of=contexts(color_scheme=scheme, **phone))
    expect(feed(page).locator(".item")).to_have_count(1)
    assert violations(page, "main") == []
    feed(page).get_by_role("button", name="More actions").tap()
    expect(feed(page).get_by_role("menuitem", name="Mark as read")).to_be_focused()
    assert violations(page, "main") == []


@pytest.mark.parametrize("mode", ["popover", "badge"])
def test_a_toast_and_a_number_alone(
    tabs: Tabs, shop: Shop, contexts: Callable[..., Any], person: Recipient, scheme: str, mode: str
) -> None:
    shop.shows(person, "<header>Shop {inbox}</header><main><h1>Shoes</h1></main>", attributes=f"mode={mode}")
    page = tabs(shop.url, signed_in=False, of=contexts(color_scheme=scheme))
    connected(page)

    deliver(message(person, "Your parcel", body="It left this morning."))

    expect(bell(page).get_by_role("status").get_by_text("Your parcel")).to_be_visible()
    expect(bell(page).locator(".badge")).to_have_text("1")
    if mode == "badge":
        expect(bell(page).locator("button.bell")).to_have_count(0)
        expect(bell(page).get_by_role("img", name="Notifications, 1 new")).to_be_visible()
    assert violations(page, "header carillon-inbox") == []
