"""A browser that was cut off, and is back: it misses nothing, and what it shows does not flicker."""

from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Marks the rows that are there, and notes which ids come and which go from now on.
WATCH = """(list) => {
    const items = list.shadowRoot.querySelector(".items");
    window.came = []; window.went = []; window.rows = [...items.querySelectorAll(".item")];
    new MutationObserver((changes) => changes.forEach(({addedNodes, removedNodes}) => {
        window.came.push(...[...addedNodes].filter((n) => n.item).map((n) => n.item.id));
        window.went.push(...[...removedNodes].filter((n) => n.item).map((n) => n.item.id));
    })).observe(items, {childList: true});
}"""


def _titles(page: Any) -> list[str]:
    return list(feed(page).locator(".item .title").all_inner_texts())


@pytest.mark.parametrize("gap", [60, 240])
def test_an_hour_away_is_made_up_for_without_a_flicker(tabs: Tabs, person: Recipient, gap: int) -> None:
    """60 come by the socket; beyond 100 it says so, and the list is read again."""
    deliver(*(message(person, f"Before {n}") for n in range(20)))
    page = tabs()
    expect(feed(page).locator(".item")).to_have_count(20)
    connected(page)
    feed(page).evaluate(WATCH)

    page.context.set_offline(True)
    expect(feed(page)).to_have_attribute("data-status", "offline")
    for start in range(0, gap, 20):
        deliver(*(message(person, f"Meanwhile {n}") for n in range(start, start + 20)))
    page.wait_for_timeout(300)
    assert feed(page).locator(".item").count() == 20
    expect(feed(page).get_by_text("Reconnecting…")).to_be_visible(timeout=10_000)
    page.context.set_offline(False)

    expect(feed(page).locator(".item")).to_have_count(gap + 20, timeout=15_000)
    expected = [f"Meanwhile {n}" for n in reversed(range(gap))] + [f"Before {n}" for n in reversed(range(20))]
    assert _titles(page) == expected
    expect(feed(page).get_by_text("Reconnecting…")).to_be_hidden()
    expect(bell(page).locator(".badge")).to_have_text("80" if gap == 60 else "99+")
    page.wait_for_timeout(500)  # were there a second rendering, it would have come by now
    came, went = page.evaluate("[window.came, window.went]")
    assert went == []  # no row was made anew
    assert len(came) == len(set(came)) == gap  # and none came twice
    assert page.evaluate("window.rows.every((row) => row.isConnected)")


def test_what_happened_elsewhere_meanwhile_is_shown_when_back(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    deliver(*(message(person, title) for title in ("Read", "Put away", "Left alone")))
    away, here = tabs(), tabs(of=contexts())
    for page in (away, here):
        expect(feed(page).locator(".item")).to_have_count(3)
        connected(page)
    away.context.set_offline(True)
    expect(feed(away)).to_have_attribute("data-status", "offline")

    feed(here).get_by_text("Read", exact=True).click()
    row = feed(here).locator(".item", has_text="Put away")
    row.hover()
    row.get_by_role("button", name="Archive", exact=True).click()
    expect(feed(here).locator(".item")).to_have_count(2)
    away.context.set_offline(False)

    expect(feed(away).locator(".item .title")).to_have_text(["Left alone", "Read"], timeout=15_000)
    expect(feed(away).locator(".item.unread")).to_have_count(1)
    expect(bell(away).locator(".badge")).to_have_text("1")


def test_what_is_done_without_a_connection_is_taken_back_and_said(tabs: Tabs, person: Recipient) -> None:
    deliver(message(person, "Hello"))
    page = tabs()
    expect(feed(page).locator(".item.unread")).to_have_count(1)
    connected(page)
    row = feed(page).locator(".item")
    row.hover()
    expect(row.get_by_role("button", name="Archive", exact=True)).to_be_visible()
    page.context.set_offline(True)

    row.get_by_role("button", name="Archive", exact=True).click()

    expect(feed(page).get_by_text("That did not work. Try again.")).to_be_visible()
    expect(feed(page).locator(".item")).to_have_count(1)


def test_a_page_that_could_not_load_its_list_offers_to_try_again(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    deliver(message(person, "Hello"))
    context = contexts()
    context.route("**/api/v1/feed/?*", lambda route: route.abort())
    page = tabs(of=context)
    connected(page)  # whose hello has it tried again by itself
    expect(feed(page).get_by_text("Notifications could not be loaded")).to_be_visible()
    page.wait_for_timeout(500)
    context.unroute("**/api/v1/feed/?*")

    feed(page).get_by_role("button", name="Try again").click()

    expect(feed(page).get_by_text("Hello")).to_be_visible()
