"""The way out of a kind of message: what a token proves, and that only a POST acts."""

import time
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from core import ids
from preferences.choices import Channel
from preferences.models import Category, Preference, Recipient
from preferences.services import PreferencesService
from preferences.unsubscribing import tokens, views
from preferences.unsubscribing.tokens import GOOD_DAYS, make, read
from tests import factories

DAY = 86_400
NOW = 1_800_000_000.0


@given(st.binary(min_size=16, max_size=16), st.integers(0, 32_767), st.sampled_from(Channel.values))
def test_a_token_says_who_what_and_where(recipient: bytes, category: int, channel: str) -> None:
    token = make(recipient, category, channel, now=NOW)

    assert read(token, now=NOW) == (UUID(bytes=recipient), category, channel)
    assert len(token) == tokens.LENGTH


@given(st.integers(0, 47), st.characters(codec="ascii"))
def test_a_changed_token_is_none(place: int, character: str) -> None:
    token = make(bytes(16), 1, "email", now=NOW)
    changed = token[:place] + character + token[place + 1 :]

    assert (read(changed, now=NOW) is None) == (changed != token)


@given(st.text(max_size=60))
def test_whatever_comes_is_no_error(text: str) -> None:
    assert read(text, now=NOW) is None


def test_a_token_is_good_for_a_year() -> None:
    token = make(bytes(16), 1, "email", now=NOW)

    assert read(token, now=NOW + GOOD_DAYS * DAY) is not None
    assert read(token, now=NOW + (GOOD_DAYS + 1) * DAY) is None


def test_a_secret_that_was_replaced_is_still_known(settings: Any) -> None:
    token = make(bytes(16), 1, "email", now=NOW)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 50, [settings.SECRET_KEY]

    assert read(token, now=NOW) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert read(token, now=NOW) is None


@pytest.mark.django_db
class TestPage:
    @pytest.fixture
    def ada(self) -> Recipient:
        return factories.recipient("ada")

    @pytest.fixture
    def offers(self) -> Category:
        return factories.category("offers", name="Offers <3")

    def url(self, person: Recipient, category: Category, channel: str = "email") -> str:
        return f"/u/{make(ids.key(person.pk), category.pk, channel, now=time.time())}/"

    def words(self) -> list[tuple[str, str | None, bool]]:
        return list(Preference.objects.values_list("channel", "category__slug", "enabled"))

    @pytest.mark.parametrize("method", ["get", "head"])
    def test_looking_never_acts(self, ada: Recipient, offers: Category, method: str) -> None:
        response = getattr(Client(), method)(self.url(ada, offers))

        assert response.status_code == 200
        assert self.words() == []
        assert not response.cookies
        assert response.headers["Cache-Control"] == "no-store"

    def test_the_page_asks_in_words_and_escapes_them(self, ada: Recipient, offers: Category) -> None:
        shown = Client().get(self.url(ada, offers, "sms")).content.decode()

        assert "Stop “Offers &lt;3”?" in shown
        assert "by text message" in shown
        assert "ada" not in shown

    @pytest.mark.parametrize("body", [{"List-Unsubscribe": "One-Click"}, {}])
    def test_a_bare_post_acts_and_once_more_changes_nothing(
        self, ada: Recipient, offers: Category, body: dict[str, str]
    ) -> None:
        client = Client(enforce_csrf_checks=True)

        first, second = client.post(self.url(ada, offers), body), client.post(self.url(ada, offers), body)

        assert (first.status_code, second.status_code) == (200, 200)
        assert self.words() == [("email", "offers", False)]
        assert "You are unsubscribed" in client.get(self.url(ada, offers)).content.decode()

    def test_what_is_required_stays(self, ada: Recipient) -> None:
        codes = factories.category("codes", is_required=True)

        for call in (Client().get, Client().post):
            assert "cannot be turned off" in call(self.url(ada, codes)).content.decode()
        assert self.words() == []

    def test_of_whom_and_what_is_gone_there_is_nothing_left_to_stop(self, ada: Recipient, offers: Category) -> None:
        url = self.url(ada, offers)
        PreferencesService().erase("ada")
        assert "You are unsubscribed" in Client().post(url).content.decode()
        bo = factories.recipient("bo")
        url = self.url(bo, offers)
        offers.delete()
        assert "You are unsubscribed" in Client().post(url).content.decode()

    @pytest.mark.parametrize("token", ["x", "A" * 48, "é" * 48])
    def test_a_token_that_is_not_ours_says_so(self, token: str) -> None:
        for call in (Client().get, Client().post):
            response = call(f"/u/{token}/")
            assert response.status_code == 404
            assert "does not work any more" in response.content.decode()

    def test_other_methods_are_refused(self, ada: Recipient, offers: Category) -> None:
        assert Client().put(self.url(ada, offers)).status_code == 405

    def test_without_a_database_it_asks_to_try_again(
        self, ada: Recipient, offers: Category, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(ask: object) -> None:
            raise OperationalError

        monkeypatch.setattr(views, "_acted", away)

        response = Client().post(self.url(ada, offers))

        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
