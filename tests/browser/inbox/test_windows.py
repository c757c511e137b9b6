"""Two windows of one person say the same within a second: in one browser, and in two that are strangers."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BOUND_MS = 1000.0
#: When the list and the badge first looked as they should, by the machine's clock.
WHEN = """(wanted) => new Promise((done) => {
    const [bell, list] = document.querySelectorAll("carillon-inbox");
    const look = () => {
        const badge = bell.shadowRoot.querySelector(".badge");
        const now = [
            badge.hidden ? 0 : Number(badge.textContent),
            list.shadowRoot.querySelectorAll(".item").length,
            list.shadowRoot.querySelectorAll(".item.unread").length,
        ];
        if (String(now) === String(wanted)) done(Date.now());
        else setTimeout(look, 5);
    };
    look();
})"""


def _agree(pages: list[Any], act: Callable[[], object], wanted: list[int]) -> float:
    """Milliseconds from an act until the last page shows (badge, rows, unread rows) as wanted."""
    for page in pages:
        page.evaluate(f"() => {{ window.when = ({WHEN})({wanted}) }}")
    began = time.time() * 1000
    act()
    return max(page.evaluate("window.when") for page in pages) - began


@pytest.mark.parametrize("browsers", [1, 2])
def test_they_agree_within_a_second(
    tabs: Tabs, contexts: Any, person: Recipient, browsers: int, record_property: Any
) -> None:
    deliver(message(person, "First"), message(person, "Second"))
    pages = [tabs(), tabs(of=contexts() if browsers == 2 else None)]
    for page in pages:
        expect(feed(page).locator(".item")).to_have_count(2)
        expect(bell(page).locator(".badge")).to_have_text("2")
        connected(page)
    one, two = (feed(page) for page in pages)

    took = {
        "an arrival": _agree(pages, lambda: deliver(message(person, "Third")), [3, 3, 3]),
        "read": _agree(pages, one.locator(".item").first.click, [2, 3, 2]),
        "unread": _agree(pages, lambda: two.locator(".item .read").first.dispatch_event("click"), [3, 3, 3]),
        "archived": _agree(
            pages,
            lambda: two.get_by_role("button", name="Archive", exact=True).first.dispatch_event("click"),
            [2, 2, 2],
        ),
        "all read": _agree(pages, one.get_by_role("button", name="Mark all as read").click, [0, 2, 0]),
    }

    for what, ms in took.items():
        record_property(what, f"{ms:.0f} ms")
    assert max(took.values()) < BOUND_MS, took
