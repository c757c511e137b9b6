"""The dashboard in a real Chromium: figures that move, addresses that can be shared, honest words when it stops."""

import re
from datetime import timedelta
from typing import Any

import pytest

from analytics.observer import MinuteCounts
from core.moments import database_now
from notifications.models import OutboxMessage, ProviderSwitch
from notifications.observers import OutcomeKey
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from tests import factories
from tests.browser.test_admin import expect, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Milliseconds until a figure that follows by itself must be there, also on a busy machine; it is asked for every few
#: seconds.
expect.set_options(timeout=20_000)

SENT = OutcomeKey("api:abc", 1, "email", "simulated_email", "sent")
SKIPPED = OutcomeKey("api:abc", 1, "sms", "", "skipped", "opted_out")


def counted(counts: dict[OutcomeKey, int], ago: timedelta = timedelta()) -> None:
    MinuteCounts().record(counts, database_now() - ago)


@pytest.fixture
def dashboard(page: Any, live_server: Any) -> Any:
    """Signed in, with 40 sent in this hour and 20 in the one before."""
    counted({SENT: 40, SKIPPED: 3}, timedelta(minutes=2))  # a span that ends with a minute leaves out the running one
    counted({SENT: 20}, timedelta(minutes=61))
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/dashboard/")
    expect(part(page, "state")).to_have_text("Live")
    return page


def beside(page: Any) -> Any:
    """Another window of the same person."""
    context = page.context.browser.new_context(storage_state=page.context.storage_state())
    return context.new_page()


def part(page: Any, name: str) -> Any:
    return page.locator(f"[data-part={name}]")


def tile(page: Any, name: str) -> Any:
    return part(page, "tiles").locator(".dash-tile", has=page.get_by_role("heading", name=name, exact=True))


def row(page: Any, name: str) -> Any:
    return part(page, "outcomes").get_by_role("row", name=re.compile(f"^{name}"))


def test_it_shows_the_hour_beside_the_one_before_and_follows_by_itself(dashboard: Any) -> None:
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("40")
    expect(tile(dashboard, "Sent").locator(".dash-change")).to_have_attribute("title", "20 in the period before")
    dashboard.evaluate("window.sameDocument = true")

    counted({SENT: 60})

    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("100")
    expect(row(dashboard, "Skipped")).to_contain_text("3")
    assert dashboard.evaluate("window.sameDocument")


def test_what_is_looked_at_stands_in_the_address_and_back_goes_back(dashboard: Any, live_server: Any) -> None:
    category = factories.category()
    dashboard.reload()

    dashboard.get_by_role("link", name="6 hours").click()
    expect(dashboard).to_have_url(re.compile(r"\?range=6h$"))
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("60")
    dashboard.locator(".dash-filter summary").click()
    dashboard.locator("[name=channel]").select_option(label="SMS")
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("0")
    dashboard.locator("[name=category]").select_option(label=category.name)
    expect(dashboard).to_have_url(re.compile(rf"range=6h&channel=sms&category={category.pk}$"))
    expect(part(dashboard, "used")).to_have_text("2")

    other = beside(dashboard)
    other.goto(dashboard.url)
    expect(other.locator("[data-range-name='6h']")).to_have_attribute("aria-current", "true")
    expect(tile(other, "Sent").locator("strong")).to_have_text("0")
    other.context.close()

    dashboard.go_back()
    dashboard.go_back()
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("60")
    expect(part(dashboard, "used")).to_be_hidden()


def test_a_span_of_ones_own_by_form_and_by_dragging_over_the_chart(dashboard: Any) -> None:
    moment = database_now() - timedelta(hours=2)
    dashboard.get_by_text("Custom", exact=True).click()
    dashboard.get_by_label("From (UTC)").fill(f"{moment:%Y-%m-%dT%H:%M}")
    dashboard.get_by_role("button", name="Look", exact=True).click()
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("60")
    expect(dashboard.locator("[data-range-name][aria-current]")).to_have_count(0)

    chart = dashboard.locator("[data-part=sent] .u-over")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    dashboard.mouse.move(box["x"] + box["width"] * 0.05, box["y"] + 60)
    dashboard.mouse.down()
    dashboard.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60, steps=5)
    dashboard.mouse.up()

    expect(dashboard).to_have_url(re.compile("since=.*until="))
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("0")


