"""The content policies in a real browser: every page works under its own, and what is injected doesn't run."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User

from campaigns.models import Campaign
from notifications.models import MessageTemplate
from preferences.models import Category
from tests.admin import a_row_of_everything
from tests.admin import page as address
from tests.browser.console import complaints

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(15_000)
        yield tab
        browser.close()


def sign_in(page: Any, server: str) -> None:
    User.objects.create_superuser("grace", password="correct horse")
    page.goto(f"{server}/admin/")
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{server}/admin/")


def test_no_page_of_the_admin_breaks_its_policy(page, live_server):
    a_row_of_everything()
    Campaign.objects.create(name="Spring", template=MessageTemplate.objects.get(), category=Category.objects.get())
    problems = complaints(page)
    sign_in(page, live_server.url)

    for model in MODELS:
        row = model._default_manager.first()
        for path in (address(model), address(row) if row else None):
            if path:
                page.goto(live_server.url + path)
    for path in ("/admin/dashboard/", address(MessageTemplate, "add"), address(Campaign, "add")):
        answer = page.goto(live_server.url + path)
        assert answer.status == 200, path
    page.wait_for_timeout(300)

    assert problems == []


def test_unfolds_own_scripts_run_under_the_policy(page, live_server):
    sign_in(page, live_server.url)

    page.wait_for_function("window.Alpine && window.Alpine.version")


@pytest.mark.parametrize("path", ["/admin/login/", "/inbox/", "/nowhere/", "/api/docs/"])
def test_a_script_that_got_into_a_page_does_not_run(page, live_server, settings, path):
    settings.DEMO = True
    page.goto(live_server.url + path)

    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = true";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.injected = true'>");
        }"""
    )
    page.wait_for_timeout(200)

    assert page.evaluate("window.injected") is None


def test_the_api_s_page_works_under_its_policy(page, live_server):
    problems = complaints(page)
    page.goto(f"{live_server.url}/api/docs/")

    expect(page.get_by_text("Send one notification to one recipient")).to_be_visible()
    assert problems == []
