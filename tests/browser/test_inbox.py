"""/inbox/ in a real browser, served by daphne from a process of its own."""

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.cached_db import SessionStore
from django.utils import timezone

from channels_app import identity, waking
from channels_app.models import FeedItem
from preferences.models import Recipient
from tests import factories
from tests.browser.axe import violations
from tests.browser.console import complaints
from tests.channels_app.conftest import deliver, message
from tests.conftest import unavailable

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="module", autouse=True)
def _sync_database_beside_playwright() -> Iterator[None]:
    """Playwright keeps an event loop running on this thread, and Django would refuse to work beside it."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    yield
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        unavailable(f"No browser at {CHROMIUM}. Install Debian's `chromium`, or set CHROMIUM.")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Web:
    """The web process: started, stopped and started again on one port."""

    def __init__(self, env: dict[str, str]) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
        # The channel layer's prefix is settled when settings load; this test's rows are told of under that one.
        layer = settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"]
        self.env = {**env, "REDIS_PREFIX": layer, "DEMO": "1", "PUBLIC_URL": self.url}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/inbox/", timeout=2)
            except OSError:
                time.sleep(0.2)
            else:
                return
        pytest.fail("daphne did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(15)
            self.process = None


@pytest.fixture
def shop(person: Recipient) -> Iterator["Shop"]:
    made = Shop()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


class Shop(http.server.ThreadingHTTPServer):
    """Another site: one page, the same at every path."""

    page = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShopPage)
        self.url = f"http://localhost:{self.server_port}"


class ShopPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *args: object) -> None:
        """Not in the test's output."""


@pytest.fixture
def web(process_env: dict[str, str], person: Recipient, shop: Shop) -> Iterator[Web]:
    server = Web({**process_env, "DEMO_RECIPIENT": person.external_id, "FEED_ALLOWED_ORIGINS": shop.url})
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def person(transactional_db: None) -> Recipient:
    return factories.recipient("ada", devices=0)


@pytest.fixture
def tabs(chromium: Any, web: Web, person: Recipient) -> Iterator[Any]:
    """Opens pages of one signed-in browser; a page that logs an error fails the test."""
    context = chromium.new_context(viewport={"width": 1000, "height": 800})
    problems: list[str] = []

    def open_(path: str = "/inbox/", *, signed_in: bool = True) -> Any:
        if signed_in:
            session = SessionStore()
            session[identity.SESSION_KEY] = person.external_id
            session.save()
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": web.url}])
        page = context.new_page()
        complaints(page, problems)
        page.goto(path if path.startswith("http") else web.url + path)
        return page

    yield open_
    context.close()
    assert problems == []


def _bell(page: Any) -> Any:
    return page.locator("header carillon-inbox")


def _list(page: Any) -> Any:
    return page.locator("main carillon-inbox")


def test_the_demos_visitor_becomes_a_recipient_and_leaves_again(tabs: Any) -> None:
    page = tabs(signed_in=False)

    page.get_by_role("button", name="Continue as ada").click()
    expect(_list(page).get_by_text("You’re all caught up")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("button", name="Continue as ada")).to_be_visible()


def test_an_item_arrives_without_a_reload_and_the_badge_counts_it(tabs: Any, person: Recipient) -> None:
    page = tabs()
    expect(_list(page).get_by_text("You’re all caught up")).to_be_visible()
    _connected(page)

    deliver(message(person, "Your parcel arrives today", body="Between 14:00 and 16:00."))

    expect(_list(page).locator(".item .title")).to_have_text("Your parcel arrives today")
    expect(_list(page).locator("[aria-live]")).to_have_text("New notification: Your parcel arrives today")
    expect(_bell(page).locator(".badge")).to_have_text("1")
    expect(page).to_have_title("(1) Inbox · Carillon")


def test_what_one_tab_reads_is_read_in_the_other(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "First"), message(person, "Second"))
    one, two = tabs(), tabs()
    for page in (one, two):
        expect(_bell(page).locator(".badge")).to_have_text("2")
        _connected(page)

    _list(one).get_by_text("First").click()

    for page in (one, two):
        expect(_bell(page).locator(".badge")).to_have_text("1")
        expect(_list(page).locator(".item.unread")).to_have_count(1)
    _list(two).get_by_role("button", name="Mark all as read").click()
    for page in (one, two):
        expect(_bell(page).locator(".badge")).to_be_hidden()
        expect(_list(page).locator(".item.unread")).to_have_count(0)


