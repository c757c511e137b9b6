"""`/preferences/`: what it shows and to whom, what its forms change, and how that is taken back. No JavaScript here."""

import re
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from preferences.centre import actions, visitors
from preferences.centre.page import masked_email, masked_phone
from preferences.kinds import PART
from preferences.models import Category, ChangeRecord, DeviceToken, Preference, Recipient
from preferences.services import PreferenceChange, PreferencesService, RecipientInput
from tests import factories

pytestmark = pytest.mark.django_db

Words = Callable[[], set[tuple[str | None, str, bool]]]
COUNT_FOR_MANY = 60


def post(client: Client, path: str, **fields: Any) -> Any:
    return client.post(path, fields, follow=True)


def undo(client: Client, path: str, page: Any) -> Any:
    batch = re.search(r'name="batch" value="([-0-9a-f]+)"', page.content.decode())
    assert batch, "nothing to undo is offered"
    return post(client, path, action="undo", batch=batch[1])


class TestWhoSeesWhat:
    def test_a_link_shows_no_address_and_no_name(self, link: str) -> None:
        response = Client().get(link)

        shown = response.content.decode()
        assert "a•••@e•••.com" in shown
        assert "+49•••78" in shown
        assert not any(secret in shown for secret in ("ada@", "Lovelace", "15112345678", 'value="ada"'))

    def test_a_session_shows_the_addresses(self, signed_in: Client) -> None:
        shown = signed_in.get("/preferences/").content.decode()

        assert "ada@example.com" in shown
        assert "+4915112345678" in shown

    def test_nobody_is_sent_to_sign_in(self, db: None, settings: Any) -> None:
        settings.DEMO = False
        assert Client().get("/preferences/").headers["Location"].startswith("/admin/login/")

    def test_an_account_without_a_recipient_is_told_so(self, client: Client, django_user_model: Any) -> None:
        client.force_login(django_user_model.objects.create_user("nobody"))

        response = client.get("/preferences/")

        assert response.status_code == 404
        assert "No preferences for this account" in response.content.decode()

    def test_a_link_leaves_no_trace_in_browser_cache_or_referrer(self, link: str) -> None:
        response = Client().get(link)

        assert not response.cookies
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Robots-Tag"] == "noindex"

    @pytest.mark.parametrize("token", ["x", "A" * 48, "é" * 48])
    def test_a_token_that_is_not_ours_says_so(self, token: str, db: None) -> None:
        for call in (Client().get, Client().post):
            response = call(f"/preferences/{token}/")
            assert response.status_code == 404
            assert "does not work any more" in response.content.decode()

    def test_a_link_of_somebody_erased_leads_nowhere(self, link: str) -> None:
        PreferencesService().erase("ada")

        assert Client().get(link).status_code == 404
        assert Client().post(link, {"action": "words"}).status_code == 404

    def test_looking_never_acts(self, link: str, words: Words) -> None:
        factories.category("orders")
        for method in ("get", "head"):
            getattr(Client(), method)(link + "?action=words&shown=orders:email:1&saved=x&undone=1")

        assert words() == set()
        assert not ChangeRecord.objects.exists()

    def test_without_a_database_it_asks_to_try_again(self, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(token: str) -> None:
            raise OperationalError

        monkeypatch.setattr(visitors, "by_link", away)
        response = Client().get(link)

        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")

    def test_the_questions_to_the_database_do_not_grow(
        self, link: str, ada: Recipient, django_assert_max_num_queries: Any
    ) -> None:
        for n in range(COUNT_FOR_MANY):
            category = factories.category(f"kind-{n}")
            Preference.objects.create(recipient=ada, category=category, channel="email", enabled=False)
            PreferencesService().set_preferences("ada", [PreferenceChange(category.slug, "sms", False)])

        with django_assert_max_num_queries(10):
            Client().get(link)

    def test_no_categories_are_no_error(self, link: str) -> None:
        assert "no kinds of messages to choose from" in Client().get(link).content.decode()

    def test_what_a_category_is_called_is_escaped(self, link: str) -> None:
        factories.category("x", name="<b>Bold</b>", description="<script>1</script>")
        shown = Client().get(link).content.decode()

        assert "&lt;b&gt;Bold&lt;/b&gt;" in shown
        assert "<script>1" not in shown


class TestWords:
    @pytest.fixture(autouse=True)
    def _categories(self) -> None:
        factories.category("offers", channels=["email", "sms"])
        factories.category("orders", channels=["email", "push"])
        factories.category("codes", is_required=True, channels=["sms"])

    def test_a_switch_that_is_off_stops_a_kind_on_a_channel(self, link: str, words: Words) -> None:
        page = post(Client(), link, action="words", shown=["offers:email:1", "offers:sms:1"], on=["offers:sms"])

        assert words() == {("offers", "email", False)}
        assert page.redirect_chain[0][1] == 303
        assert "Saved." in page.content.decode()
        assert (
            not PreferencesService()
            .reach_fresh([Recipient.objects.get().pk])[Recipient.objects.get().pk]
            .allows("email", PreferencesService().categories(["offers"])["offers"].id, False, False)
        )

    def test_only_what_was_changed_on_the_page_is_changed(self, link: str, words: Words) -> None:
        """A page that stood open since another one switched something off."""
        PreferencesService().set_preferences("ada", [PreferenceChange("orders", "push", False)])

        post(Client(), link, action="words", shown=["offers:email:1", "orders:push:1"], on=["orders:push"])

        assert words() == {("offers", "email", False), ("orders", "push", False)}

    def test_a_channel_that_is_off_is_off_for_all_that_is_not_required(self, link: str, ada: Recipient) -> None:
        PreferencesService().set_preferences("ada", [PreferenceChange("offers", "sms", True)])

        post(Client(), link, action="words", shown=["*:sms:1"])

        reach = PreferencesService().reach_fresh([ada.pk])[ada.pk]
        categories = PreferencesService().categories(["offers", "codes"])
        assert not reach.allows("sms", categories["offers"].id, False, False)
        assert reach.allows("sms", categories["codes"].id, True, False)

    def test_a_channel_that_is_on_again_takes_its_word_back(self, link: str, words: Words) -> None:
        PreferencesService().set_preferences(
            "ada", [PreferenceChange(None, "sms", False), PreferenceChange("offers", "sms", False)]
        )

        post(Client(), link, action="words", shown=["*:sms:0"], on=["*:sms"])

        assert words() == {("offers", "sms", False)}

    def test_one_kind_may_be_on_where_the_channel_is_off(self, link: str, words: Words) -> None:
        post(Client(), link, action="words", shown=["*:email:1", "orders:email:1"], on=["orders:email"])
        post(Client(), link, action="words", shown=["orders:email:0"], on=["orders:email"])

        assert words() == {(None, "email", False), ("orders", "email", True)}

    def test_what_is_required_has_no_switch_and_stays(self, link: str, words: Words) -> None:
        shown = Client().get(link).content.decode()
        assert "Always" in shown
        assert 'value="codes:sms"' not in shown

        response = Client().post(link, {"action": "words", "shown": ["codes:sms:1"]})

        assert response.status_code == 422
        assert "required" in response.content.decode()
        assert words() == set()

    @pytest.mark.parametrize("shown", ["x", "offers:fax:1", "offers:email:2", "nothing:email:1", "' OR 1:email:1"])
    def test_what_the_page_cannot_have_sent_is_refused(self, link: str, shown: str, words: Words) -> None:
        response = Client().post(link, {"action": "words", "shown": [shown]})

        assert response.status_code == 422
        assert words() == set()

    def test_undo_restores_exactly_what_was_before(self, link: str, words: Words) -> None:
        PreferencesService().set_preferences(
            "ada",
            [
                PreferenceChange("offers", "sms", True),
                PreferenceChange("orders", "email", False),
                PreferenceChange(None, "email", False),
            ],
        )
        before = words()
        page = post(Client(), link, action="words", shown=["*:sms:1", "orders:email:0"], on=["orders:email"])
        assert words() == {(None, "sms", False), ("orders", "email", True), (None, "email", False)}

        page = undo(Client(), link, page)

        assert words() == before
        assert "Put back as it was." in page.content.decode()

    def test_undo_leaves_alone_what_was_changed_since(self, link: str, words: Words) -> None:
        page = post(Client(), link, action="words", shown=["offers:email:1", "orders:email:1"])
        PreferencesService().set_preferences("ada", [PreferenceChange("orders", "email", True)])

        undo(Client(), link, page)

        assert words() == {("orders", "email", True)}

    def test_an_undo_is_of_ones_own_and_of_the_last_hour(self, link: str, words: Words) -> None:
        factories.recipient("eve")
        PreferencesService().set_preferences("eve", [PreferenceChange("offers", "sms", False)])
        theirs = ChangeRecord.objects.get().batch
        assert Client().post(link, {"action": "undo", "batch": str(theirs)}).status_code == 409
        assert Client().post(link, {"action": "undo", "batch": "x"}).status_code == 409

        post(Client(), link, action="words", shown=["offers:email:1"])
        mine = ChangeRecord.objects.get(recipient__external_id="ada")
        ChangeRecord.objects.filter(pk=mine.pk).update(at=timezone.now() - timedelta(hours=2))

        assert Client().post(link, {"action": "undo", "batch": str(mine.batch)}).status_code == 409
        assert words() == {("offers", "sms", False), ("offers", "email", False)}

    def test_somebody_who_changes_by_a_script_is_slowed_down(
        self, link: str, words: Words, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(actions, "MAX_A_MINUTE", 1)
        post(Client(), link, action="words", shown=["offers:email:1", "orders:email:1"])

        assert Client().post(link, {"action": "words", "shown": ["offers:sms:1"]}).status_code == 429
        assert ("offers", "sms", False) not in words()


def test_a_form_of_as_many_categories_as_the_page_shows_is_taken(link: str, words: Words) -> None:
    """As a browser without JavaScript sends it: every switch as it was shown, and as it is left."""
    Category.objects.bulk_create(
        Category(slug=f"kind-{n}", name=f"Kind {n:03}", purpose="marketing") for n in range(PART + 5)
    )
    shown = re.findall(r'name="shown" value="([^"]+:[01])"', Client().get(link).content.decode())
    on = [switch.rpartition(":")[0] for switch in shown]
    on.remove("kind-0:email")

    page = post(Client(), link, action="words", shown=shown, on=on)

    assert len(shown) == (PART + 2) * 4
    assert "Saved." in page.content.decode()
    assert words() == {("kind-0", "email", False)}


class TestTheRest:
    def test_language_and_time_zone(self, link: str, ada: Recipient) -> None:
        page = post(Client(), link, action="about", locale="de", timezone="Europe/Berlin")

        ada.refresh_from_db()
        assert (ada.locale, ada.timezone) == ("de", "Europe/Berlin")
        assert '<option value="de" lang="de" selected>Deutsch · German</option>' in page.content.decode()

        undo(Client(), link, page)

        ada.refresh_from_db()
        assert (ada.locale, ada.timezone) == ("en", "UTC")

    def test_a_locale_that_is_not_in_the_list_stays_to_choose(self, link: str) -> None:
        PreferencesService().upsert([RecipientInput(external_id="ada", locale="de-CH", timezone="Etc/GMT-3")])
        shown = Client().get(link).content.decode()

        assert re.search(r'<option value="de-CH"[^>]* selected>Deutsch · German \(de-CH\)<', shown)
        assert re.search(r'<option value="Etc/GMT-3" selected>', shown)

    @pytest.mark.parametrize("zone", ["Mars/Base", "", "America", "../etc"])
    def test_a_zone_that_this_machine_does_not_know_is_shown_and_another_may_be_chosen(
        self, link: str, ada: Recipient, zone: str
    ) -> None:
        PreferencesService().set_quiet_hours("ada", (time(22), time(7)))  # so that there is a moment to show
        Recipient.objects.update(timezone=zone)

        shown = Client().get(link)
        assert shown.status_code == 200
        if zone:
            assert f'<option value="{zone}" selected>{zone} (not known here: UTC)</option>' in shown.content.decode()
        # What is left as it was does not keep anything else from being saved
        page = post(Client(), link, action="about", locale="de", timezone=zone)
        ada.refresh_from_db()
        assert (page.status_code, ada.locale, ada.timezone) == (200, "de", zone)

        page = post(Client(), link, action="about", timezone="Europe/Berlin")
        ada.refresh_from_db()
        assert ada.timezone == "Europe/Berlin"
        if zone:  # which cannot be taken back to
            batch = re.search(r'name="batch" value="([-0-9a-f]+)"', page.content.decode())
            assert batch
            assert Client().post(link, {"action": "undo", "batch": batch[1]}).status_code == 409

    def test_who_is_erased_meanwhile_does_not_come_back(self, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        found = visitors.by_link

        def and_erased(token: str) -> visitors.Visitor | None:
            visitor = found(token)
            PreferencesService().erase("ada")
            return visitor

        monkeypatch.setattr(visitors, "by_link", and_erased)
        assert Client().post(link, {"action": "about", "locale": "de"}).status_code == 404
        assert not Recipient.objects.exists()

    @pytest.mark.parametrize(("field", "value"), [("timezone", "Mars/Base"), ("locale", "no language")])
    def test_what_is_no_zone_or_language_is_said_beside_the_field(self, link: str, field: str, value: str) -> None:
        response = Client().post(link, {"action": "about", field: value})

        assert response.status_code == 422
        assert 'aria-invalid="true"' in response.content.decode()

    def test_quiet_hours_are_set_taken_back_and_cleared(self, link: str, ada: Recipient) -> None:
        # When they are set, then the page shows them and its history tells
        client = Client()
        page = post(client, link, action="quiet", quiet_start="22:00", quiet_end="07:30")
        ada.refresh_from_db()
        assert (ada.quiet_start, ada.quiet_end) == (time(22), time(7, 30))
        shown = page.content.decode()
        assert 'value="22:00"' in shown
        assert "none → 22:00-07:30" in shown

        # When that is taken back, then there are none
        undo(client, link, page)
        ada.refresh_from_db()
        assert (ada.quiet_start, ada.quiet_end) == (None, None)

        # When others were set and both fields are cleared, then there are none either
        post(client, link, action="quiet", quiet_start="21:00", quiet_end="06:00")
        post(client, link, action="quiet", quiet_start="", quiet_end="")
        ada.refresh_from_db()
        assert ada.quiet_start is None

    def test_no_quiet_hours_for_me_where_everybody_has_some(self, link: str, ada: Recipient, settings: Any) -> None:
        assert "No quiet hours for me" not in Client().get(link).content.decode()
        settings.QUIET_HOURS = "21:00-08:00"
        assert "No quiet hours for me" in Client().get(link).content.decode()

        page = post(Client(), link, action="quiet", quiet="none")
        ada.refresh_from_db()
        assert ada.quiet_never
        shown = page.content.decode()
        assert "You want none" in shown
        assert "as usual → none" in shown
        assert "Use the usual hours, 21:00-08:00" in shown

        undo(Client(), link, page)
        ada.refresh_from_db()
        assert not ada.quiet_never

        post(Client(), link, action="quiet", quiet="none")
        post(Client(), link, action="quiet")
        ada.refresh_from_db()
        assert not ada.quiet_never

    @pytest.mark.parametrize(
        ("start", "end"), [("22:00", ""), ("", "07:00"), ("25:00", "07:00"), ("8:00", "x"), ("07:00", "07:00")]
    )
    def test_what_are_no_quiet_hours_is_said_beside_them(self, link: str, ada: Recipient, start: str, end: str) -> None:
        response = Client().post(link, {"action": "quiet", "quiet_start": start, "quiet_end": end})

        assert response.status_code == 422
        assert 'id="quiet-fault"' in response.content.decode()
        ada.refresh_from_db()
        assert ada.quiet_start is None

    def test_a_device_is_removed_and_brought_back(self, link: str, ada: Recipient) -> None:
        device = DeviceToken.objects.get(recipient=ada)
        assert device.token not in Client().get(link).content.decode()

        page = post(Client(), link, action="device", device=str(device.pk))
        device.refresh_from_db()
        assert device.retired_at is not None
        assert str(device.pk) not in page.content.decode()

        undo(Client(), link, page)
        device.refresh_from_db()
        assert device.retired_at is None

    def test_anothers_device_is_not_touched(self, link: str) -> None:
        theirs = DeviceToken.objects.get(recipient=factories.recipient("eve"))

        assert Client().post(link, {"action": "device", "device": str(theirs.pk)}).status_code == 404
        assert Client().post(link, {"action": "device", "device": "x"}).status_code == 404
        theirs.refresh_from_db()
        assert theirs.retired_at is None

    def test_a_form_of_nothing_known_is_refused(self, link: str) -> None:
        assert Client().post(link, {"action": "sudo"}).status_code == 422
        assert Client().post(link).status_code == 422

    def test_a_sessions_forms_are_guarded_against_other_sites(self, signed_in: Client, words: Words) -> None:
        factories.category("offers")
        fields = {"action": "words", "shown": ["offers:email:1"]}
        assert signed_in.post("/preferences/", fields).status_code == 403

        page = signed_in.get("/preferences/").content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        assert signed_in.post("/preferences/", {**fields, "csrfmiddlewaretoken": token[1]}).status_code == 303
        assert words() == {("offers", "email", False)}

    def test_the_history_says_what_when_and_by_which_way(self, link: str) -> None:
        factories.category("offers", name="Offers")
        post(Client(), link, action="words", shown=["offers:email:1"])
        PreferencesService().set_preferences("ada", [PreferenceChange(None, "sms", False)])

        shown = Client().get(link).content.decode()
        assert "Offers by email: off" in shown
        assert "by a link from a message" in shown
        assert "Everything by text message: off" in shown

    def test_an_address_that_is_stopped_says_why(self, link: str) -> None:
        PreferencesService().suppress("email", "ada@example.com", "hard_bounce")

        assert "Messages came back from this address" in Client().get(link).content.decode()


@pytest.mark.parametrize(("address", "masked"), [("ada@example.com", "a•••@e•••.com"), ("a@b.co.uk", "a•••@b•••.uk")])
def test_a_masked_email(address: str, masked: str) -> None:
    assert masked_email(address) == masked


def test_a_masked_number() -> None:
    assert masked_phone("+4915112345678") == "+49•••78"
