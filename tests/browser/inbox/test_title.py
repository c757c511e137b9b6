"""The number in the title, on a page that changes its title by itself."""

import pytest

from preferences.models import Recipient
from tests.browser.inbox.conftest import Shop, Tabs, connected
from tests.channels_app.conftest import deliver, message

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_pages_title_stays_the_pages_own(tabs: Tabs, shop: Shop, person: Recipient) -> None:
    deliver(message(person, "First"), message(person, "Second"))
    shop.shows(person, attributes="title-badge")
    page = tabs(shop.url, signed_in=False)
    connected(page)
    expect(page).to_have_title("(2) Shop")

    page.evaluate("document.title = 'Basket'")
    expect(page).to_have_title("(2) Basket")
    page.evaluate("document.title += ' · 3 pairs'")
    expect(page).to_have_title("(2) Basket · 3 pairs")
    other = "Object.assign(document.createElement('title'), {text: '(7) Days'})"  # as some libraries do it
    page.evaluate(f"document.querySelector('title').replaceWith({other})")
    expect(page).to_have_title("(2) (7) Days")
    deliver(message(person, "Third"))
    expect(page).to_have_title("(3) (7) Days")
    page.evaluate("window.inbox = document.querySelector('carillon-inbox')")
    page.evaluate("inbox.removeAttribute('title-badge')")
    expect(page).to_have_title("(7) Days")
    page.evaluate("inbox.setAttribute('title-badge', '')")
    expect(page).to_have_title("(3) (7) Days")

    page.evaluate("inbox.remove()")
    expect(page).to_have_title("(7) Days")
    page.evaluate("document.title = 'Till'")
    expect(page).to_have_title("Till")
