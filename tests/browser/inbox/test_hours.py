"""A list that is open for hours, bursts of arrivals, and a machine whose clock is off."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from channels_app import identity, state
from channels_app.models import FeedItem
from preferences.models import Recipient
from tests import factories
from tests.browser.inbox.conftest import Shop, Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOUR_MS = 3_600_000
CLOCK = """
    const Real = Date;
    globalThis.Date = class extends Real {
        constructor(...given) { given.length ? super(...given) : super(Real.now() + OFF) }
        static now() { return Real.now() + OFF }
    };
"""


def test_a_list_stays_short_however_much_arrives_and_scrolling_brings_the_rest(tabs: Tabs, person: Recipient) -> None:
    page = tabs()
    connected(page)
    total = 480
    for start in range(0, total, 60):
        deliver(*(message(person, f"Number {n}") for n in range(start, start + 60)))
        expect(feed(page).get_by_text(f"Number {start + 59}", exact=True)).to_be_visible()

    expect(feed(page).locator(".item").nth(300)).to_have_count(0)
    assert feed(page).locator(".item").count() >= 100
    for _ in range(40):
        page.mouse.move(500, 500)
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(150)
        if feed(page).locator(".item").count() == total:
            break
    titles = feed(page).locator(".title").all_inner_texts()
    assert titles == [f"Number {n}" for n in reversed(range(total))]


def test_a_burst_is_said_in_two_sentences(tabs: Tabs, person: Recipient) -> None:
    page = tabs()
    connected(page)
    feed(page).evaluate("""(list) => {
        window.said = [];
        const live = list.shadowRoot.querySelector("[aria-live=polite]:not(.toasts)");
        new MutationObserver(() => window.said.push(live.textContent)).observe(live, {childList: true});
    }""")

    deliver(*(message(person, f"Number {n}") for n in range(9)))
    expect(feed(page).locator(".item")).to_have_count(9)
    page.wait_for_timeout(6000)

    assert page.evaluate("window.said") == ["New notification: Number 0", "8 new notifications"]


def test_a_burst_shows_three_toasts_and_counts_the_others(tabs: Tabs, shop: Shop, person: Recipient) -> None:
    shop.shows(person)
    page = tabs(shop.url, signed_in=False)
    connected(page)

    deliver(*(message(person, f"Number {n}") for n in range(9)))

    expect(bell(page).get_by_role("button", name="and 6 more")).to_be_visible()
    assert bell(page).locator(".toast .title").all_inner_texts() == ["Number 0", "Number 1", "Number 2"]
    bell(page).get_by_role("button", name="and 6 more").click()
    expect(bell(page).get_by_role("dialog")).to_be_visible()


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_off_neither_hides_nor_wakes(tabs: Tabs, contexts: Any, person: Recipient, hours: int) -> None:
    deliver(message(person, "Stays"), message(person, "Elsewhere"), message(person, "Here"))
    context = contexts()
    context.add_init_script(CLOCK.replace("OFF", str(hours * HOUR_MS)))
    page = tabs(of=context)
    connected(page)
    expect(feed(page).locator(".item .title")).to_have_text(["Here", "Elsewhere", "Stays"])
    expect(feed(page).locator(".item time").first).to_have_text("now")

    elsewhere = FeedItem.objects.get(title="Elsewhere").id
    state.snooze(person.id, [elsewhere], timezone.now() + timedelta(hours=1))
    expect(feed(page).locator(".item .title")).to_have_text(["Here", "Stays"])
    feed(page).locator(".item").first.hover()
    feed(page).get_by_role("button", name="Snooze", exact=True).first.click()
    feed(page).get_by_role("menuitem", name="In an hour").click()
    expect(feed(page).locator(".item .title")).to_have_text(["Stays"])

    feed(page).get_by_role("button", name="Snoozed").click()
    expect(feed(page).locator(".item .title")).to_have_text(["Here", "Elsewhere"])
    ahead = FeedItem.objects.get(title="Here").snoozed_until - timezone.now()
    assert timedelta(minutes=58) < ahead < timedelta(minutes=61)


def test_a_token_of_somebody_else_shows_their_feed_and_counts(tabs: Tabs, shop: Shop, person: Recipient) -> None:
    other = factories.recipient("eve", devices=0)
    deliver(*(message(person, f"For ada {n}") for n in range(5)))
    deliver(message(other, "For eve"))
    shop.shows(person, attributes="mode=list title-badge")
    page = tabs(shop.url, signed_in=False)
    connected(page)
    element = page.locator("carillon-inbox")
    expect(element.locator(".item")).to_have_count(5)

    element.evaluate("(inbox, token) => inbox.setAttribute('token', token)", identity.issue_token(other.id).token)

    expect(element.locator(".item .title")).to_have_text(["For eve"])
    expect(page).to_have_title("(1) Shop")


def test_what_is_let_go_of_is_there_until_the_rest_has_come(tabs: Tabs) -> None:
    """A list is shortened by reading its top again; where that fails it goes on from where it was."""
    lengths = tabs().evaluate("""async () => {
        const { FeedList } = await import("/static/channels_app/carillon-list.js");
        const { shorten } = await import("/static/channels_app/carillon-changes.js");
        let isDown = false;
        const feed = Object.assign(new EventTarget(), { helloVersion: 1, page({ limit, cursor = 0 }) {
            if (isDown) return Promise.reject(new Error("down"));
            const results = Array.from({ length: limit }, (_, n) => ({ id: `${cursor + n}`, seq: 1000 - cursor - n }));
            return Promise.resolve({ results, next_cursor: cursor + limit, counts: { version: 1 } });
        } });
        const far = { getBoundingClientRect: () => ({ top: 1e6 }) };
        const settled = () => new Promise((done) => setTimeout(done, 50));
        const list = new FeedList(feed);
        const found = [];
        const isWhole = () => list.items.every(({ id }, at) => id === String(at));
        const note = () => found.push(isWhole() && list.items.length);
        await list.load();
        for (let pages = 1; pages < 13; pages++) await list.more();
        note();
        isDown = true;
        shorten(list, far);
        await settled();
        note();
        isDown = false;
        await list.more();
        note();
        shorten(list, far);
        await settled();
        note();
        await list.more();
        note();
        return found;
    }""")

    assert lengths == [325, 325, 350, 100, 125]
