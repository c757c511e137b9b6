"""A manager makes a campaign in the admin; colleagues approve and send it, and see it complete."""

import re
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Campaign, CampaignStatus, Segment
from notifications.models import MessageTemplate, Notification
from tests import factories
from tests.browser.campaigns import address_of, follow, press, sign_in, work_elsewhere
from tests.campaigns.conftest import hand_out, start
from tests.campaigns.conftest import make_campaign as draft
from tests.notifications.fakes import FakeProvider, use_provider

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def manager(page: Any, live_server) -> Any:
    """Somebody who may do everything, on the list of campaigns."""
    sign_in(page, live_server.url, "manager")
    return page


@pytest.fixture
def catalog(settings) -> None:
    use_provider(settings, FakeProvider("fake"))
    settings.CAMPAIGN_CHUNK = 20
    factories.category("news", name="News", channels=["email", "in_app"], default_priority="low")
    factories.template("sale", name="Summer sale")
    factories.recipients(30)


def fill_in_nothing(page: Any) -> None:
    page.click("a[href$='/campaigns/campaign/add/'] >> nth=0")


def fill_in(page: Any) -> None:
    fill_in_nothing(page)
    page.fill("[name=name]", "Week 1")
    page.select_option("[name=template]", label="Summer sale")
    page.select_option("[name=category]", label="News")
    page.get_by_label("order", exact=True).fill("A17")


def submitted_by_an_author(page: Any, server: str) -> Campaign:
    """Made in the steps, each of which says what will happen, and handed in for review."""
    sign_in(page, server, "ada", "authors")
    fill_in(page)
    plan = page.locator("#plan")
    expect(plan.locator("[data-part=figures]")).to_contain_text("30")
    press(page, "Next →")
    expect(page.locator("[name=name]")).to_be_hidden()
    page.check("[name=audience][value=segment]")
    page.select_option("[name=segment]", label="Everybody with an email")
    press(page, "Next →")
    page.check("[name=schedule][value=local]")
    expect(plan).to_contain_text("Say when: this schedule needs it.")
    page.check("[name=schedule][value=now]")
    page.fill("[name=throttle_per_minute]", "10")
    expect(plan).to_contain_text("takes about 3 minutes")
    expect(plan).to_contain_text("somebody else has to approve it")
    page.fill("[name=throttle_per_minute]", "")
    press(page, "Save and check →")
    expect(page.frame_locator("iframe").get_by_text("Hello Person 0, your order A17 has left.")).to_be_visible()
    expect(page.get_by_text("Nothing is missing")).to_be_visible()
    press(page, "Submit for review")
    expect(page.get_by_text("It waits for somebody who may approve campaigns.")).to_be_visible()
    return Campaign.objects.get()


def test_it_goes_from_hand_to_hand_to_its_end(catalog, page: Any, live_server, settings):
    settings.CAMPAIGN_REVIEW_ABOVE, settings.CAMPAIGN_TYPE_ABOVE = 10, 20
    Segment.objects.create(name="Everybody with an email", definition={"all": [{"field": "email", "op": "is_set"}]})

    # Given what an author made
    campaign = submitted_by_an_author(page, live_server.url)
    address = address_of(live_server.url, campaign)

    # When an approver has looked at it and an operator has typed the number of people
    sign_in(page, live_server.url, "grace", "approvers")
    page.goto(address)
    expect(page.get_by_role("button", name="Open for editing")).to_have_count(0)
    press(page, "Approve")
    expect(page.get_by_text("Approved. It goes out when somebody presses Send.")).to_be_visible()
    sign_in(page, live_server.url, "mary", "operators")
    page.goto(address)
    follow(page, "Send…")
    page.fill("[name=size]", "3")
    press(page, "Send to 30 people")
    expect(page.get_by_role("alert")).to_contain_text("Type 30")
    page.fill("[name=size]", "30")
    press(page, "Send to 30 people")

    # Then the page follows it: halfway, stopped, gone on, completed
    expect(page.locator("[data-part=status]")).to_have_text("Sending")
    while not Campaign.objects.get().accepted:  # the first steps draw up the audience
        assert hand_out(campaign, steps=1)
    expect(page.locator("[data-part=handed]")).to_contain_text("20 of 30 people handed out")
    press(page, "Pause now")
    expect(page.locator("[data-part=status]")).to_have_text("Paused")
    assert hand_out(campaign) == 0
    press(page, "Resume")
    expect(page.locator("[data-part=status]")).to_have_text("Sending")
    hand_out(campaign)
    work_elsewhere()
    expect(page.locator("[data-part=status]")).to_have_text("Completed")
    expect(page.locator("[data-part=ended]")).to_contain_text("60 of 60 messages done")
    expect(page.locator("[data-part=channels] tr.total")).to_have_text(re.compile(r"All\s*60\s*60"))
    expect(page.locator("#trail li")).to_contain_text(
        ["Resumed", "Paused", "Started", "Approved", "Submitted for review", "Created"], use_inner_text=True
    )
    assert Notification.objects.filter(source=campaign.source).count() == 30


