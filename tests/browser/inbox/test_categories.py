"""The chips of categories: however many and long, each can be reached, and none sticks out."""

from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.axe import violations
from tests.browser.inbox.conftest import Shop, Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: How a chip stands in the box that scrolls it, and that in its panel.
PLACES = """(tab) => {
    const box = tab.parentElement.getBoundingClientRect(), at = tab.getBoundingClientRect();
    const panel = tab.closest(".panel").getBoundingClientRect();
    return {
        inBox: at.top >= box.top - 1 && at.bottom <= box.bottom + 1,
        cut: at.top < box.bottom - 1 && at.bottom > box.bottom + 1,
        inPanel: at.left >= panel.left && at.right <= panel.right && box.left >= panel.left && box.right <= panel.right,
    };
}"""


def _chips(element: Any) -> Any:
    return element.get_by_role("group", name="Categories").get_by_role("button")


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("width", [1280, 390])
def test_many_and_long_ones_wrap_scroll_and_show_that_they_do(
    tabs: Tabs, shop: Shop, contexts: Any, person: Recipient, width: int, direction: str
) -> None:
    slugs = [f"{n:02}-{'news-of-the-harbour-and-the-town' if n % 3 else 'news'}" for n in range(14)]
    deliver(*(message(person, slug, category=slug) for slug in slugs))
    shop.shows(person, f"<script>document.dir = '{direction}'</script><header>Shop {{inbox}}</header>")
    page = tabs(shop.url, signed_in=False, of=contexts(viewport={"width": width, "height": 800}))
    connected(page)
    bell(page).locator("button.bell").click()
    chips = _chips(bell(page))
    expect(chips).to_have_count(14)

    places = [chip.evaluate(PLACES) for chip in chips.all()]
    assert all(place["inPanel"] for place in places)
    assert places[0]["inBox"]
    assert not places[-1]["inBox"]
    assert any(place["cut"] for place in places), "nothing shows that there are more"
    assert violations(page, "header carillon-inbox") == []

    chips.nth(12).focus()
    page.keyboard.press("Tab")
    expect(chips.nth(13)).to_be_focused()
    assert chips.nth(13).evaluate(PLACES)["inBox"]
    page.keyboard.press("Enter")
    expect(bell(page).locator(".item:visible .title")).to_have_text([slugs[13]])
    expect(chips.nth(13)).to_be_focused()
    expect(chips.nth(13)).to_have_attribute("aria-pressed", "true")


def test_what_arrives_moves_neither_the_focus_nor_the_place_of_the_chips(tabs: Tabs, person: Recipient) -> None:
    deliver(*(message(person, f"{n}", category=f"news-of-the-harbour-and-of-town-{n:02}") for n in range(30)))
    page = tabs()
    connected(page)
    chips = _chips(feed(page))
    expect(chips).to_have_count(30)
    chips.nth(29).focus()
    scrolled = chips.nth(0).evaluate("(chip) => chip.parentElement.scrollTop")
    assert scrolled > 0

    deliver(message(person, "Live", category="a-new-one"))

    expect(chips).to_have_count(31)
    expect(chips.nth(30)).to_be_focused()
    assert abs(chips.nth(0).evaluate("(chip) => chip.parentElement.scrollTop") - scrolled) < 60


def test_the_chosen_one_can_be_let_go_when_nothing_is_left_in_it(tabs: Tabs, person: Recipient) -> None:
    deliver(message(person, "Order"), message(person, "Sign-in", category="security"))
    page = tabs()
    connected(page)
    chips = _chips(feed(page))
    chips.nth(1).click()
    expect(feed(page).locator(".item .title")).to_have_text(["Sign-in"])

    feed(page).locator(".item").hover()
    feed(page).get_by_role("button", name="Archive", exact=True).click()
    expect(feed(page).locator(".item")).to_have_count(0)
    page.wait_for_timeout(800)  # the counts have changed, so the categories are asked for again
    expect(chips).to_have_text(["Orders 1", "Security"])
    chips.nth(1).click()

    expect(feed(page).locator(".item .title")).to_have_text(["Order"])
