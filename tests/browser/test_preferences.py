"""The preference centre in a real browser: choices are saved as they are made, taken back, and anybody can use it."""

import time
from typing import Any

import pytest

from core import ids
from preferences.centre import tokens
from preferences.models import Preference, Recipient
from tests import factories
from tests.browser.axe import violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def address(live_server: Any) -> str:
    """Ada's page, by a link."""
    factories.category("orders")
    factories.category("security", is_required=True)
    ada = factories.recipient("ada", email="ada@example.com", phone="+4915112345678")
    return f"{live_server.url}/preferences/{tokens.make(ids.key(ada.pk), now=time.time())}/"


def test_a_choice_is_saved_at_once_and_taken_back(page: Any, address: str) -> None:
    # When a switch is turned off, by keyboard
    page.goto(address)
    switch = page.locator('input.switch[value="orders:email"]')
    switch.focus()
    page.keyboard.press("Space")

    # Then it is saved without a button, and the page offers to take it back
    page.get_by_role("button", name="Undo").wait_for()
    assert Preference.objects.get().enabled is False

    # When that is taken back, then it is as it was
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Put back as it was.").wait_for()
    assert switch.is_checked()
    assert not Preference.objects.filter(enabled=False).exists()


def test_quiet_hours_are_saved_by_their_button(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_label("From").fill("22:00")
    page.get_by_label("Until").fill("07:30")
    page.get_by_role("button", name="Save quiet hours").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert str(Recipient.objects.get().quiet_start) == "22:00:00"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_in_anybodys_way(page: Any, address: str, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => { for (const one of list.getEntries())"
        " if (!one.hadRecentInput) window.moved += one.value; }).observe({ type: 'layout-shift', buffered: true });"
    )

    page.goto(address)
    page.wait_for_load_state("networkidle")

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.moved") < 0.01