def test_what_is_on_the_screen_is_seen_and_delivered(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "Hello"))

    expect(_list(tabs()).get_by_text("Hello")).to_be_visible()

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
        expect(_list(page).locator(".item")).to_have_count(2)
        _connected(page)

    row = _list(one).locator(".item", has_text="Put away")
    row.hover()
    row.get_by_role("button", name="Archive").click()
    for page in (one, two):
        expect(_list(page).locator(".item")).to_have_count(1)
    _list(one).get_by_role("button", name="Archived").click()
    _list(one).locator(".item", has_text="Put away").get_by_role("button", name="Move back to inbox").click()

    expect(_list(two).locator(".item")).to_have_count(2)
    expect(_list(one).get_by_text("The archive is empty")).to_be_visible()


def test_markup_in_a_message_is_shown_and_not_run(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "<img src=x onerror=alert(1)>", body="<b>bold</b>"))
    page = tabs()

    expect(_list(page).get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    assert _list(page).locator("img, b").count() == 0


def test_nothing_is_missed_while_the_server_is_away(tabs: Any, web: Web, person: Recipient) -> None:
    page = tabs()
    _connected(page)
    deliver(message(person, "Before"))
    expect(_list(page).locator(".item")).to_have_count(1)

    web.stop()
    deliver(message(person, "Meanwhile one"), message(person, "Meanwhile two"))
    web.start()

    expect(_list(page).locator(".item")).to_have_count(3, timeout=30_000)
    assert _list(page).locator(".title").all_inner_texts() == ["Meanwhile two", "Meanwhile one", "Before"]


def test_the_bell_is_worked_by_keyboard(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "First"), message(person, "Second"))
    page = tabs()
    bell = _bell(page).locator("button.bell")
    expect(bell).to_have_accessible_name("Notifications, 2 new")

    bell.focus()
    page.keyboard.press("Enter")
    expect(_bell(page).get_by_role("dialog", name="Notifications")).to_be_visible()
    expect(_bell(page).locator(".item")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(_bell(page).locator(".item.unread")).to_have_count(1)
    page.keyboard.press("Escape")

    expect(_bell(page).get_by_role("dialog")).to_be_hidden()
    expect(bell).to_be_focused()


def test_scrolling_brings_the_older_items(tabs: Any, person: Recipient) -> None:
    deliver(*(message(person, f"Number {n}") for n in range(60)))
    page = tabs()
    expect(_list(page).get_by_text("Number 59")).to_be_visible()

    for _ in range(10):
        page.keyboard.press("End")
        page.mouse.wheel(0, 5000)
        page.wait_for_timeout(100)

    expect(_list(page).locator(".item")).to_have_count(60)
    titles = _list(page).locator(".title").all_inner_texts()
    assert titles == [f"Number {n}" for n in reversed(range(60))]


def test_another_site_embeds_the_bell_with_a_token(tabs: Any, web: Web, shop: Shop, person: Recipient) -> None:
    deliver(message(person, "Before", link="/orders/7"))
    token = identity.issue_token(person.id).token
    shop.page = f"""<!doctype html><header>
        <script type="module" src="{web.url}/static/channels_app/carillon-inbox.js"></script>
        <carillon-inbox base-url="{web.url}" token="{token}"></carillon-inbox></header>"""

    page = tabs(shop.url, signed_in=False)
    expect(_bell(page)).to_have_attribute("data-status", "online")
    expect(_bell(page).locator(".badge")).to_have_text("1")
    deliver(message(person, "Live"))
    expect(_bell(page).locator(".badge")).to_have_text("2")
    _bell(page).locator("button.bell").click()
    expect(_bell(page).locator(".item")).to_have_count(2)
    expect(_bell(page).locator(".badge")).to_be_hidden()  # on the screen, so no longer unseen
    _bell(page).get_by_text("Before").click()

    page.wait_for_url(f"{shop.url}/orders/7")
    deadline = time.monotonic() + 5
    while FeedItem.objects.get(seq=1).read_at is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert FeedItem.objects.get(seq=1).read_at is not None


def test_a_snoozed_item_comes_back_live_as_unread(tabs: Any, person: Recipient) -> None:
    deliver(message(person, "Later"), message(person, "Newer"))
    page = tabs()
    _connected(page)
    row = _list(page).locator(".item", has_text="Later")
    row.hover()
    row.get_by_role("button", name="Snooze").click()
    _list(page).get_by_role("menuitem", name="In an hour").click()
    expect(_list(page).locator(".item")).to_have_count(1)
    _list(page).get_by_role("button", name="Snoozed").click()
    expect(_list(page).get_by_text("Later")).to_be_visible()
    _list(page).get_by_role("button", name="All", exact=True).click()
    expect(_list(page).get_by_text("Newer")).to_be_visible()

    FeedItem.objects.filter(title="Later").update(snoozed_until=timezone.now() - timedelta(seconds=1))
    waking.wake()

    expect(_list(page).locator(".item .title")).to_have_text(["Later", "Newer"])
    expect(_list(page).locator(".item.unread", has_text="Later")).to_be_visible()


def test_a_sender_s_buttons_tell_the_page_and_lead_on(tabs: Any, person: Recipient) -> None:
    buttons = [{"label": "Mute", "event": "order.mute"}, {"label": "Track", "link": "/orders/7", "primary": True}]
    deliver(message(person, "Order", metadata={"in_app": {"actions": buttons}}))
    page = tabs()
    page.evaluate("addEventListener('carillon-action', ({detail}) => (window.told = detail.action.event))")

    _list(page).get_by_role("button", name="Mute").click()

    expect(_list(page).locator(".item.unread")).to_have_count(0)
    assert page.evaluate("window.told") == "order.mute"
    expect(_list(page).get_by_role("link", name="Track")).to_have_attribute("href", "/orders/7")


def test_an_arrival_is_toasted_beside_a_closed_bell_and_can_be_dismissed(
    tabs: Any, web: Web, shop: Shop, person: Recipient
) -> None:
    token = identity.issue_token(person.id).token
    shop.page = f"""<!doctype html><html lang="en"><header>
        <script type="module" src="{web.url}/static/channels_app/carillon-inbox.js"></script>
        <carillon-inbox base-url="{web.url}" token="{token}"></carillon-inbox></header>"""
    page = tabs(shop.url, signed_in=False)
    expect(_bell(page)).to_have_attribute("data-status", "online")

    deliver(message(person, "Live"))

    expect(_bell(page).get_by_role("status").get_by_text("Live")).to_be_visible()
    _bell(page).get_by_role("button", name="Dismiss").click()
    expect(_bell(page).locator(".toast")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(tabs: Any, person: Recipient, scheme: str) -> None:
    buttons = [{"label": "Track", "link": "/orders/7", "primary": True}]
    deliver(message(person, "Old"), message(person, "Order", body="Sent", metadata={"in_app": {"actions": buttons}}))
    page = tabs()
    page.emulate_media(color_scheme=scheme)
    expect(_list(page).locator(".item")).to_have_count(2)
    assert violations(page, "main") == []
    _list(page).locator(".item").first.hover()
    _list(page).get_by_role("button", name="Snooze", exact=True).first.click()
    expect(_list(page).get_by_role("menuitem", name="In an hour")).to_be_focused()
    assert violations(page, "main") == []
    page.keyboard.press("Escape")
    _list(page).get_by_role("button", name="Archived").click()
    expect(_list(page).get_by_text("The archive is empty")).to_be_visible()
    assert violations(page, "main") == []
    _bell(page).locator("button.bell").click()
    expect(_bell(page).locator(".item")).to_have_count(2)
    assert violations(page, "header carillon-inbox") == []


def _connected(page: Any) -> None:
    """Wait until the page's socket has said hello: what comes from here on comes live."""
    expect(_list(page)).to_have_attribute("data-status", "online")
