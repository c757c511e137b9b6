"""How often each kind comes, on the page: what may be chosen, what is saved, told and taken back."""

from datetime import time

import pytest
from django.test import Client

from preferences.models import ChangeRecord, DigestChoice, Recipient
from preferences.services import DigestChange, PreferencesService
from tests import factories
from tests.preferences.centre.test_page import post, undo

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _categories() -> None:
    factories.category("comments", name="Comments", digest_mode="fixed", digest_window_seconds=600)
    factories.category("codes", is_required=True)
    factories.category("feed", channels=["in_app"])


def words() -> set[tuple[str | None, str, time | None, int | None]]:
    return set(DigestChoice.objects.values_list("category__slug", "rhythm", "at", "weekday"))


def test_only_what_may_be_gathered_is_offered_with_what_holds(link: str) -> None:
    shown = Client().get(link).content.decode()

    assert '<option value="comments=" selected>As usual: gathered for 10 minutes</option>' in shown
    assert '<option value="comments=daily::">Every day at 09:00</option>' in shown
    assert "rhythm-codes" not in shown
    assert "rhythm-feed" not in shown


def test_a_choice_is_saved_told_and_taken_back(link: str, ada: Recipient) -> None:
    client = Client()
    page = post(client, link, action="rhythms", shown=["comments="], rhythm=["comments=weekly::"])

    assert words() == {("comments", "weekly", None, None)}
    assert PreferencesService().reach_fresh([ada.pk])[ada.pk].digests
    text = page.content.decode()
    assert '<option value="comments=weekly::" selected>Mondays at 09:00</option>' in text
    assert "Comments, how often: weekly" in text

    undo(client, link, page)

    assert words() == set()


def test_a_time_that_was_chosen_elsewhere_stays_to_choose_and_is_restored(link: str) -> None:
    PreferencesService().set_digests("ada", [DigestChange("comments", "weekly", time(18, 30), 4)])
    assert '<option value="comments=weekly:1830:4" selected>Fridays at 18:30</option>' in (
        Client().get(link).content.decode()
    )

    page = post(Client(), link, action="rhythms", shown=["comments=weekly:1830:4"], rhythm=["comments=as_it_comes::"])
    assert words() == {("comments", "as_it_comes", None, None)}

    undo(Client(), link, page)
    assert words() == {("comments", "weekly", time(18, 30), 4)}


def test_a_page_that_stood_open_changes_nothing_that_was_not_touched(link: str) -> None:
    PreferencesService().set_digests("ada", [DigestChange("comments", "daily")])

    post(Client(), link, action="rhythms", shown=["comments="], rhythm=["comments="])

    assert words() == {("comments", "daily", None, None)}


def test_an_undo_leaves_a_later_word_alone(link: str) -> None:
    page = post(Client(), link, action="rhythms", shown=["comments="], rhythm=["comments=hourly::"])
    PreferencesService().set_digests("ada", [DigestChange("comments", "daily")])

    undo(Client(), link, page)

    assert words() == {("comments", "daily", None, None)}


@pytest.mark.parametrize(
    "rhythm", ["comments=often::", "comments=daily:99:", "nothing=daily::", "codes=daily::", "comments=daily"]
)
def test_what_the_page_cannot_have_sent_is_refused(link: str, rhythm: str) -> None:
    response = Client().post(link, {"action": "rhythms", "shown": ["comments="], "rhythm": [rhythm]})

    assert response.status_code == 422
    assert words() == set()


def test_the_history_says_by_which_way(link: str) -> None:
    PreferencesService().set_digests("ada", [DigestChange(None, "daily", time(18, 30))])

    assert ChangeRecord.objects.get().after == "daily:1830:"
    assert "Everything, how often: every day at 18:30" in Client().get(link).content.decode()


def test_caps_are_said_in_plain_words(link: str) -> None:
    factories.category("offers", cap_per_day=1, cap_per_week=3)
    factories.category("news", cap_per_week=2)

    shown = Client().get(link).content.decode()

    assert "At most 1 a day and 3 a week." in shown
    assert "At most 2 a week." in shown
