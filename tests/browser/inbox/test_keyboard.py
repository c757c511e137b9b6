"""The inbox without a pointer, and on a phone without one that hovers."""

from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Shop, Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_everything_is_done_from_the_keyboard_and_the_focus_is_never_lost(tabs: Tabs, person: Recipient) -> None:
    deliver(*(message(person, title) for title in ("Fourth", "Third", "Second", "First")))
    page = tabs()
    connected(page)
    button, rows = bell(page).locator("button.bell"), bell(page).locator(".item")
    button.focus()

    page.keyboard.press("Enter")
    expect(bell(page).get_by_role("dialog")).to_be_focused()
    expect(rows).to_have_count(4)
    page.keyboard.press("ArrowDown")
    expect(rows.nth(0).locator(".main")).to_be_focused()
    page.keyboard.press("End")
    expect(rows.nth(3).locator(".main")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(bell(page).locator(".item.unread")).to_have_count(3)

    page.keyboard.press("ArrowDown")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(rows.nth(1).get_by_role("button", name="Archive", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(bell(page).locator(".item .title")).to_have_text(["First", "Third", "Fourth"])
    expect(rows.nth(1).locator(".main")).to_be_focused()

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(bell(page).get_by_role("menuitem", name="In an hour")).to_be_focused()
    page.keyboard.press("Escape")
    expect(rows.nth(1).get_by_role("button", name="Snooze", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(bell(page).get_by_role("menuitem", name="In an hour")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(bell(page).locator(".item .title")).to_have_text(["First", "Fourth"])
    expect(rows.nth(1).locator(".main")).to_be_focused()

    page.keyboard.press("Escape")
    expect(bell(page).get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_on_a_phone_a_menu_holds_what_a_pointer_would_hover_for(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    deliver(*(message(person, title) for title in ("Third", "Second", "First")))
    page = tabs(of=contexts(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True))
    connected(page)
    rows, menu = feed(page).locator(".item"), feed(page).get_by_role("menu")

    def choose(row: int, *names: str) -> None:
        opener = rows.nth(row).get_by_role("button", name="More actions")
        box = opener.bounding_box()
        assert min(box["width"], box["height"]) >= 44
        opener.tap()
        for name in names:
            menu.get_by_role("menuitem", name=name).tap()

    choose(0, "Mark as read")
    expect(feed(page).locator(".item.unread")).to_have_count(2)
    choose(0, "Snooze", "Tomorrow")
    expect(feed(page).locator(".item .title")).to_have_text(["Second", "Third"])
    choose(1, "Archive")
    expect(feed(page).locator(".item .title")).to_have_text(["Second"])
    expect(menu).to_have_count(0)


def test_a_bundle_unfolds_and_chips_narrow_the_list(tabs: Tabs, person: Recipient) -> None:
    deliver(
        *(message(person, f"Reply {n}", metadata={"in_app": {"group": "review-9"}}) for n in range(3)),
        message(person, "Order"),
    )
    deliver(*(message(person, f"Sign-in {n}", category="security") for n in range(2)))
    page = tabs()
    connected(page)
    shown = feed(page).locator(".item:visible .title")
    expect(shown).to_have_text(["Sign-in 1", "Sign-in 0", "Order", "Reply 2"])

    more = feed(page).get_by_role("button", name="2 more like this")
    more.press("Enter")
    expect(shown).to_have_text(["Sign-in 1", "Sign-in 0", "Order", "Reply 2", "Reply 1", "Reply 0"])
    expect(feed(page).get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    expect(feed(page).get_by_role("button", name="Show less")).to_be_focused()

    chips = feed(page).get_by_role("group", name="Categories").get_by_role("button")
    expect(chips).to_have_text(["Orders 4", "Security 2"])
    chips.nth(1).click()
    expect(shown).to_have_text(["Sign-in 1", "Sign-in 0"])
    feed(page).get_by_role("button", name="Mark all as read").click()
    expect(chips).to_have_text(["Orders 4", "Security"])
    expect(bell(page).locator(".badge")).to_have_text("4")
    chips.nth(1).click()
    expect(shown).to_have_count(6)


def test_bundles_that_leave_the_list_short_do_not_end_it(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    """Whole pages fold into one row, so the list's end is in sight before and after each of them."""
    deliver(message(person, "At the bottom"))
    deliver(*(message(person, f"Reply {n}", metadata={"in_app": {"group": "review-9"}}) for n in range(60)))
    page = tabs(of=contexts(viewport={"width": 1000, "height": 800}))
    connected(page)

    expect(feed(page).locator(".item:visible .title")).to_have_text(["Reply 59", "At the bottom"])
    expect(feed(page).get_by_role("button", name="59 more like this")).to_be_visible()


def test_bundles_beyond_what_a_list_keeps_are_neither_cut_nor_read_again(
    tabs: Tabs, contexts: Any, person: Recipient
) -> None:
    """More than 300 items in few rows: the list is at its top, and its end in sight, all the time."""
    deliver(*(message(person, f"At the bottom {n}") for n in range(3)))
    deliver(*(message(person, f"Reply {n}", metadata={"in_app": {"group": "review-9"}}) for n in range(330)))
    page = tabs(of=contexts(viewport={"width": 1000, "height": 800}))
    connected(page)
    rows, shown = feed(page).locator(".item"), feed(page).locator(".item:visible")
    expect(rows).to_have_count(300)
    deliver(message(person, "First live"))  # has its module come, and the list read once more
    expect(rows).to_have_count(334)
    page.wait_for_timeout(1000)
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/api/v1/feed/?" in request.url else None)

    deliver(*(message(person, f"Live {n}") for n in range(3)))
    expect(shown.locator(".title").first).to_have_text("Live 2")
    expect(rows).to_have_count(337)
    page.wait_for_timeout(1000)
    assert read == []

    feed(page).get_by_role("button", name="329 more like this").click()
    expect(shown).to_have_count(337)
    expect(shown.last.locator(".title")).to_have_text("At the bottom 0")


def test_a_page_that_failed_is_read_with_the_next_drawing(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    deliver(message(person, "At the bottom"))
    deliver(*(message(person, f"Reply {n}", metadata={"in_app": {"group": "review-9"}}) for n in range(60)))
    context = contexts(viewport={"width": 1000, "height": 800})
    failed: list[str] = []

    def fail_once(route: Any) -> None:
        if failed:
            return route.continue_()
        failed.append(route.request.url)
        return route.abort()

    context.route("**/api/v1/feed/?*cursor=*", fail_once)
    page = tabs(of=context)
    connected(page)
    expect(feed(page).get_by_role("button", name="24 more like this")).to_be_visible()
    deliver(message(person, "Live"))

    shown = feed(page).locator(".item:visible .title")
    expect(shown).to_have_text(["Live", "Reply 59", "At the bottom"])
    assert len(failed) == 1


def test_the_first_key_scrolls_no_page_while_what_it_takes_is_on_its_way(
    tabs: Tabs, shop: Shop, person: Recipient
) -> None:
    deliver(*(message(person, title) for title in ("Third", "Second", "First")))
    shop.shows(person, "<header>{inbox}</header><div style='height: 5000px'></div>")
    page = tabs(shop.url, signed_in=False)
    connected(page)
    bell(page).locator("button.bell").click()
    expect(bell(page).locator(".item")).to_have_count(3)

    page.keyboard.press("End")

    expect(bell(page).locator(".item").nth(2).locator(".main")).to_be_focused()
    assert page.evaluate("scrollY") == 0