def test_a_span_that_makes_no_sense_is_said(dashboard: Any, live_server: Any) -> None:
    other = beside(dashboard)  # its console tells of the answer 400, as it should
    other.goto(f"{live_server.url}/admin/dashboard/?since=2019-01-01T00:00")

    expect(part(other, "banner")).to_contain_text("A span is at most 400 days long.")
    expect(part(other, "verdict").get_by_role("heading")).to_be_visible()


def test_a_number_leads_to_the_deliveries_behind_it(dashboard: Any) -> None:
    row(dashboard, "Skipped").get_by_role("link", name="Skipped by SMS: 3").click()

    expect(dashboard).to_have_url(re.compile(r"/admin/notifications/delivery/\?.*channel__exact=sms.*outcome=skipped"))
    expect(dashboard).to_have_title(re.compile("deliver"))


def test_trouble_is_the_first_thing_one_reads_and_leads_to_its_place(dashboard: Any) -> None:
    expect(part(dashboard, "verdict")).not_to_have_attribute("data-tone", "bad")

    for name in ("simulated_sms", "simulated_sms_backup"):
        Breaker().report(name, Report(answered=10, failed=30))
    OutboxMessage.objects.create(
        channel="sms", priority="low", due_at=database_now() - timedelta(seconds=400), delivery_ids=[]
    )

    expect(part(dashboard, "verdict")).to_have_attribute("data-tone", "bad")
    expect(part(dashboard, "verdict").get_by_role("heading")).to_have_text("Some messages are not getting through")
    expect(part(dashboard, "findings")).to_contain_text("SMS waits: none of its providers may be asked.")
    expect(part(dashboard, "findings")).to_contain_text("SMS is behind")
    expect(dashboard.locator("article#sms")).to_contain_text("Failing")
    expect(dashboard).to_have_title(re.compile("^● Dashboard"))
    dashboard.get_by_role("link", name=re.compile("SMS waits")).click()
    expect(dashboard.locator("article#sms")).to_have_class(re.compile("dash-shown"))


def test_a_provider_is_switched_off_from_here_and_one_is_back_where_one_was(dashboard: Any, live_server: Any) -> None:
    dashboard.goto(f"{live_server.url}/admin/dashboard/?range=15m&channel=email")
    provider = dashboard.locator("[data-provider=simulated_email]")
    provider.get_by_role("link", name="Switch off: simulated_email").click()
    dashboard.get_by_label("Why").fill("Invoices unpaid")
    dashboard.get_by_role("button", name="Switch off").click()

    expect(dashboard).to_have_url(f"{live_server.url}/admin/dashboard/?range=15m&channel=email")
    expect(provider).to_contain_text("By grace: Invoices unpaid")
    expect(dashboard.locator("article#email")).to_contain_text("failed over to simulated_email_backup")
    assert ProviderSwitch.objects.get().provider == "simulated_email"


def test_focus_stays_where_it_is_while_figures_move(dashboard: Any) -> None:
    link = row(dashboard, "Sent").get_by_role("link", name=re.compile("^Sent:"))
    link.focus()

    counted({SENT: 1})

    expect(row(dashboard, "Sent").get_by_role("link", name="Sent: 41")).to_be_focused(timeout=15_000)


