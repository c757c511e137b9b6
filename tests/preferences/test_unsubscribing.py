"""The way out of a kind of message: what a token proves, and that only a POST acts."""

import re
import time
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from core import ids
from preferences.centre import tokens as centre_tokens
from preferences.choices import Channel, Way
from preferences.models import Category, ChangeRecord, MarketingStop, Preference, Recipient
from preferences.services import PreferenceChange, PreferencesService, Trace
from preferences.unsubscribing import tokens, views
from preferences.unsubscribing.tokens import GOOD_DAYS, make, read
from tests import factories

DAY = 86_400
NOW = 1_800_000_000.0


@given(st.binary(min_size=16, max_size=16), st.integers(0, 32_767), st.sampled_from(Channel.values))
def test_a_token_says_who_what_and_where(recipient: bytes, category: int, channel: str) -> None:
    token = make(recipient, category, channel, now=NOW)

    assert read(token, now=NOW) == (UUID(bytes=recipient), category, channel, NOW // DAY * DAY)
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
        assert "ada" not in re.sub(r'(href|action)="[^"]*"', "", shown)  # tokens may spell anything

    @pytest.mark.parametrize("body", [{"List-Unsubscribe": "One-Click"}, {}])
    def test_a_bare_post_acts_and_once_more_changes_nothing(
        self, ada: Recipient, offers: Category, body: dict[str, str]
    ) -> None:
        client = Client(enforce_csrf_checks=True)

        first, second = client.post(self.url(ada, offers), body), client.post(self.url(ada, offers), body)

        assert (first.status_code, second.status_code) == (200, 200)
        assert self.words() == [("email", "offers", False)]
        assert "You are unsubscribed" in client.get(self.url(ada, offers)).content.decode()

    @pytest.mark.parametrize(
        ("type", "body"),
        [
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=x", b"--y\r\nnothing of the kind"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=what\r\n\r\nmarketing"),
            ("application/x-www-form-urlencoded; charset=latin-1", b"List-Unsubscribe=One-Click"),
            ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(10_000))),
            ("application/x-www-form-urlencoded", b"a=" + b"x" * 3_000_000),
            ("application/x-www-form-urlencoded", b"what=\x00\xff%00%ff&what[]=1"),
            ("application/json", b'{"what": '),
            ("text/plain", b"\x00"),
            ("", b""),
        ],
    )
    def test_whatever_a_mail_program_sends_along_the_address_says_it_all(
        self, ada: Recipient, offers: Category, type: str, body: bytes
    ) -> None:
        response = Client().generic("POST", self.url(ada, offers), body, content_type=type)

        assert response.status_code == 200
        assert self.words() == [("email", "offers", False)]
        assert not MarketingStop.objects.exists()

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    def test_no_other_method_acts(self, ada: Recipient, offers: Category, method: str) -> None:
        assert Client().generic(method, self.url(ada, offers)).status_code == 405
        assert self.words() == []

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

    def test_without_a_database_it_asks_to_try_again(
        self, ada: Recipient, offers: Category, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(ask: object, wanted: str) -> None:
            raise OperationalError

        monkeypatch.setattr(views, "_acted", away)

        response = Client().post(self.url(ada, offers))

        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.django_db
class TestAllMarketing:
    @pytest.fixture(autouse=True)
    def ada(self) -> Recipient:
        return factories.recipient("ada")

    def url(self, category: Category, channel: str = "email", *, age_days: int = 0) -> str:
        key = ids.key(Recipient.objects.get().pk)
        return f"/u/{make(key, category.pk, channel, now=time.time() - age_days * DAY)}/"

    def wants(self, slug: str, channel: str = "email") -> bool:
        category = PreferencesService().categories([slug])[slug]
        reach = PreferencesService().reach(["ada"])["ada"]
        return reach.allows(channel, category.id, category.is_required, category.is_marketing)

    def test_it_covers_categories_that_are_made_later_and_nothing_else(self) -> None:
        offers, orders = factories.category("offers", purpose="marketing"), factories.category("orders")

        shown = Client().post(self.url(offers), {"what": "marketing"}).content.decode()

        later = factories.category("later", purpose="marketing")
        assert "No more marketing" in shown
        assert [self.wants(one.slug) for one in (offers, orders, later)] == [False, True, False]
        assert self.wants("offers", "sms")
        assert not Preference.objects.exists()
        assert "No more marketing" in Client().get(self.url(offers)).content.decode()

    def test_once_more_changes_nothing_and_looking_never_acts(self) -> None:
        offers = factories.category("offers", purpose="marketing")
        for call in (Client().get, Client().head):
            call(self.url(offers) + "?what=marketing")
        assert not MarketingStop.objects.exists()

        for _ in range(2):
            assert Client().post(self.url(offers), {"what": "marketing"}).status_code == 200

        assert MarketingStop.objects.count() == 1
        assert list(ChangeRecord.objects.values_list("way", "subject", "before", "after")) == [
            ("unsubscribe", "marketing", "", "off")
        ]

    def test_a_mail_programs_button_stops_the_kind_alone(self) -> None:
        offers = factories.category("offers", purpose="marketing")

        Client().post(self.url(offers), {"List-Unsubscribe": "One-Click"})

        assert not MarketingStop.objects.exists()
        assert not self.wants("offers")

    def test_a_token_is_not_widened(self) -> None:
        orders = factories.category("orders")
        assert "Stop all marketing" not in Client().get(self.url(orders)).content.decode()

        asked = {"what": "marketing", "channel": "sms", "category": "codes", "recipient": "bo"}
        Client().post(self.url(orders), asked)

        assert not MarketingStop.objects.exists()
        assert list(Preference.objects.values_list("category__slug", "channel")) == [("orders", "email")]

    def test_what_is_required_stays_whatever_its_purpose(self) -> None:
        codes = factories.category("codes", is_required=True, purpose="marketing")

        Client().post(self.url(codes), {"what": "marketing"})

        assert not MarketingStop.objects.exists()
        assert self.wants("codes")

    def test_an_earlier_yes_goes_and_a_later_one_counts(self) -> None:
        offers = factories.category("offers", purpose="marketing")
        service = PreferencesService()
        service.set_preferences("ada", [PreferenceChange("offers", "email", True)])

        Client().post(self.url(offers), {"what": "marketing"})
        assert not self.wants("offers")

        service.set_preferences("ada", [PreferenceChange("offers", "email", True)])
        assert self.wants("offers")

    def test_its_undo_puts_everything_back(self) -> None:
        factories.category("offers", purpose="marketing")
        service, trace = PreferencesService(), Trace(Way.PAGE)
        service.set_preferences("ada", [PreferenceChange("offers", "email", True)])
        service.set_preferences("ada", [PreferenceChange(None, "email", False, marketing=True)], trace)

        assert service.undo("ada", trace.batch)

        assert not MarketingStop.objects.exists()
        assert Preference.objects.get().enabled

    def test_the_way_to_everything_else_is_no_older_than_the_message(self, settings: Any) -> None:
        offers = factories.category("offers", purpose="marketing")
        found = re.search(r'href="(/preferences/[^"]+)"', Client().get(self.url(offers)).content.decode())
        assert found
        assert "All marketing" in Client().get(found[1]).content.decode()

        old = Client().get(self.url(offers, age_days=settings.PREFERENCES_LINK_DAYS + 1)).content.decode()

        assert "Unsubscribe" in old
        assert "/preferences/" not in old.replace("static/preferences", "")

    def test_it_is_seen_and_taken_back_in_the_preference_centre(self) -> None:
        offers = factories.category("offers", purpose="marketing")
        Client().post(self.url(offers), {"what": "marketing"})
        home = f"/preferences/{centre_tokens.make(ids.key(Recipient.objects.get().pk), now=time.time())}/"
        shown = Client().get(home).content.decode()
        assert "All marketing by email: off" in shown
        assert 'value="+:email:0"' in shown

        Client().post(home, {"action": "words", "shown": "+:email:0", "on": "+:email"})

        assert not MarketingStop.objects.exists()
        assert self.wants("offers")
        Client().post(home, {"action": "words", "shown": "+:sms:1"})
        assert not self.wants("offers", "sms")
