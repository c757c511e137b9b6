"""A manager puts a segment together, with the mouse and with the keyboard, and uploads a list."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns.models import RecipientList, Segment
from tests import factories

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def manager(page: Any, live_server: Any) -> Any:
    """Signed in, on the page of a new segment."""
    User.objects.create_superuser("manager", password="secret-for-tests")
    page.goto(f"{live_server.url}/admin/campaigns/segment/add/")
    page.fill("[name=username]", "manager")
    page.fill("[name=password]", "secret-for-tests")
    page.click("[type=submit]")
    return page


@pytest.fixture
def people(transactional_db: None) -> None:
    factories.recipient("ada", attributes={"plan": "pro"})
    factories.recipient("bob", attributes={"plan": "pro"}, email="")
    factories.recipient("eve", attributes={"plan": "free"})


@pytest.mark.usefixtures("people")
def test_the_count_follows_what_is_put_together(manager):
    count = manager.locator(".seg-count")
    expect(count).to_have_text("3 people")

    manager.fill("[name=name]", "Pros with an address")
    manager.get_by_role("button", name="Add a condition").click()
    expect(manager.locator(".seg-condition .seg-error")).to_have_text("Fill in a value.")
    expect(count).to_have_text("–")

    condition = manager.locator(".seg-condition").first
    condition.get_by_label("What is asked").select_option("attributes")
    condition.get_by_label("Name of the attribute").fill("plan")
    condition.get_by_label("Value", exact=True).fill("pro")
    expect(count).to_have_text("2 people")
    expect(manager.locator(".seg-people li")).to_have_count(2)

    # The rest by keyboard: a second condition, chosen by its first letters.
    manager.get_by_role("button", name="Add a condition").focus()
    manager.keyboard.press("Enter")
    expect(manager.locator(".seg-condition").nth(1).get_by_label("What is asked")).to_be_focused()
    manager.keyboard.type("Email")
    expect(count).to_have_text("1 person")
    expect(manager.locator(".seg-people")).to_contain_text("ada")

    manager.click("[name=_save]")
    expect(manager.locator("#result_list")).to_contain_text("Pros with an address")
    assert Segment.objects.get().definition == {
        "all": [
            {"field": "attributes.plan", "op": "is", "value": "pro"},
            {"field": "email", "op": "is_set"},
        ]
    }
    assert Segment.objects.get().people == 1


@pytest.mark.usefixtures("people")
def test_groups_and_json_are_two_views_of_the_same(manager):
    manager.fill("[name=name]", "Odd")
    manager.click("text=Add a group")
    expect(manager.locator(".seg-group .seg-group")).to_have_count(1)
    manager.get_by_role("button", name="Remove this group").click()
    expect(manager.locator(".seg-count")).to_have_text("3 people")

    manager.click("text=As JSON")
    box = manager.locator("[name=definition]")
    box.fill('{"none": [{"field": "email", "op": "is_set"}]}')
    box.blur()
    expect(manager.locator(".seg-count")).to_have_text("1 person")
    expect(manager.get_by_label("How the conditions go together")).to_have_value("none")

    box.fill("{")
    box.blur()
    expect(manager.locator("[data-part=malformed]")).to_be_visible()


@pytest.mark.usefixtures("people")
def test_a_file_is_uploaded_onto_a_list(manager, live_server, tmp_path):
    file = Path(tmp_path, "vips.csv")
    file.write_text("Name;Customer ID\nAda;ada\nNobody;ghost\n")
    manager.goto(f"{live_server.url}/admin/campaigns/recipientlist/add/")
    manager.fill("[name=name]", "VIPs")
    manager.click("[name=_save]")
    manager.get_by_role("link", name="Upload a file").click()
    manager.set_input_files("[name=file]", file)
    manager.click("text=Upload and look at it")
    expect(manager.locator(".seg-rows")).to_contain_text("Customer ID")
    expect(manager.locator("[name=column]")).to_have_value("1")

    manager.click("text=Add these people")

    expect(manager.locator("h1").filter(has_text="1 person was added")).to_be_visible()
    with manager.expect_download() as download:
        manager.click("text=Rejected rows")
    assert "Nobody has this id.,Nobody,ghost" in download.value.path().read_text("utf-8-sig")
    assert RecipientList.objects.get().size == 1
