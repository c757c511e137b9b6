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
LIST = {"panel", "list", "rows"}


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


def test_a_bell_on_a_page_is_less_than_30_kb_of_script_even_unpacked(
    contexts: Any, shop: Shop, person: Recipient
) -> None:
    shop.shows(person, attributes="mode=bell")
    page, loaded = _visit(contexts(), shop.url)
    connected(page)

    scripts = loaded()

    assert set(scripts.sizes) == BELL
    assert scripts.unpacked < 30_000
    assert scripts.wire < 11_000


def test_with_the_list_it_is_less_than_20_kb_over_the_wire_and_the_rest_waits_until_it_is_wanted(
    contexts: Any, shop: Shop, person: Recipient
) -> None:
    deliver(message(person, "Hello"))
    shop.shows(person)
    page, loaded = _visit(contexts(), shop.url)
    connected(page)

    scripts = loaded()

    assert set(scripts.sizes) == BELL | LIST
    assert scripts.wire < 20_000
    assert scripts.unpacked < 56_000
    deliver(message(person, "Live"))
    expect(bell(page).get_by_role("status").get_by_text("Live")).to_be_visible()
    bell(page).locator("button.bell").click()
    bell(page).locator(".item").first.hover()
    bell(page).get_by_role("button", name="Snooze", exact=True).first.click()
    expect(bell(page).get_by_role("menuitem").first).to_be_visible()
    scripts = loaded()
    assert set(scripts.sizes) == BELL | LIST | {"toast", "menu"}
    assert scripts.wire < 22_000


def test_our_own_page_asks_for_each_file_once(contexts: Any, web: Web, person: Recipient) -> None:
    context = contexts()
    sign_in(context, web, person)
    page, loaded = _visit(context, f"{web.url}/inbox/")
    connected(page)
    expect(feed(page).get_by_text("You’re all caught up")).to_be_visible()

    scripts = loaded()

    assert set(scripts.sizes) == BELL | LIST | {"title"}
    assert scripts.asked == len(scripts.sizes)
    assert scripts.wire < 20_000
    assert loaded(".css").asked == 1
