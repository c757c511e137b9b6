"""More kinds of messages than one page has: parts, and finding one; all of it without JavaScript."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from preferences.kinds import PART, Part, kinds
from preferences.models import Category
from tests import factories

Words = Callable[[], set[tuple[str | None, str, bool]]]
pytestmark = pytest.mark.django_db


@pytest.fixture
def _many() -> None:
    Category.objects.bulk_create(
        Category(slug=f"kind-{n:03}", name=f"Kind {n:03}", description="Now & then" if n == 7 else "")
        for n in range(2 * PART + 1)
    )


def shown(body: str) -> list[str]:
    """The names of the kinds on a page, in their order, but for the rows above them."""
    return re.findall(r'<th role="rowheader" scope="row"><b>(Kind [^<]+)</b>', body)


def forms(body: str) -> set[str]:
    """Where the page's forms that change something go."""
    return {html.unescape(found) for found in re.findall(r'<form[^>]* method="post" action="([^"]+)"', body)}


def switched_off(client: Client, address: str, switch: str) -> Any:
    return client.post(address, {"action": "words", "shown": [f"{switch}:1"]}, follow=True)


@pytest.mark.usefixtures("_many")
class TestMany:
    def test_every_part_is_reached_by_links_and_holds_what_the_others_do_not(self, link: str) -> None:
        seen: list[str] = []
        address = link
        while address:
            body = Client().get(address).content.decode()
            seen += shown(body)
            found = re.search(r'href="([^"]+)#words-title" rel="next"', body)
            address = html.unescape(found[1]) if found else ""

        assert seen == [f"Kind {n:03}" for n in range(2 * PART + 1)]
        assert f"<span>{2 * PART + 1} of {2 * PART + 1}</span>" in body

    def test_one_is_found_by_a_part_of_its_name_or_description(self, link: str) -> None:
        for words in ("kind 007", "NOW &"):
            body = Client().get(link, {"find": words}).content.decode()
            assert shown(body) == ["Kind 007"]
            assert f'value="{html.escape(words)}"' in body

    def test_what_is_not_there_is_said_and_everything_is_one_press_away(self, link: str) -> None:
        body = Client().get(link, {"find": "<b>nothing"}).content.decode()

        assert "No kind of message is called “&lt;b&gt;nothing”." in body
        assert f'href="{link}#words-title"' in body

    def test_whoever_must_press_a_button_to_save_is_told_before_they_turn(self, link: str) -> None:
        """Beside the field to find one, and beside the button."""
        told = re.findall(
            r'<p class="save">[^\n]*Save before you turn to others\.</p>', Client().get(link).content.decode()
        )

        assert len(told) == 2

    def test_a_change_leads_back_to_the_part_it_was_made_in(self, link: str, words: Words) -> None:
        query = f"?find=kind+{PART:03}"
        there = Client().get(link + query).content.decode()
        assert forms(there) == {link + query}

        page = switched_off(Client(), link + query, f"kind-{PART:03}:email")

        assert words() == {(f"kind-{PART:03}", "email", False)}
        assert page.redirect_chain[0][0].startswith(f"{link}{query}&saved=")
        assert shown(page.content.decode()) == [f"Kind {PART:03}"]
        assert "Saved." in page.content.decode()

    def test_how_often_says_whose_it_is(self, link: str) -> None:
        factories.category("codes", is_required=True, name="Codes")
        some, none = (Client().get(link, {"find": found}).content.decode() for found in ("kind 007", "codes"))

        assert "Of the kinds shown above these can be gathered" in some
        assert 'name="rhythm"' in some
        assert "None of the kinds shown above can be gathered" in none
        assert 'name="rhythm"' not in none

    def test_a_refusal_stays_in_its_part(self, link: str) -> None:
        refused = Client().post(f"{link}?part=3", {"action": "words", "shown": ["nonsense"]})

        assert refused.status_code == 422
        assert shown(refused.content.decode()) == [f"Kind {2 * PART:03}"]

    def test_everything_off_reaches_the_kinds_of_other_parts(self, link: str, words: Words) -> None:
        switched_on = {"action": "words", "shown": ["kind-099:email:0"], "on": ["kind-099:email"]}
        Client().post(link, switched_on)

        switched_off(Client(), link, "*:email")

        assert words() == {(None, "email", False)}

    def test_all_marketing_is_offered_in_every_part(self, link: str) -> None:
        factories.category("offers", purpose="marketing", name="Zoo")

        assert all("All marketing" in Client().get(f"{link}?part={n}").content.decode() for n in (1, 2, 3))

    @pytest.mark.parametrize(
        ("given", "number"),
        [
            ("0", 1),
            ("-1", 1),
            ("x", 1),
            ("²", 1),
            ("9" * 5000, 1),
            ("0" * 4 + "2" * 5000, 1),
            ("00002", 1),
            ("9999", 3),
            ("2", 2),
        ],
    )
    def test_whatever_an_address_says_there_is_a_part(self, link: str, given: str, number: int) -> None:
        assert kinds(Part.read({"part": given}), "name").part.number == number
        assert Client().get(link, {"part": given, "find": ""}).status_code == 200

    def test_what_a_database_cannot_look_for_is_no_error(self, link: str) -> None:
        assert Client().get(link, {"find": "\0%_\\" + "x" * 500}).status_code == 200


def test_of_few_there_is_nothing_to_turn_or_find(link: str) -> None:
    Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n:03}") for n in range(PART))

    body = Client().get(link).content.decode()

    assert len(shown(body)) == PART
    assert 'name="find"' not in body
    assert "Kinds of messages" not in body
    assert "Save before" not in body
    assert 'name="rhythm"' in body
    assert "kinds shown above" not in body
    assert forms(body) == {link}
