"""What the inbox costs a page: measured in the browser, as it came over the wire and as it was unpacked."""

from dataclasses import dataclass
from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Shop, Web, bell, connected, feed, sign_in
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BELL = {"inbox", "client", "socket", "dom", "strings"}
LIST = {"panel", "chips", "list", "rows"}
BOUND = 40 * 1024


@dataclass
class Loaded:
    """The modules a page asked for, by name: (bytes over the wire, bytes unpacked). And how often it asked."""

    sizes: dict[str, tuple[int, int]]
    asked: int

    @property
    def wire(self) -> int:
        return sum(wire for wire, _ in self.sizes.values())

    @property
    def unpacked(self) -> int:
        return sum(unpacked for _, unpacked in self.sizes.values())


def _visit(context: Any, address: str) -> tuple[Any, Any]:
    page = context.new_page()
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright marks its handlers
    page.goto(address)

    def loaded(ending: str = ".js") -> Loaded:
        page.wait_for_load_state("networkidle")
        mine = [answer for answer in answers if "/channels_app/carillon-" in answer.url and answer.url.endswith(ending)]
        assert {answer.headers.get("content-encoding") for answer in mine} <= {"gzip"}
        name = {answer.url: answer.url.rsplit("carillon-")[-1].removesuffix(ending) for answer in mine}
        sizes = {name[a.url]: (a.request.sizes()["responseBodySize"], len(a.body())) for a in mine}
        return Loaded(sizes, len(mine))

    return page, loaded


def _feed_of_everyday(person: Recipient) -> None:
    """More than a screen, of several categories, none of it seen."""
    deliver(
        *(message(person, f"{slug} {n}", category=slug) for slug in ("orders", "security", "news") for n in range(12))
    )


def test_a_bell_on_a_page_is_half_of_that(contexts: Any, shop: Shop, person: Recipient) -> None:
    _feed_of_everyday(person)
    shop.shows(person)
    page, loaded = _visit(contexts(), shop.url)
    connected(page)
    expect(bell(page).locator(".badge")).to_have_text("36")

    scripts = loaded()

    assert set(scripts.sizes) == BELL
    assert scripts.unpacked < 21_500
    assert scripts.wire < 9_500


def test_a_page_with_the_list_is_less_than_40_kb_of_script_even_unpacked(
    contexts: Any, web: Web, person: Recipient, record_property: Any
) -> None:
    _feed_of_everyday(person)
    context = contexts()
    sign_in(context, web, person)
    page, loaded = _visit(context, f"{web.url}/inbox/")
    connected(page)
    expect(feed(page).locator(".item")).to_have_count(25)
    expect(feed(page).get_by_role("group", name="Categories").get_by_role("button")).to_have_count(3)
    page.wait_for_timeout(1500)  # what was seen is told, and comes back

    scripts = loaded()

    record_property("unpacked", scripts.unpacked)
    record_property("wire", scripts.wire)
    assert set(scripts.sizes) == BELL | LIST | {"title"}
    assert scripts.unpacked < BOUND
    assert scripts.wire < 19_000
    assert scripts.asked == len(scripts.sizes)  # each once
    assert loaded(".css").asked == 1


def test_a_page_with_an_open_popover_is_less_too_and_the_rest_waits_until_it_is_wanted(
    contexts: Any, shop: Shop, person: Recipient
) -> None:
    _feed_of_everyday(person)
    shop.shows(person)
    page, loaded = _visit(contexts(), shop.url)
    connected(page)
    bell(page).locator("button.bell").click()
    expect(bell(page).locator(".item")).to_have_count(25)
    page.wait_for_timeout(1500)

    scripts = loaded()

    assert set(scripts.sizes) == BELL | LIST | {"popover"}
    assert scripts.unpacked < BOUND
    assert scripts.wire < 19_500
    bell(page).locator(".item").first.hover()
    bell(page).get_by_role("button", name="Snooze", exact=True).first.click()
    expect(bell(page).get_by_role("menuitem").first).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(bell(page).get_by_role("dialog")).to_be_hidden()
    deliver(message(person, "Live"))
    expect(bell(page).get_by_role("status").get_by_text("Live")).to_be_visible()
    expect(bell(page).locator(".item")).to_have_count(26)
    scripts = loaded()
    later = {"hands", "deeds", "icons", "menu", "changes", "arrivals", "motion"}
    assert set(scripts.sizes) == BELL | LIST | {"popover"} | later
    assert scripts.wire < 28_000
