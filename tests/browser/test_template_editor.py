"""The editor of templates in a real Chromium: what one types is seen at once beside it, faults stand at their line."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from notifications.models import MessageTemplate, TemplateVersion
from notifications.services.templates import new_version
from tests import factories
from tests.browser.console import complaints

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HTML = """<style>
  h1 { color: rgb(180, 20, 60); font-family: sans-serif }
  @media (max-width: 500px) { h1 { font-size: 16px } }
</style>
<h1>Hello {{ recipient.name }}</h1>
<p>Order <b>{{ order }}</b></p>"""


@pytest.fixture
def page(chromium: str, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A tab, signed in. Playwright keeps an event loop on this thread, beside which Django must be allowed to work."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    User.objects.create_superuser("grace", password="correct horse")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.set_default_timeout(10_000)
        problems = complaints(tab)
        tab.goto(f"{live_server.url}/admin/")
        tab.get_by_label("Username").fill("grace")
        tab.get_by_label("Password").fill("correct horse")
        tab.get_by_role("button", name="Log in").click()
        yield tab
        browser.close()
    assert problems == []


def open_editor(page: Any, server: Any, template: MessageTemplate) -> None:
    page.goto(f"{server.url}/admin/notifications/messagetemplate/{template.pk}/draft/")
    expect(page.locator("[data-part=reader]")).to_contain_text("Ada Lovelace")


def choose(page: Any, channel: str) -> None:
    page.locator("[data-tabs=channel]").get_by_role("button", name=channel).click()


def test_a_manager_writes_mends_tests_and_publishes(page, live_server):
    # Given somebody to try it on
    factories.category("orders")
    factories.recipient("ada", name="Ada", locale="pt-BR")
    template = factories.template(published=False)
    open_editor(page, live_server, template)

    # When a mail with a style sheet is written, it is seen with its styles in place, on a desktop and on a telephone
    page.locator("[name=en--email--html]").fill(HTML)
    heading = page.frame_locator("[data-channel=email] iframe").locator("h1")
    expect(heading).to_have_text("Hello Ada Lovelace")
    expect(heading).to_have_css("color", "rgb(180, 20, 60)")
    expect(heading).to_have_css("font-size", "32px")
    page.get_by_role("button", name="Phone").click()
    expect(heading).to_have_css("font-size", "16px")

    # Then a mistake is told at its line, and the line is one click away
    page.locator("[name=en--email--html]").fill(HTML.replace("{{ order }}", "{{ ordr }}"))
    item = page.locator("[data-field='en--email--html'] li").first
    expect(item).to_contain_text("There is no variable ordr. Did you mean order?")
    expect(page.locator(".tp-gutter .tp-bad")).to_have_text("6")
    item.get_by_role("button", name="Line 6").click()
    assert "ordr" in page.evaluate("document.getSelection().toString()")
    expect(page.locator("[data-part=verdict]")).to_contain_text("1 error to mend")
    page.locator("[name=en--email--html]").fill(HTML)
    expect(page.locator("[data-part=verdict]")).to_contain_text("It can be published.")

    # And a text message is counted while it is typed, with a name put in by a click
    choose(page, "SMS")
    page.locator("[name=en--sms--body]").fill("Dear ")
    page.get_by_role("button", name="{{ recipient.name }}").click()
    expect(page.locator(".tp-bubble")).to_have_text("Dear Ada Lovelace")
    expect(page.locator("[data-channel=sms].tp-shown")).to_contain_text("17 of 160 characters in the GSM-7 alphabet")

    # When it is saved, sent as a test and published
    page.get_by_role("button", name="Save as a new draft").click()
    page.locator("[name=recipients]").fill("ada")
    page.get_by_role("button", name="Send the test").click()
    expect(page.get_by_text("5 messages on the way").or_(page.get_by_text("4 messages on the way"))).to_be_visible()
    page.get_by_role("button", name="Publish").click()

    # Then new notifications use it
    expect(page.locator("#versions li").first).to_contain_text("published")
    template.refresh_from_db()
    assert template.published.content["en"]["sms"]["body"] == "Dear {{ recipient.name }}"


def test_languages_recipients_and_keys(page, live_server):
    factories.recipient("bo", name="Bo", locale="de-CH")
    template = factories.template()
    open_editor(page, live_server, template)

    # A reader whose language has no words of its own gets the next one
    page.locator("[name=preview_recipient]").fill("bo")
    expect(page.locator("[data-part=reader]")).to_contain_text("Bo, who reads de-CH")
    expect(page.locator("[data-channel=email].tp-shown")).to_contain_text("Languages tried: de → en.")
    page.locator("[name=preview_recipient]").fill("nobody")
    expect(page.locator("[data-part=reader-error]")).to_have_text("There is no recipient of this id.")
    page.locator("[name=preview_recipient]").fill("")

    # The tabs work by the keyboard
    page.locator("[data-tabs=channel] button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("fieldset[data-locale=en][data-channel=push]")).to_be_visible()
    expect(page.locator("fieldset[data-locale=en][data-channel=email]")).to_be_hidden()

    # Another language comes without losing what was typed, and Enter in a line saves nothing
    page.locator("[name=en--push--title]").fill("Half typed")
    page.keyboard.press("Enter")
    page.locator("[name=new_locale]").fill("pt-BR")
    page.keyboard.press("Enter")
    page.locator("[data-tabs=locale]").get_by_role("button", name="pt-BR").click()
    choose(page, "Push")
    expect(page.locator("[name=pt-BR--push--title]")).to_be_visible()
    expect(page.locator("[name=en--push--title]")).to_have_value("Half typed")
    assert TemplateVersion.objects.count() == 1


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_of_a_template_is_wider_than_the_window(page, live_server, width):
    factories.category("orders")
    template = factories.template()
    new_version(template, {"en": {"email": {"subject": "s", "text": "x" * 200, "html": HTML}}}, by=None)
    page.set_viewport_size({"width": width, "height": 900})
    start = f"{live_server.url}/admin/notifications/messagetemplate/{template.pk}"

    for address in ("change/", "draft/", "v2/", "diff/?from=1&to=2"):
        page.goto(f"{start}/{address}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address

    if width < 500:
        page.goto(f"{start}/draft/")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("[data-channel=email].tp-shown")).to_be_visible()
        page.get_by_role("button", name="Write").click()
        expect(page.locator("[name=en--email--subject]")).to_be_visible()
