"""What the inbox does when one of its modules can't be had, comes late or is of another release: it says so."""

import re
from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Tabs, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def _cut(route: Any) -> None:
    route.abort("internetdisconnected")


def test_a_view_that_cannot_be_read_says_so_and_can_be_tried_again(
    tabs: Tabs, contexts: Any, person: Recipient
) -> None:
    """Whatever it takes to say so is there already."""
    deliver(message(person, "Hello"))
    context = contexts()
    page = tabs(of=context)
    expect(feed(page).locator(".item")).to_have_count(1)
    connected(page)
    # Else the next list hears that this one was seen, and is read again by itself.
    while not feed(page).locator(".item").evaluate("(row) => row.item.seen_at"):
        page.wait_for_timeout(50)
    parts = ("**/api/v1/feed/?*", "**/carillon-empty.js*")
    for part in parts:
        context.route(part, _cut)

    feed(page).get_by_role("button", name="Archived").click()
    expect(feed(page).get_by_text("Notifications could not be loaded")).to_be_visible()
    for part in parts:
        context.unroute(part)
    feed(page).get_by_role("button", name="Try again").click()

    expect(feed(page).get_by_text("The archive is empty")).to_be_visible()


def test_a_list_whose_module_cannot_be_had_says_so_and_comes_when_the_socket_is_back(
    tabs: Tabs, contexts: Any, person: Recipient
) -> None:
    deliver(message(person, "Hello"))
    context = contexts()
    context.route("**/carillon-panel.js*", _cut)
    page = tabs(of=context)
    expect(feed(page).get_by_text("Notifications could not be loaded")).to_be_visible()

    context.unroute("**/carillon-panel.js*")
    context.set_offline(True)
    expect(feed(page)).to_have_attribute("data-status", "offline")
    context.set_offline(False)

    expect(feed(page).locator(".item")).to_have_count(1)
    expect(feed(page).get_by_text("Notifications could not be loaded")).to_be_hidden()


def test_rows_do_not_wait_for_the_buttons_of_their_sender_which_come_at_the_next_chance(
    tabs: Tabs, contexts: Any, person: Recipient
) -> None:
    asks = {"actions": [{"label": "Approve", "event": "approve"}]}
    deliver(message(person, "Holiday", metadata={"in_app": asks}))
    context = contexts()
    context.route("**/carillon-extras.js*", _cut)
    page = tabs(of=context)
    expect(feed(page).locator(".item")).to_have_count(1)
    connected(page)
    assert feed(page).get_by_role("button", name="Approve").count() == 0

    context.unroute("**/carillon-extras.js*")
    deliver(message(person, "News"))

    expect(feed(page).locator(".item")).to_have_count(2)
    expect(feed(page).get_by_role("button", name="Approve")).to_have_count(1)


def test_a_burst_before_its_module_has_come_costs_one_reading(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    context = contexts()
    held: list[Any] = []
    context.route("**/carillon-changes.js*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    page = tabs(of=context)
    connected(page)
    pages: list[str] = []
    page.on("request", lambda request: pages.append(request.url) if "/feed/?" in request.url else None)

    deliver(*(message(person, f"Item {n}") for n in range(20)))
    page.wait_for_timeout(1500)
    for route in held:
        route.continue_()

    expect(feed(page).locator(".item")).to_have_count(20)
    page.wait_for_timeout(500)
    assert len(pages) <= 2, pages


def test_a_second_hello_on_one_socket_leaves_one_ping(tabs: Tabs, person: Recipient) -> None:
    page = tabs()
    connected(page)

    living = page.evaluate("""async () => {
        const { FeedSocket } = await import("/static/channels_app/carillon-socket.js");
        const living = new Set(), set = window.setInterval, clear = window.clearInterval, cut = window.clearTimeout;
        window.setInterval = (...all) => { const id = set(...all); living.add(id); return id; };
        window.clearInterval = (id) => (living.delete(id), clear(id));
        window.clearTimeout = (id) => (living.delete(id), cut(id));
        let socket;
        window.WebSocket = class { static OPEN = 1; constructor() { socket = this; } close() {} send() {} };
        const hear = () => {};
        const feed = new FeedSocket({ baseUrl: location.origin, token: "", since: null, ticket: async () => null,
            hear, setStatus: hear, resync: hear });
        feed.start();
        await new Promise((next) => set(next, 50));
        for (let n = 0; n < 3; n++) socket.onmessage({ data: JSON.stringify({ type: "hello", counts: {} }) });
        feed.stop();
        return living.size;
    }""")

    assert living == 0


def test_a_page_from_before_a_release_asks_to_be_read_anew(tabs: Tabs, contexts: Any, person: Recipient) -> None:
    """What it loads from then on may not fit what it has; a socket that ends for another reason says nothing."""
    deliver(message(person, "Hello"))
    context = contexts()
    server = {"release": ""}

    def between(socket: Any) -> None:
        sockets.append(socket)
        real = socket.connect_to_server()
        real.on_message(lambda text: socket.send(text.replace('"release":"', f'"release":"{server["release"]}')))

    sockets: list[Any] = []
    context.route_web_socket(re.compile("/ws/feed/"), between)
    page = tabs(of=context)
    connected(page)
    asks = feed(page).get_by_text("There is a new version. Reload the page.")

    for release, status in [("", "online"), ("other", "outdated"), ("", "online")]:
        server["release"] = release
        before = len(sockets)
        sockets[-1].close(code=1012)
        for _ in range(300):
            if len(sockets) > before:
                break
            page.wait_for_timeout(50)
        expect(feed(page)).to_have_attribute("data-status", status)
        expect(asks).to_have_count(1 if status == "outdated" else 0)
    deliver(message(person, "Live"))
    expect(feed(page).locator(".item .title")).to_have_text(["Live", "Hello"])