def test_a_number_leads_to_the_people_and_to_a_file(catalog, manager: Any, live_server, tmp_path: Path):
    campaign = start(draft(template=MessageTemplate.objects.get(), data={"order": "A17"}))
    hand_out(campaign)
    work_elsewhere()
    manager.goto(address_of(live_server.url, campaign))

    manager.locator("[data-part=funnel] a", has_text="60").nth(1).click()
    expect(manager.get_by_role("row")).to_have_count(51)
    follow(manager, "Next")
    expect(manager.get_by_role("row")).to_have_count(11)
    follow(manager, "Email")
    expect(manager.get_by_role("row")).to_have_count(31)
    with manager.expect_download() as waiting:
        manager.get_by_role("link", name="Download as CSV").click()
    waiting.value.save_as(tmp_path / "sent.csv")

    lines = (tmp_path / "sent.csv").read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("recipient,name,language,channel,outcome")
    assert len(lines) == 31


def test_each_value_of_the_template_has_a_field_and_the_json_says_the_same(catalog, manager: Any):
    MessageTemplate.objects.update(variables={"percent": 10, "until": "Sunday", "shops": ["Berlin"]})
    fill_in_nothing(manager)
    manager.select_option("[name=template]", label="Summer sale")
    percent = manager.get_by_label("percent", exact=True)
    json = manager.locator("[name=data]")

    # What has several parts has no field, and says where it goes
    expect(manager.get_by_text("given as JSON below: shops.")).to_be_visible()
    percent.fill("20")
    manager.get_by_label("until", exact=True).fill("20")
    expect(json).to_have_value(re.compile(r'"percent": 20,\s+"until": "20"'))

    # Both ways, and what can't be read is not written over
    json.fill('{"percent": 35, "shops": ["Rome"]}')
    expect(percent).to_have_value("35")
    expect(manager.get_by_label("until", exact=True)).to_have_value("")
    percent.fill("")
    expect(json).to_have_value(re.compile(r'^\{\s+"shops"'))
    json.fill("{")
    expect(manager.locator(".campaign-values")).to_have_attribute("inert", "")


def test_a_list_with_unknown_ids_says_so_beside_the_field(catalog, manager: Any):
    fill_in(manager)
    press(manager, "Next →")
    expect(manager.locator("[name=recipients]")).to_be_hidden()
    manager.check("[name=audience][value=list]")
    manager.fill("[name=recipients]", "person-1\n\nmoon\nperson-2")
    press(manager, "Next →")
    press(manager, "Save and check →")

    # The step with the error is the one that opens
    expect(manager.get_by_text("Nobody has this id: moon.")).to_be_visible()
    manager.check("[name=leave_out_unknown]")
    expect(manager.locator("#plan [data-part=figures]")).to_contain_text("2")
    press(manager, "Next →")
    press(manager, "Save and check →")

    expect(manager.get_by_text("Nothing is missing")).to_be_visible()
    expect(manager.locator("#plan [data-part=figures]")).to_contain_text("2")


def test_a_campaign_is_cancelled_after_a_question(catalog, manager: Any, live_server):
    campaign = start(draft(template=MessageTemplate.objects.get()))
    manager.goto(address_of(live_server.url, campaign))
    follow(manager, "Cancel…")
    expect(manager.get_by_text("This can't be undone.")).to_be_visible()

    press(manager, "Cancel the campaign")

    expect(manager.locator("[data-part=status]")).to_have_text("Cancelling")
    assert Campaign.objects.get().status == CampaignStatus.CANCELLED


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen_or_logs_an_error(catalog, manager: Any, live_server, width: int):
    manager.set_viewport_size({"width": width, "height": 850})
    template = factories.template("other")
    made, going = draft("Draft", template=template), start(draft("Going", template=template))
    hand_out(going)

    for path in (f"campaign/{made.pk}/change/", f"campaign/{made.pk}/check/", f"campaign/{going.pk}/change/",
                 f"campaign/{going.pk}/people/"):  # fmt: skip
        manager.goto(f"{live_server.url}/admin/campaigns/{path}")
        manager.wait_for_load_state("networkidle") if "check" in path else manager.wait_for_timeout(400)
        wider = manager.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, path
