"""The steps in which a campaign is made: every wording is shown, and a keyboard alone is enough."""

from typing import Any

import pytest

from campaigns.models import Campaign, CampaignStatus, Segment
from tests import factories
from tests.browser.axe import violations
from tests.browser.campaigns import address_of, press, sign_in
from tests.browser.keyboard import Keyboard
from tests.campaigns.conftest import make_campaign, with_wordings
from tests.notifications.fakes import FakeProvider, use_provider

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def catalog(settings: Any) -> None:
    use_provider(settings, FakeProvider("fake"))
    settings.CAMPAIGN_REVIEW_ABOVE = 10
    factories.category("news", name="News", channels=["email", "in_app"], default_priority="low")
    factories.template("summer", name="Summer sale")
    factories.template("offer", name="Offer of the week")
    factories.recipients(30)
    Segment.objects.create(name="With an email", definition={"all": [{"field": "email", "op": "is_set"}]})


def say(keys: Keyboard) -> None:
    """The first step: what it says, in two wordings."""
    keys.to("name")
    keys.write("Week 1")
    keys.to("template")
    keys.write("Summer")
    keys.to("category")
    keys.write("News")
    keys.page.locator("[data-value=order]").wait_for()  # asked for when the template was chosen
    keys.to("order")
    keys.write("A17")
    keys.to("Try several wordings")
    keys.press("Enter")
    for name, text in (("weight_a", "40"), ("variant_b", "Offer"), ("weight_b", "60")):
        keys.to(name)
        keys.write(text)
    keys.to("Next →")


def look_at_both(keys: Keyboard) -> None:
    """Below the form, and back to the button that leads on."""
    shown = keys.page.locator("#wordings .campaign-wording:visible")
    expect(shown).to_contain_text("A Summer sale for 40%")
    keys.to("B Offer of the week")
    keys.press("Enter")
    expect(shown).to_contain_text("B Offer of the week for 60%")
    keys.press("Shift+Tab", "Shift+Tab")
    assert keys.has_moved() == "Next →"
    keys.press("Enter")


def address(keys: Keyboard) -> None:
    """The second step: who gets it."""
    assert keys.has_moved() == "audience"
    keys.press("ArrowDown")
    expect(keys.page.locator("[name=audience][value=segment]")).to_be_checked()
    keys.to("segment")
    keys.write("With")
    keys.to("Next →")
    keys.press("Enter")


def time_it(keys: Keyboard) -> None:
    """The third step, and back to the second, where what was chosen has the focus; then on to the check."""
    assert keys.has_moved() == "schedule"
    keys.press("ArrowDown")
    keys.to("throttle_per_minute")
    keys.write("10")
    keys.to("← Back")
    keys.press("Enter")
    assert keys.has_moved() == "audience"
    keys.to("Next →")
    keys.press("Enter")
    assert keys.has_moved() == "schedule"
    keys.press("ArrowUp")
    keys.to("Save and check →")
    keys.press("Space")


def test_a_campaign_is_made_and_submitted_with_the_keyboard_alone(page: Any, live_server: Any) -> None:
    sign_in(page, live_server.url, "ada", "authors")
    keys = Keyboard(page)
    keys.arrive(past_menu=False)
    keys.to("Add campaign")
    keys.press("Enter")

    page.wait_for_url("**/add/")
    keys.arrive()
    say(keys)
    look_at_both(keys)
    address(keys)
    time_it(keys)
    page.wait_for_url("**/check/")
    keys.arrive()
    keys.to("Submit for review")
    keys.press("Enter")

    page.get_by_text("It waits for somebody who may approve campaigns.").wait_for()
    campaign = Campaign.objects.get()
    assert (campaign.status, campaign.throttle_per_minute) == (CampaignStatus.IN_REVIEW, 10)
    assert [(one.label, one.weight) for one in campaign.variants.order_by("label")] == [("A", 40), ("B", 60)]
    assert "\n".join(keys.faults) == ""


def test_the_wording_that_is_looked_at_stays_while_the_form_changes(page: Any, live_server: Any) -> None:
    campaign = with_wordings(make_campaign(data={"order": "A17"}), A=40, B=60)
    sign_in(page, live_server.url, "manager")
    page.goto(address_of(live_server.url, campaign))
    shown = page.locator("#wordings .campaign-wording:visible")
    expect(shown).to_contain_text("A Wording A")

    press(page, "B Wording B")
    page.get_by_text("As JSON", exact=True).click()
    page.fill("[name=data]", '{"order": "B18"}')

    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("Order B18 is on its way")
    expect(shown).to_contain_text("B Wording B")
    page.fill("[name=data]", '{"order": ')
    expect(page.locator("#wordings [data-part=reader]")).to_contain_text("as it was before")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_form_keeps_its_place_while_the_plan_comes(page: Any, live_server: Any, width: int) -> None:
    campaign = make_campaign(data={"order": "A17"})
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, live_server.url, "manager")
    held: list[Any] = []
    before: list[Any] = []

    def places() -> list[Any]:
        return [page.locator(f"[name={field}]").bounding_box() for field in ("name", "template", "category")]

    page.route("**/draft-plan/", lambda route: route.continue_() if before else held.append(route))
    with page.expect_request("**/draft-plan/"):
        page.goto(address_of(live_server.url, campaign))
    page.get_by_text("Asking…").wait_for()

    before.extend(places())
    assert held
    for route in held:
        route.continue_()
    page.locator("#plan [data-part=figures] > *").first.wait_for()

    assert places() == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_in_anybodys_way(page: Any, live_server: Any, scheme: str, width: int) -> None:
    campaign = with_wordings(make_campaign(), A=40, B=60)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, live_server.url, "manager")

    for name in ("change", "check"):
        page.goto(address_of(live_server.url, campaign, name))
        page.locator("#plan [data-part=figures] > *").first.wait_for()
        for step in ("Audience", "When and how fast", "Message") if name == "change" else ("",):
            if step:
                page.locator(".campaign-steps").get_by_text(step, exact=True).click()
            assert violations(page) == [], f"{name} {step}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} {step}"
