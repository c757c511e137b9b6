"""The helper that asks axe-core: it sees what is wrong, where it is, and works under a page's content policy."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.axe import violations

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser

POLICY = "default-src 'none'; script-src 'none'"


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def _show(page: Any, body: str) -> None:
    html = f'<!doctype html><html lang="en"><title>A page</title><body><main><h1>A page</h1>{body}</main></body></html>'
    headers = {"Content-Type": "text/html", "Content-Security-Policy": POLICY}
    page.route("http://page.test/", lambda route: route.fulfill(body=html, headers=headers))
    page.goto("http://page.test/")


def test_a_page_without_fault_has_no_violations(page: Any) -> None:
    _show(page, "<button>Save</button>")

    assert violations(page) == []


def test_a_fault_is_named_with_its_place(page: Any) -> None:
    _show(page, "<button id='nameless'></button>")

    (fault,) = violations(page)

    assert fault.startswith("button-name (critical)")
    assert "#nameless" in fault


def test_only_the_part_that_was_asked_for_is_looked_at(page: Any) -> None:
    _show(page, "<button></button><section aria-label='Fine'><button>Save</button></section>")

    assert violations(page, "section") == []


def test_shadow_roots_are_looked_into(page: Any) -> None:
    _show(page, "<div id='host'></div>")
    page.evaluate("document.querySelector('#host').attachShadow({mode: 'open'}).innerHTML = '<button></button>'")

    assert [fault.split()[0] for fault in violations(page)] == ["button-name"]
