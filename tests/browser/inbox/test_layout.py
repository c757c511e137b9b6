"""Nothing jumps: what is on the screen stays where it is, while the page loads and while items arrive."""

from typing import Any

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Shop, Tabs, bell, connected, feed
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Added up as the browser reports it, whoever caused it (https://web.dev/articles/cls calls 0.1 good).
LITTLE = 0.01
WATCH = """
    window.shifted = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifted += entry.value)))
        .observe({type: "layout-shift", buffered: true});
"""
ARABIC = "وصلت شحنتك اليوم بين الساعة الثانية والرابعة بعد الظهر"


def _watched(context: Any) -> Any:
    context.add_init_script(WATCH)
    return context


def _shifted(page: Any) -> float:
    page.wait_for_timeout(500)  # for what glides, and for the browser's report
    return float(page.evaluate("window.shifted"))


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_the_page_loads_and_items_arrive(
    contexts: Any, tabs: Tabs, person: Recipient, width: int
) -> None:
    deliver(*(message(person, f"Before {n}", body="Something longer that is said below it.") for n in range(12)))
    page = tabs(of=_watched(contexts(viewport={"width": width, "height": 800})))
    expect(feed(page).locator(".item")).to_have_count(12)
    connected(page)
    loading = _shifted(page)

    for n in range(3):
        deliver(message(person, f"Live {n}"))
        expect(feed(page).get_by_text(f"Live {n}", exact=True)).to_be_visible()
    deliver(*(message(person, f"Batch {n}") for n in range(10)))
    expect(feed(page).locator(".item")).to_have_count(25)
    arriving = _shifted(page) - loading

    assert (loading < LITTLE, arriving < LITTLE) == (True, True), (loading, arriving)


def test_the_first_item_of_all_moves_nothing_either(contexts: Any, tabs: Tabs, person: Recipient) -> None:
    page = tabs(of=_watched(contexts()))
    expect(feed(page).get_by_text("You’re all caught up")).to_be_visible()
    connected(page)

    deliver(message(person, "First"))
    expect(feed(page).get_by_text("First", exact=True)).to_be_visible()

    assert _shifted(page) < LITTLE


def test_a_bell_moves_nothing_on_the_page_it_comes_to(contexts: Any, tabs: Tabs, shop: Shop, person: Recipient) -> None:
    """Where the page keeps its place, as docs/inbox.md says."""
    deliver(message(person, "Before"))
    style = "<style>carillon-inbox:not(:defined){display:inline-block;width:42px;height:42px}</style>"
    shop.shows(person, f"{style}<header>Shop {{inbox}}</header><main><h1>Shoes</h1><p>Many of them.</main>")
    page = tabs(shop.url, signed_in=False, of=_watched(contexts()))
    connected(page)
    expect(bell(page).locator(".badge")).to_have_text("1")

    deliver(message(person, "Live"))
    expect(bell(page).locator(".badge")).to_have_text("2")

    assert _shifted(page) < LITTLE


def test_who_has_scrolled_down_stays_at_what_they_read(tabs: Tabs, person: Recipient) -> None:
    """Looked at frame by frame: the browser counts a row as shifted even where it scrolls along with it."""
    deliver(*(message(person, f"Before {n}") for n in range(20)))
    page = tabs()
    connected(page)
    row = feed(page).locator(".item", has_text="Before 5")
    row.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    row.evaluate("""(row) => {
        window.tops = [];
        const look = () => (window.tops.push(row.getBoundingClientRect().top), requestAnimationFrame(look));
        look();
    }""")

    deliver(message(person, "Live"))
    expect(feed(page).locator(".item")).to_have_count(21)
    page.wait_for_timeout(300)

    tops = page.evaluate("window.tops")
    assert len(tops) > 10
    assert max(tops) - min(tops) <= 1


@pytest.mark.parametrize("path", ["list", "popover"])
@pytest.mark.parametrize("width", [1280, 390])
def test_what_stands_for_rows_while_they_load_gives_way_without_a_jump(
    contexts: Any, tabs: Tabs, person: Recipient, width: int, path: str
) -> None:
    for category in ("orders", "security"):
        deliver(*(message(person, f"Before {n}", body="What it is about.", category=category) for n in range(6)))
    context = _watched(contexts(viewport={"width": width, "height": 800}))
    held: list[Any] = []
    context.route("**/api/v1/feed/?*", lambda route: held.append(route))  # noqa: PLW0108  Playwright marks its handlers
    page = tabs(of=context)
    element = bell(page) if path == "popover" else feed(page)
    if path == "popover":
        bell(page).locator("button.bell").click()
    expect(element.locator(".ghost").first).to_be_visible()
    page.wait_for_timeout(600)
    ghost = element.locator(".ghost").first.bounding_box()
    panel = element.locator(".panel").bounding_box()
    before = _shifted(page)

    for route in held:
        route.continue_()
    context.unroute("**/api/v1/feed/?*")
    expect(element.locator(".item")).to_have_count(12)

    row = element.locator(".item").first.bounding_box()
    assert abs(row["height"] - ghost["height"]) <= 8
    assert element.locator(".panel").bounding_box()["y"] == panel["y"]
    assert abs(element.locator(".panel").bounding_box()["height"] - panel["height"]) < 90 or path == "list"
    assert _shifted(page) - before < LITTLE


#: Buttons of a row that stand over words.
COVERING = """(row) => {
    const words = [...row.querySelectorAll(".title, .body, .meta")].flatMap((element) => {
        const range = document.createRange(), end = element.getBoundingClientRect().bottom + 1;
        range.selectNodeContents(element);
        return [...range.getClientRects()].filter((rect) => rect.bottom <= end);
    });
    const buttons = [...row.querySelectorAll(".act")].filter((button) => button.offsetParent);
    return buttons.filter((button) => {
        const at = button.getBoundingClientRect();
        const meets = (r) => r.left < at.right && r.right > at.left && r.top < at.bottom - 2 && r.bottom > at.top + 2;
        return words.some(meets);
    }).map((button) => button.title);
}"""


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("width", [1280, 600, 390])
def test_a_row_s_buttons_cover_no_words(
    contexts: Any, tabs: Tabs, shop: Shop, person: Recipient, width: int, direction: str
) -> None:
    long = "One sentence after another, until the line is full and goes on. " * 6
    deliver(
        message(person, long, body=long, category="a-category-with-a-name-that-is-really-very-long-indeed"),
        message(person, long, metadata={"in_app": {"actions": [{"label": "Track", "link": "/a"}]}}),
        message(person, "Short"),
    )
    shop.shows(person, f"<script>document.dir = '{direction}'</script><header>Shop {{inbox}}</header>")
    page = tabs(shop.url, signed_in=False, of=contexts(viewport={"width": width, "height": 800}))
    connected(page)
    bell(page).locator("button.bell").click()

    for row in bell(page).locator(".item").all():
        row.hover()
        expect(row.locator(".act:visible").first).to_be_visible()
        page.wait_for_timeout(200)
        assert row.evaluate(COVERING) == []


def _overflowing(page: Any) -> list[str]:
    """Elements that stick out of the screen to a side, though nothing scrolls them."""
    return list(
        page.evaluate("""() => {
            const roots = [...document.querySelectorAll("carillon-inbox")].map((one) => one.shadowRoot);
            const all = roots.flatMap((root) => [...root.querySelectorAll("*")])
                .filter((e) => !e.closest(".tabs, .hidden, [hidden]") && e.getClientRects().length);
            const out = all.filter((e) => {
                const {left, right} = e.getBoundingClientRect();
                return left < -1 || right > innerWidth + 1;
            }).map((e) => e.className || e.tagName);
            return document.documentElement.scrollWidth > innerWidth ? [...out, "the page"] : out;
        }""")
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_right_to_left_the_layout_is_mirrored_and_nothing_sticks_out(
    tabs: Tabs, shop: Shop, contexts: Any, person: Recipient, width: int
) -> None:
    deliver(
        message(person, ARABIC, body=ARABIC * 3, metadata={"in_app": {"actions": [{"label": "تتبع", "link": "/a"}]}})
    )
    body = "<script>document.dir = 'rtl'</script><header>{inbox}</header>"
    shop.shows(person, body)
    page = tabs(shop.url, signed_in=False, of=contexts(viewport={"width": width, "height": 800}))
    connected(page)
    bell(page).locator("button.bell").click()
    row = bell(page).locator(".item").first
    expect(row).to_be_visible()

    face, words, acts = (row.locator(name).first.bounding_box() for name in (".face", ".words", ".acts"))
    assert face["x"] > words["x"] + words["width"] - 1
    assert acts["x"] + acts["width"] / 2 < words["x"] + words["width"] / 2
    button, box = row.locator(".buttons a").bounding_box(), row.bounding_box()
    assert box["x"] + box["width"] / 2 < button["x"] + button["width"]
    assert row.locator(".title").evaluate("(e) => getComputedStyle(e).direction") == "rtl"
    assert _overflowing(page) == []
    row.hover()
    row.get_by_role("button", name="More actions" if width < 480 else "Snooze", exact=True).click()
    expect(bell(page).get_by_role("menu")).to_be_visible()
    assert _overflowing(page) == []


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_long_words_and_large_numbers_stick_out_nowhere(
    contexts: Any, tabs: Tabs, person: Recipient, width: int
) -> None:
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
    label = {"label": "W" * 40, "event": "x"}
    deliver(message(person, word, body=word, metadata={"in_app": {"actions": [label, label, label]}}))
    deliver(*(message(person, f"Number {n}") for n in range(119)))
    deliver(message(person, word, body=word, metadata={"in_app": {"actions": [label, label, label]}}))
    page = tabs(of=contexts(viewport={"width": width, "height": 800}))
    expect(bell(page).locator(".badge")).to_have_text("99+")
    expect(feed(page).locator(".item").first).to_be_visible()
    assert _overflowing(page) == []

    bell(page).locator("button.bell").click()
    expect(bell(page).locator(".item").first).to_be_visible()

    assert _overflowing(page) == []
