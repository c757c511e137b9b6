"""The preference centre in a real browser: choices are saved as they are made, taken back, and anybody can use it."""

import json
import re
import time
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from core import ids
from preferences.centre import tokens
from preferences.kinds import PART
from preferences.models import Category, DigestChoice, Preference, Recipient
from preferences.visiting import SESSION_KEY
from tests import factories
from tests.browser.axe import violations

SessionStore = import_module(settings.SESSION_ENGINE).SessionStore

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ada(settings: Any) -> Recipient:
    settings.EMAIL_URL = "smtp://mail.example"  # the tests' backend keeps what is sent
    settings.QUIET_HOURS = "21:00-08:00"
    factories.category("orders", cap_per_week=3)
    factories.category("security", is_required=True)
    return factories.recipient("ada", email="ada@example.com", phone="+4915112345678")


@pytest.fixture
def address(live_server: Any, ada: Recipient) -> str:
    """Ada's page, by a link."""
    return f"{live_server.url}/preferences/{tokens.make(ids.key(ada.pk), now=time.time())}/"


@pytest.fixture
def own(live_server: Any, ada: Recipient, page: Any) -> str:
    """Ada's page, by her session, which this tab has."""
    session = SessionStore()
    session[SESSION_KEY] = "ada"
    session.create()
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": live_server.url}]
    )
    return f"{live_server.url}/preferences/"


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


def test_one_kind_of_many_is_found_and_changed_where_it_stands(page: Any, address: str) -> None:
    # Given more kinds of messages than one page shows
    Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n:03}") for n in range(2 * PART))
    page.goto(address)
    assert page.locator('input.switch[value="kind-088:email"]').count() == 0

    # When one is looked for, and switched off
    page.get_by_role("searchbox", name="Find a kind of message").fill("kind 088")
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 found").wait_for()
    page.locator('input.switch[value="kind-088:email"]').click()
    page.get_by_role("button", name="Undo").wait_for()

    # Then the page still shows it, as it is now, and so does an undo
    assert page.locator("tbody tr").count() == 2
    assert not Preference.objects.get(category__slug="kind-088").enabled
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Put back as it was.").wait_for()
    assert page.locator('input.switch[value="kind-088:email"]').is_checked()
    assert not Preference.objects.exists()


@pytest.fixture
def held(page: Any, address: str) -> list[Any]:
    """Ada's page with several parts is open, and what it saves first waits here until it is let go."""
    Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n:03}") for n in range(2 * PART))
    waiting: list[Any] = []

    def hold(route: Any) -> None:
        if waiting or route.request.method != "POST":
            route.continue_()
        else:
            waiting.append(route)

    page.route("**/preferences/**", hold)
    page.goto(address)
    return waiting


def test_who_turns_to_other_kinds_leaves_no_choice_behind(page: Any, held: list[Any]) -> None:
    # When several switches are turned off, and the next part asked for before the first is answered
    for n in range(4):
        page.locator(f'input.switch[value="kind-{n:03}:email"]').click()
    page.get_by_role("link", name="More").click(no_wait_after=True)
    page.get_by_text("Saving…").wait_for()
    held[0].continue_()

    # Then that part comes after all of them are saved
    page.wait_for_url("**part=2*")
    assert Preference.objects.filter(enabled=False).count() == 4


def test_who_looks_for_another_kind_reads_first_what_was_not_saved(page: Any, held: list[Any]) -> None:
    # When something is looked for before three choices are saved, and the first of them does not arrive
    for n in range(3):
        page.locator(f'input.switch[value="kind-{n:03}:email"]').click()
    there = page.url
    page.get_by_role("searchbox", name="Find a kind of message").fill("kind 099")
    page.keyboard.press("Enter")
    page.get_by_text("Saving…").wait_for()
    held[0].abort()

    # Then the page stays and says so, and shows what the others are now
    page.get_by_text("This could not be saved. Is there a connection?").wait_for()
    assert page.url == there
    assert set(Preference.objects.values_list("category__slug", flat=True)) == {"kind-001", "kind-002"}
    assert [page.locator(f'input.switch[value="kind-{n:03}:email"]').is_checked() for n in range(3)] == [
        True,
        False,
        False,
    ]

    # When that is looked for again, then it is found
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**find=kind+099*")


def test_quiet_hours_are_saved_by_their_button(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_label("From").fill("22:00")
    page.get_by_label("Until").fill("07:30")
    page.get_by_role("button", name="Save quiet hours").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert str(Recipient.objects.get().quiet_start) == "22:00:00"


def test_how_often_is_saved_as_it_is_chosen(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_label("Orders").and_(page.locator("select")).select_option(label="Every hour")
    page.get_by_role("button", name="Undo").wait_for()
    assert DigestChoice.objects.get().rhythm == "hourly"

    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Put back as it was.").wait_for()
    assert not DigestChoice.objects.exists()


def test_none_for_me_is_one_press(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="No quiet hours for me").click()
    page.get_by_text("You want none").wait_for()
    assert Recipient.objects.get().quiet_never


def test_by_session_choices_are_saved_and_another_address_is_confirmed(page: Any, own: str) -> None:
    # When somebody signed in turns a switch off, then it is saved, whatever their browser's cookies
    page.goto(own)
    page.locator('input.switch[value="orders:email"]').click()
    page.get_by_role("button", name="Undo").wait_for()
    assert Preference.objects.get().enabled is False

    # When they give another address, then a link is sent there, and its button makes it theirs
    page.get_by_label("Email address").fill("ada@new.example")
    page.keyboard.press("Enter")
    page.get_by_text("A link is on its way to you.").wait_for()
    assert page.get_by_label("Email address").input_value() == "ada@example.com"
    link = re.search(r"/preferences/confirm/\S+", str(mail.outbox[-1].body))
    assert link
    page.goto(own.replace("/preferences/", link[0]))
    assert violations(page) == []
    page.get_by_role("button", name="Yes, use this address").click()
    page.get_by_text("Your address is confirmed").wait_for()
    assert Recipient.objects.get().email == "ada@new.example"


def test_data_is_taken_along_and_erased(page: Any, own: str) -> None:
    page.goto(own)
    page.get_by_role("link", name="Take a copy of your data, or erase it").click()
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the copy").click()
    assert json.loads(download.value.path().read_bytes())["profile"]["email"] == "ada@example.com"

    page.get_by_label("Type ERASE to confirm").fill("ERASE")
    page.keyboard.press("Enter")
    page.get_by_text("Your data is erased").wait_for()
    assert not Recipient.objects.exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("way", ["address", "own"])
def test_nothing_stands_in_anybodys_way(
    page: Any, request: pytest.FixtureRequest, scheme: str, width: int, way: str
) -> None:
    address = request.getfixturevalue(way)
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