def test_the_chart_is_read_by_the_keyboard_and_as_a_table(dashboard: Any) -> None:
    chart = part(dashboard, "sent")
    expect(chart).to_have_attribute("aria-label", re.compile("Messages sent per minute: 40 in all.*Email 40"))
    chart.focus()
    dashboard.keyboard.press("End")
    expect(chart.locator(".dash-tip")).to_be_visible()
    dashboard.keyboard.press("ArrowLeft")
    expect(dashboard.locator("[data-said]").first).to_contain_text("Together")
    dashboard.keyboard.press("Escape")
    expect(chart.locator(".dash-tip")).to_be_hidden()

    card = dashboard.locator(".dash-card", has=chart)
    card.get_by_text("As a table").click()
    expect(card.get_by_role("columnheader", name="Email")).to_be_visible()
    expect(card.locator("tbody tr")).to_have_count(60)


def test_keys_choose_a_range_and_hold_the_figures_still(dashboard: Any) -> None:
    dashboard.keyboard.press("1")
    expect(dashboard).to_have_url(re.compile("range=15m"))
    dashboard.keyboard.press("p")
    expect(part(dashboard, "state")).to_have_text("Paused")
    dashboard.wait_for_timeout(300)
    counted({SENT: 5})
    dashboard.wait_for_timeout(6000)
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("40")

    dashboard.get_by_role("button", name="Hold these figures still").click()
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("45")


def test_without_the_server_it_says_how_old_its_figures_are(dashboard: Any) -> None:
    dashboard.route("**/dashboard/*/**", lambda route: route.abort())

    expect(part(dashboard, "banner")).to_contain_text("No connection to the server", timeout=20_000)
    expect(part(dashboard, "banner")).to_contain_text("What you see is from")
    expect(part(dashboard, "state")).to_have_text("Not live")
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("40")

    dashboard.unroute("**/dashboard/*/**")
    expect(part(dashboard, "banner")).to_be_hidden(timeout=40_000)


def test_signed_out_it_says_that_it_stands_still(dashboard: Any) -> None:
    dashboard.context.clear_cookies()

    expect(part(dashboard, "banner")).to_contain_text("signed out")
    expect(part(dashboard, "state")).to_have_text("Signed out")


def test_it_stands_within_a_second(dashboard: Any) -> None:
    dashboard.reload()
    expect(tile(dashboard, "Sent").locator("strong")).to_have_text("40")

    spent = dashboard.evaluate(
        """() => {
            const [page] = performance.getEntriesByType("navigation");
            const parts = performance.getEntriesByType("resource").filter((one) => one.initiatorType === "fetch");
            return Math.max(page.domContentLoadedEventEnd, ...parts.slice(0, 4).map((one) => one.responseEnd));
        }"""
    )
    assert spent < 3000, "a second on a machine that does nothing else"


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_it_is_never_wider_than_the_window(dashboard: Any, live_server: Any, width: int) -> None:
    Breaker().report("simulated_email", Report(failed=50, pause=600.0))
    ProviderSwitch.objects.create(provider="simulated_sms", by="grace", reason="x" * 200)
    counted({SENT: 123_456_789})
    dashboard.set_viewport_size({"width": width, "height": 900})

    for address in ("/admin/dashboard/", "/admin/dashboard/wall/"):
        dashboard.goto(live_server.url + address)
        expect(part(dashboard, "state")).to_have_text("Live")
        expect(tile(dashboard, "Sent").locator("strong")).to_contain_text("123")
        dashboard.locator(".dash-tip").first.wait_for(state="attached")
        assert dashboard.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_the_wall_screen_fits_its_screen_and_tells_the_time(dashboard: Any, live_server: Any) -> None:
    dashboard.set_viewport_size({"width": 1920, "height": 1080})
    dashboard.get_by_role("link", name="For a screen on the wall").click()

    expect(part(dashboard, "clock")).to_have_text(re.compile(r"^\d\d:\d\d$"))
    expect(dashboard.locator("#nav-sidebar-apps")).to_have_count(0)
    expect(dashboard.locator("article#email")).to_be_visible()
    assert dashboard.evaluate("document.documentElement.scrollHeight <= innerHeight")
    dashboard.get_by_role("link", name="Back to the dashboard").click()
    expect(dashboard.locator("#nav-sidebar-apps")).to_be_visible()
