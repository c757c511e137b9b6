"""A recipient's page of the admin in a real Chromium: the grid of many categories."""

from typing import Any

import pytest

from preferences.kinds import PART
from preferences.models import Category
from tests import factories
from tests.admin import page as address
from tests.browser.test_admin import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def asked(page: Any, live_server: Any) -> list[str]:
    """The grid of more categories than a part shows; what the browser asks before it leaves, and is told yes."""
    Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n:03}") for n in range(2 * PART))
    person = factories.recipient("ada", devices=0)
    sign_in(page, live_server.url)
    questions: list[str] = []

    def leave(dialog: Any) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto(f"{live_server.url}{address(person)}")
    page.wait_for_load_state("networkidle")  # the page's script begins to watch when all of it is there
    return questions


#: Whether the cell with the focus, or its beginning, lies under the column of names that stays.
COVERED = """() => {
    const cell = document.activeElement.getBoundingClientRect();
    const names = document.activeElement.closest("tr").querySelector("th").getBoundingClientRect();
    return cell.left < names.right - 1;
}"""


@pytest.mark.parametrize("width", [320, 390])
def test_a_cell_that_is_reached_by_keyboard_is_not_under_the_names(page: Any, live_server: Any, width: int) -> None:
    # Given a grid as wide as a telephone, or as a desk at 400 %, with a long name
    factories.category("long", name="Comments under posts " * 3 + "x" * 20, digest_mode="fixed")
    person = factories.recipient("ada", devices=0)
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}{address(person)}")

    # When somebody goes through a row forth and back
    cells = page.locator(".cr-words tbody tr").last.locator("select")
    cells.first.focus()
    covered = []
    for key in ["Tab"] * 4 + ["Shift+Tab"] * 4:
        page.keyboard.press(key)
        covered.append(page.evaluate(COVERED))

    # Then they see each cell that they are in, and its name beside it
    assert covered == [False] * 8
    assert page.locator(".cr-words tbody th").last.bounding_box()["width"] < width / 2


def find(page: Any, words: str) -> None:
    box = page.get_by_role("searchbox", name="Find a category")
    box.click()
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**find=*")
    page.get_by_text("1 of 1 found").wait_for()


def test_finding_a_category_asks_nothing_of_who_changed_nothing(page: Any, asked: list[str]) -> None:
    find(page, "kind 088")

    assert asked == []


def test_finding_a_category_asks_before_a_changed_cell_is_lost(page: Any, asked: list[str]) -> None:
    page.get_by_label("Kind 003, Email").select_option("off")

    find(page, "kind 088")

    assert asked == ["beforeunload"]
