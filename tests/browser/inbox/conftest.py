"""/inbox/, and another site that shows the inbox, in a real browser; served by daphne from a process of its own."""

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.cached_db import SessionStore

from channels_app import identity
from preferences.models import Recipient
from tests import factories
from tests.browser.console import complaints
from tests.conftest import environment_of_a_process

#: Opens a page: a path of ours, or an address; signed in as the person unless told otherwise.
Tabs = Callable[..., Any]


HEADER = "<header>{inbox}</header>"


class Web:
    """The web process: started, stopped and started again on one port."""

    def __init__(self, env: dict[str, str]) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
        # The channel layer's prefix is settled when settings load; a test's rows are told of under that one.
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


class Shop(http.server.ThreadingHTTPServer):
    """Another site: one page, the same at every path."""

    page = ""
    carillon = ""  # where the web process is

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShopPage)
        self.url = f"http://localhost:{self.server_port}"

    def shows(self, person: Recipient, body: str = "<header>{inbox}</header>", *, attributes: str = "") -> None:
        """The page from now on: the element, with the person's token, where `{inbox}` stands in the body."""
        token = identity.issue_token(person.id).token
        inbox = f'<carillon-inbox base-url="{self.carillon}" token="{token}" {attributes}></carillon-inbox>'
        self.page = f"""<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">
            <title>Shop</title>
            <script type="module" src="{self.carillon}/static/channels_app/carillon-inbox.js"></script>
            <body>{body.replace("{inbox}", inbox)}"""


class ShopPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *args: object) -> None:
        """Not in the test's output."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module", autouse=True)
def _sync_database_beside_playwright() -> Iterator[None]:
    """Playwright keeps an event loop running on this thread, and Django would refuse to work beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=15_000)  # as long as actions have; a busy machine takes its time
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    made = Shop()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def web(django_db_setup: None, shop: Shop) -> Iterator[Web]:
    env = {**os.environ, **environment_of_a_process(), "DEMO_RECIPIENT": "ada", "FEED_ALLOWED_ORIGINS": shop.url}
    server = Web(env)
    shop.carillon = server.url
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def person(transactional_db: None) -> Recipient:
    return factories.recipient("ada", devices=0)


@pytest.fixture
def contexts(browser: Any, web: Web) -> Iterator[Callable[..., Any]]:
    """Makes browsers that know nothing of each other; a page of theirs that logs an error fails the test."""
    made: list[Any] = []
    problems: list[str] = []

    def make(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 800}, **options})
        context.set_default_timeout(15_000)
        context.on("page", lambda page: complaints(page, problems))
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert problems == []


@pytest.fixture
def tabs(contexts: Callable[..., Any], web: Web, person: Recipient) -> Tabs:
    """Opens pages of one signed-in browser."""
    context = contexts()

    def open_(path: str = "/inbox/", *, signed_in: bool = True, of: Any = None) -> Any:
        chosen = of or context
        if signed_in:
            sign_in(chosen, web, person)
        page = chosen.new_page()
        page.goto(path if path.startswith("http") else web.url + path)
        return page

    return open_


def sign_in(context: Any, web: Web, person: Recipient) -> None:
    session = SessionStore()
    session[identity.SESSION_KEY] = person.external_id
    session.save()
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": web.url}])


def bell(page: Any) -> Any:
    return page.locator("header carillon-inbox")


def feed(page: Any) -> Any:
    return page.locator("main carillon-inbox")


def connected(page: Any) -> None:
    """Wait until the page's socket has said hello: what comes from here on comes live."""
    for element in page.locator("carillon-inbox").all():
        element.and_(page.locator("[data-status=online]")).wait_for(state="attached")
