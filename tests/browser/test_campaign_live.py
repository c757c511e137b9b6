"""The page of a started campaign with phases and several wordings, and the people behind its numbers."""

import re
from typing import Any

import pytest

from campaigns.models import Campaign, CampaignStatus
from notifications.choices import EventType
from tests import factories
from tests.browser.axe import violations
from tests.browser.campaigns import address_of, elsewhere, follow, press, sign_in, work_elsewhere
from tests.campaigns.conftest import (
    fresh,
    hand_out,
    hold_over,
    make_campaign,
    receipts,
    rest_over,
    start,
    with_wordings,
)
from tests.notifications.fakes import FakeProvider, use_provider

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: As long as a template's and a campaign's name may be, and a word that does not break by itself.
LONG = "Autumn: Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft, part two"


@pytest.fixture
def trial(settings: Any) -> Campaign:
    """Two wordings are tried on half of the people, after a canary; all of it has been sent, and it waits."""
    use_provider(settings, FakeProvider("fake"))
    people = factories.recipients(98)
    factories.recipients(2, prefix="nobody", email="", phone="")
    people[0].name = LONG
    people[0].save()
    campaign = make_campaign(
        LONG, canary_percent=10, canary_minutes=30, test_percent=50, winner_metric="clicked", decide_after_minutes=90
    )
    started = start(with_wordings(campaign, A=40, B=60))
    elsewhere(lambda: hand_out(started))
    work_elsewhere()
    hold_over(started)
    elsewhere(lambda: hand_out(started))
    work_elsewhere()
    return started


def table(page: Any) -> Any:
    return page.locator("#variants")


def line(page: Any, label: str) -> Any:
    return table(page).get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile(f"^{label} ")))


def test_a_viewer_sees_each_wording_move_and_can_choose_nothing(page: Any, live_server: Any, trial: Campaign) -> None:
    sign_in(page, live_server.url, "vera", "viewers")
    page.goto(address_of(live_server.url, trial))

    # Given what stands there at first: the phase, and nobody ahead
    expect(page.locator("[data-part=phase]")).to_contain_text("The wordings are tried until")
    expect(page.locator("[data-part=phases] [aria-current=step]")).to_contain_text("Test of the variants")
    expect(table(page)).to_contain_text("nobody has clicked yet")
    expect(line(page, "A")).to_contain_text("0%")

    # When some have clicked, then the table follows without a reload, and says who is ahead
    receipts(trial, "A", EventType.CLICKED, 1)
    receipts(trial, "B", EventType.CLICKED)
    rest_over(trial)
    expect(line(page, "B")).to_contain_text("Ahead", timeout=30_000)  # it asks every 15 seconds
    # All who have an email; chance says whether somebody who has none is among its people.
    expect(line(page, "B")).to_contain_text(re.compile(r"100%|9\d\.\d%"), timeout=90_000)
    expect(table(page)).to_contain_text("B is ahead, by more than chance")

    # Then there is nothing to press
    expect(page.get_by_role("link", name=re.compile("^Choose"))).to_have_count(0)
    expect(table(page).get_by_role("columnheader")).to_have_count(7)


def test_an_operator_chooses_the_winner_and_everybody_else_gets_it(
    page: Any, live_server: Any, trial: Campaign
) -> None:
    sign_in(page, live_server.url, "mary", "operators")
    page.goto(address_of(live_server.url, trial))
    expect(line(page, "A")).to_be_visible()

    # When they think better of it, then nothing is chosen
    follow(page, "Choose A for everybody else")
    expect(page.get_by_text("This can't be undone.")).to_be_visible()
    page.go_back()
    assert fresh(trial).winner is None

    # When they choose
    follow(page, "Choose B for everybody else")
    press(page, "Send B to everybody else")

    # Then the page says who chose what, nobody can choose again, and it goes on to everybody else
    expect(page.locator("[data-part=phase-text]")).to_contain_text("mary chose B, “Wording B”")
    expect(line(page, "B")).to_contain_text("Winner")
    expect(page.get_by_role("link", name=re.compile("^Choose"))).to_have_count(0)
    elsewhere(lambda: hand_out(trial))
    expect(page.locator("[data-part=status]")).to_have_text("Completed")
    assert fresh(trial).status == CampaignStatus.COMPLETED


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_in_anybodys_way(page: Any, live_server: Any, trial: Campaign, scheme: str, width: int) -> None:
    receipts(trial, "B", EventType.CLICKED)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, live_server.url, "manager")

    for name, ready in (("change", "#variants tbody tr"), ("people", ".campaign-people tbody tr")):
        page.goto(address_of(live_server.url, trial, name))
        page.locator(ready).first.wait_for()
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
