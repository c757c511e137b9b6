"""What /inbox/ and the element on another site's page do."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from channels_app import waking
from channels_app.models import FeedItem
from preferences.models import Recipient
from tests.browser.inbox.conftest import Shop, Web, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_demos_visitor_becomes_a_recipient_and_leaves_again(tabs: Any) -> None:
    page = tabs(signed_in=False)

    page.get_by_role("button", name="Continue as ada").click()
    expect(feed(page).get_by_text("You’re all caught up")).to_be_visible()
    page.wait_for_load_state("networkidle")  # or what is asked at this moment is asked by nobody
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("button", name="Continue as ada")).to_be_visible()


def test_an_item_arrives_without_a_reload_and_the_badge_counts_it(tabs: Any, person: Recipient) -> None:
    page = tabs()
    expect(feed(page).get_by_text("You’re all caught up")).to_be_visible()
    connected(page)

    deliver(message(person, "Your parcel arrives today", body="Between 14:00 and 16:00."))

    expect(feed(page).locator(".item .title")).to_have_text("Your parcel arrives today")
    expect(feed(page).locator("[aria-live]")).to_have_text("New notification: Your parcel arrives today")
    expect(bell(page).locator(".badge")).to_have_text("1")
    expect(page).to_have_title("(1) Inbox · Carillon")


def test_what_one_tab_reads_is_read_in_the_other(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "First"), message(person, "Second"))
    one, two = tabs(), tabs()
    for page in (one, two):
        expect(bell(page).locator(".badge")).to_have_text("2")
        connected(page)

    feed(one).get_by_text("First").click()

    for page in (one, two):
        expect(bell(page).locator(".badge")).to_have_text("1")
        expect(feed(page).locator(".item.unread")).to_have_count(1)
    feed(two).get_by_role("button", name="Mark all as read").click()
    for page in (one, two):
        expect(bell(page).locator(".badge")).to_be_hidden()
        expect(feed(page).locator(".item.unread")).to_have_count(0)


def test_what_is_on_the_screen_is_seen_and_delivered(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "Hello"))

    expect(feed(tabs()).get_by_text("Hello")).to_be_visible()

    deadline = time.monotonic() + 5
    while FeedItem.objects.get().seen_at is None and time.monotonic() < deadline:
        time.sleep(0.1)
    item = FeedItem.objects.get()
    assert item.seen_at is not None
    assert item.delivered_at is not None
    assert item.read_at is None


def test_archived_items_leave_every_tab_and_can_come_back(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "Keep"), message(person, "Put away"))
    one, two = tabs(), tabs()
    for page in (one, two):
        expect(feed(page).locator(".item")).to_have_count(2)
        connected(page)

    row = feed(one).locator(".item", has_text="Put away")
    row.hover()
    row.get_by_role("button", name="Archive").click()
    for page in (one, two):
        expect(feed(page).locator(".item")).to_have_count(1)
    feed(one).get_by_role("button", name="Archived").click()
    row = feed(one).locator(".item", has_text="Put away")
    row.hover()
    row.get_by_role("button", name="Move back to inbox").click()

    expect(feed(two).locator(".item")).to_have_count(2)
    expect(feed(one).get_by_text("The archive is empty")).to_be_visible()


def test_markup_in_a_message_is_shown_and_not_run(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "<img src=x onerror=alert(1)>", body="<b>bold</b>"))
    page = tabs()

    expect(feed(page).get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    assert feed(page).locator("img, b").count() == 0


def test_nothing_is_missed_while_the_server_is_away(tabs: Any, web: Web, person: Recipient) -> None:
    page = tabs()
    connected(page)
    deliver(message(person, "Before"))
    expect(feed(page).locator(".item")).to_have_count(1)

    web.stop()
    deliver(message(person, "Meanwhile one"), message(person, "Meanwhile two"))
    web.start()

    expect(feed(page).locator(".item")).to_have_count(3, timeout=30_000)
    assert feed(page).locator(".title").all_inner_texts() == ["Meanwhile two", "Meanwhile one", "Before"]


def test_the_bell_is_worked_by_keyboard(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "First"), message(person, "Second"))
    page = tabs()
    button = bell(page).locator("button.bell")
    expect(button).to_have_accessible_name("Notifications, 2 new")

    button.focus()
    page.keyboard.press("Enter")
    expect(bell(page).get_by_role("dialog", name="Notifications")).to_be_visible()
    expect(bell(page).locator(".item")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(bell(page).locator(".item.unread")).to_have_count(1)
    page.keyboard.press("Escape")

    expect(bell(page).get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_scrolling_brings_the_older_items(tabs: Any, person: Recipient) -> None:
    deliver(*(message(person, f"Number {n}") for n in range(60)))
    page = tabs()
    expect(feed(page).get_by_text("Number 59")).to_be_visible()

    for _ in range(10):
        page.keyboard.press("End")
        page.mouse.wheel(0, 5000)
        page.wait_for_timeout(100)

    expect(feed(page).locator(".item")).to_have_count(60)
    titles = feed(page).locator(".title").all_inner_texts()
    assert titles == [f"Number {n}" for n in reversed(range(60))]


def test_another_site_embeds_the_bell_with_a_token(tabs: Any, shop: Shop, person: Recipient) -> None:
    deliver(message(person, "Before", link="/orders/7"))
    shop.shows(person)

    page = tabs(shop.url, signed_in=False)
    expect(bell(page)).to_have_attribute("data-status", "online")
    expect(bell(page).locator(".badge")).to_have_text("1")
    deliver(message(person, "Live"))
    expect(bell(page).locator(".badge")).to_have_text("2")
    bell(page).locator("button.bell").click()
    expect(bell(page).locator(".item")).to_have_count(2)
    expect(bell(page).locator(".badge")).to_be_hidden()  # on the screen, so no longer unseen
    bell(page).get_by_text("Before").click()

    page.wait_for_url(f"{shop.url}/orders/7")
    deadline = time.monotonic() + 5
    while FeedItem.objects.get(seq=1).read_at is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert FeedItem.objects.get(seq=1).read_at is not None


def test_a_snoozed_item_comes_back_live_as_unread(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "Later"), message(person, "Newer"))
    page = tabs()
    connected(page)
    row = feed(page).locator(".item", has_text="Later")
    row.hover()
    row.get_by_role("button", name="Snooze").click()
    feed(page).get_by_role("menuitem", name="In an hour").click()
    expect(feed(page).locator(".item")).to_have_count(1)
    feed(page).get_by_role("button", name="Snoozed").click()
    expect(feed(page).get_by_text("Later")).to_be_visible()
    feed(page).get_by_role("button", name="All", exact=True).click()
    expect(feed(page).get_by_text("Newer")).to_be_visible()

    FeedItem.objects.filter(title="Later").update(snoozed_until=timezone.now() - timedelta(seconds=1))
    waking.wake()

    expect(feed(page).locator(".item .title")).to_have_text(["Later", "Newer"])
    expect(feed(page).locator(".item.unread", has_text="Later")).to_be_visible()


def test_a_sender_s_buttons_tell_the_page_and_lead_on(tabs: Any, person: Recipient) -> None:
    buttons = [{"label": "Mute", "event": "order.mute"}, {"label": "Track", "link": "/orders/7", "primary": True}]
    deliver(message(person, "Order", metadata={"in_app": {"actions": buttons}}))
    page = tabs()
    page.evaluate("addEventListener('carillon-action', ({detail}) => (window.told = detail.action.event))")

    feed(page).get_by_role("button", name="Mute").click()

    expect(feed(page).locator(".item.unread")).to_have_count(0)
    assert page.evaluate("window.told") == "order.mute"
    expect(feed(page).get_by_role("link", name="Track")).to_have_attribute("href", "/orders/7")


def test_an_arrival_is_toasted_beside_a_closed_bell_and_can_be_dismissed(
    tabs: Any, shop: Shop, person: Recipient
) -> None:
    shop.shows(person)
    page = tabs(shop.url, signed_in=False)
    expect(bell(page)).to_have_attribute("data-status", "online")

    deliver(message(person, "Live"))

    expect(bell(page).get_by_role("status").get_by_text("Live")).to_be_visible()
    bell(page).get_by_role("button", name="Dismiss").click()
    expect(bell(page).locator(".toast")).to_have_count(0)


def test_neither_token_nor_ticket_stands_in_any_address(
    tabs: Any, contexts: Any, shop: Shop, person: Recipient
) -> None:
    """Addresses get logged on their way; headers and bodies do not."""
    context, addresses, secrets = contexts(), [], []

    def watch(page: Any) -> None:
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        page.on("response", lambda answer: secrets.append(answer) if "socket-ticket" in answer.url else None)

    context.on("page", watch)
    deliver(message(person, "Before"))
    shop.shows(person)
    page = tabs(shop.url, signed_in=False, of=context)
    connected(page)
    bell(page).locator("button.bell").click()
    bell(page).get_by_role("button", name="Mark all as read").click()
    expect(bell(page).locator(".item.unread")).to_have_count(0)

    assert any(address.startswith("ws") for address in addresses)
    token = page.locator("carillon-inbox").get_attribute("token")
    for secret in (token, secrets[0].json()["ticket"]):
        assert not [address for address in addresses if secret in address]
