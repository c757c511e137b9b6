"""A tab of a browser, for tests that need no more than that."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.console import complaints


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A tab, which must not complain. Playwright keeps an event loop on this thread, beside which Django must be
    allowed to work."""
    sync_api = pytest.importorskip("playwright.sync_api")
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(15_000)
        sync_api.expect.set_options(timeout=15_000)  # as long: the machine may be busy
        problems = complaints(tab)
        yield tab
        browser.close()
    assert problems == []
