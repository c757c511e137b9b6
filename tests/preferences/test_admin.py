"""The admin of recipients: searches by index, writes through the service."""

import html
import json
import re
from datetime import time
from typing import ClassVar
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from preferences.choices import Changed, Way
from preferences.forms import RecipientForm
from preferences.kinds import PART
from preferences.models import (
    Category,
    ChangeRecord,
    DeviceToken,
    DigestChoice,
    MarketingStop,
    Preference,
    Recipient,
    Suppression,
)
from preferences.services import DigestChange, PreferenceChange, PreferencesService, RecipientInput
from tests import factories
from tests.admin import big_tables_scanned, counted, page, signed_in
from tests.forms import untouched

pytestmark = pytest.mark.django_db
MANY = 50_000


def many_recipients() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO preferences_recipient (id, external_id, name, email, phone, locale, timezone, attributes)"
            " SELECT gen_random_uuid(), 'user-' || n, 'User ' || n, 'user' || n || '@example.com',"
            " '+1202' || lpad(n::text, 7, '0'), 'en', 'UTC', '{}' FROM generate_series(1, %s) n",
            [MANY],
        )
        cursor.execute(
            "INSERT INTO preferences_devicetoken (id, recipient_id, platform, token, token_hash, label, retired_reason)"
            " SELECT gen_random_uuid(), id, 'fcm', 'token-' || external_id,"
            " encode(sha256(('token-' || external_id)::bytea), 'hex'), '', '' FROM preferences_recipient"
        )
        cursor.execute(
            "INSERT INTO preferences_preference (recipient_id, channel, enabled)"
            " SELECT id, 'sms', false FROM preferences_recipient"
        )
        cursor.execute(
            "INSERT INTO preferences_suppression (channel, address_hash, reason, source)"
            " SELECT 'email', encode(sha256(email::bytea), 'hex'), 'manual', '' FROM preferences_recipient"
        )
        for table in ("recipient", "devicetoken", "preference", "suppression"):
            cursor.execute(f"ANALYZE preferences_{table}")


def sent(client: Client, address: str, **changed: str | None) -> dict[str, str]:
    """What the browser sends of a page after somebody changed these fields; None is a box that was unticked."""
    fields = {**untouched(client.get(address).content.decode()), **changed}
    return {name: value for name, value in fields.items() if value is not None}


def save(client: Client, address: str, **changed: str | None) -> HttpResponse:
    return client.post(address, sent(client, address, **changed))


class TestManyRows:
    def test_lists_and_searches_use_indexes_and_count_nothing(self):
        many_recipients()
        client = signed_in(may="everything")
        person = Recipient.objects.get(external_id="user-777")
        asked = [
            (Recipient, ["", "user-777", str(person.pk), "user777@example.com", "USER777@Example.com", "+12020000777"]),
            (DeviceToken, ["", "user-777", "token-user-777", str(person.device_tokens.get().pk)]),
            (Preference, ["", "user-777"]),
            (Suppression, ["", "user777@example.com"]),
        ]

        for model, terms in asked:
            for term in terms:
                with CaptureQueriesContext(connection) as captured:
                    response = client.get(page(model), {"q": term} if term else {})

                assert response.status_code == 200
                assert len(response.context["cl"].result_list) == (1 if term else 50), (model, term)
                assert counted(captured.captured_queries, model) == [], (model, term)
                assert big_tables_scanned(captured.captured_queries) == set(), (model, term)

    def test_the_unfiltered_list_says_about_how_many_there_are(self):
        many_recipients()

        body = signed_in(may="everything").get(page(Recipient)).content.decode()

        assert "of about 50,000" in body

    def test_a_filtered_list_does_not_guess(self):
        many_recipients()

        body = signed_in(may="everything").get(page(Preference), {"recipient": "user-777"}).content.decode()

        assert "of about" not in body
        assert "1–1 of 1" in body


class TestRecipient:
    def test_a_change_drops_the_cached_reach(self):
        factories.recipient("ada", email="ada@example.com", devices=0)
        assert PreferencesService().reach(["ada"])["ada"].has_email
        client = signed_in(may="everything")

        response = save(client, page(Recipient.objects.get(external_id="ada")), email="")

        assert response.status_code == 302
        assert Recipient.objects.get(external_id="ada").email == ""
        assert not PreferencesService().reach(["ada"])["ada"].has_email

    def test_words_are_written_and_taken_back(self):
        person = factories.recipient("ada", devices=0)
        orders = factories.category("orders")
        client = signed_in(may="everything")

        save(client, page(person), **{f"word-{orders.pk}-email": "off", "word-all-sms": "on"})
        first = {(row.category_id, row.channel): row.enabled for row in Preference.objects.filter(recipient=person)}
        save(client, page(person), **{f"word-{orders.pk}-email": ""})
        second = {(row.category_id, row.channel): row.enabled for row in Preference.objects.filter(recipient=person)}

        assert first == {(orders.pk, "email"): False, (None, "sms"): True}
        assert second == {(None, "sms"): True}

    def test_no_to_all_marketing_is_shown_changed_and_taken_back(self):
        person = factories.recipient("ada", devices=0)
        offers = factories.category("offers", purpose="marketing")
        factories.preference(person, "email", category=offers, enabled=True)
        client = signed_in(may="everything")
        shown = client.get(page(person)).content.decode()
        assert shown.index("Every category, Email") < shown.index("All marketing, Email") < shown.index("Offers, Email")

        save(client, page(person), **{"word-marketing-email": "off"})

        assert list(MarketingStop.objects.values_list("channel", flat=True)) == ["email"]
        assert not Preference.objects.exists()  # the yes to one category went with it
        assert not PreferencesService().reach(["ada"])["ada"].allows("email", offers.pk, False, True)
        told = ChangeRecord.objects.get(subject="marketing")
        assert (told.way, told.channel, told.before, told.after) == ("admin", "email", "", "off")
        chosen = client.get(page(person)).context["adminform"].form.words["word-marketing-email"].initial
        assert chosen == "off"

        save(client, page(person))
        assert MarketingStop.objects.exists()
        save(client, page(person), **{"word-marketing-email": ""})
        assert not MarketingStop.objects.exists()
        assert ChangeRecord.objects.filter(subject="marketing").count() == 2

    def test_a_grid_of_as_many_categories_as_it_shows_is_saved(self):
        person = factories.recipient("ada", devices=0)
        Category.objects.bulk_create(
            Category(slug=f"kind-{n}", name=f"Kind {n}", purpose="marketing") for n in range(PART)
        )
        client = signed_in(may="everything")

        response = save(client, page(person), **{"word-all-sms": "off"})

        assert response.status_code == 302
        assert Preference.objects.get().channel == "sms"

    def test_of_many_categories_each_is_found_and_saved_in_its_part(self):
        person = factories.recipient("ada", devices=0)
        Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n}") for n in range(PART + 1))
        last = Category.objects.get(slug=f"kind-{PART:03}")
        cell = f"word-{last.pk}-email"
        client = signed_in(may="everything")
        first = client.get(page(person)).content.decode()
        assert (cell in first, f"1–{PART} of {PART + 1}" in first) == (False, True)

        save(client, f"{page(person)}?part=2", **{cell: "off"})
        assert [word.category for word in Preference.objects.all()] == [last]
        save(client, f"{page(person)}?find=kind {PART}", **{cell: ""})
        assert not Preference.objects.exists()

    def test_who_turns_to_other_categories_keeps_how_they_narrowed_the_list(self):
        person = factories.recipient("ada", devices=0)
        Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n}") for n in range(3 * PART))
        client = signed_in(may="everything")
        kept = urlencode({"_changelist_filters": urlencode({"q": "ada & co"})})

        body = client.get(f"{page(person)}?part=2&find=kind&{kept}").content.decode()

        turns = [html.unescape(link) for link in re.findall(r'href="(\?[^"]*)#preferences"', body)]
        assert turns == [f"?find=kind&part=1&{kept}", f"?find=kind&part=3&{kept}", f"?{kept}"]
        found = re.search(r'<form id="find-kinds".*?</form>', body)
        assert found
        assert untouched(found[0]) == {"_changelist_filters": "q=ada+%26+co"}

    def test_what_a_page_had_is_saved_where_it_stands_elsewhere_by_now(self):
        person = factories.recipient("ada", devices=0)
        Category.objects.bulk_create(Category(slug=f"kind-{n:03}", name=f"Kind {n}") for n in range(PART))
        last = Category.objects.get(slug=f"kind-{PART - 1:03}")
        client = signed_in(may="everything")
        form = sent(client, page(person), **{f"word-{last.pk}-email": "off"})
        factories.category("a-new-one")

        client.post(page(person), form)

        assert [word.category for word in Preference.objects.all()] == [last]

    def test_there_is_no_yes_to_all_marketing_and_no_row_without_marketing(self):
        person = factories.recipient("ada", devices=0)
        factories.category("orders")
        client = signed_in(may="everything")
        assert "word-marketing-" not in client.get(page(person)).content.decode()

        factories.category("offers", purpose="marketing")
        response = save(client, page(person), **{"word-marketing-email": "on"})

        assert response.status_code == 200
        assert not MarketingStop.objects.exists()

    def test_what_the_person_changed_meanwhile_stays(self):
        # Given a page that an operator has open
        person = factories.recipient("ada", devices=0, timezone="UTC")
        orders, offers = factories.category("orders", digest_mode="fixed"), factories.category("offers")
        factories.preference(person, "sms", category=orders, enabled=True)
        client = signed_in(may="everything")
        form = sent(client, page(person), name="Ada L", **{f"word-{offers.pk}-email": "on"})
        # When the person changes this and that on their own
        own = PreferencesService()
        own.set_preferences(
            "ada", [PreferenceChange("orders", "email", False), PreferenceChange("orders", "sms", None)]
        )
        own.set_digests("ada", [DigestChange("orders", "weekly")])
        own.change(RecipientInput(external_id="ada", timezone="Europe/Oslo", email="new@example.com"))
        own.set_quiet_hours("ada", (time(22), time(7)))
        # And the operator saves
        assert client.post(page(person), form).status_code == 302
        # Then what the operator changed is written, and nothing else
        words = {(row.category.slug, row.channel): row.enabled for row in Preference.objects.select_related("category")}
        assert words == {("orders", "email"): False, ("offers", "email"): True}
        assert DigestChoice.objects.get().rhythm == "weekly"
        person.refresh_from_db()
        assert (person.name, person.timezone, person.email) == ("Ada L", "Europe/Oslo", "new@example.com")
        assert (person.quiet_start, person.quiet_end) == (time(22), time(7))

    def test_a_page_that_cannot_tell_what_was_changed_is_refused_however_often_it_is_sent(self):
        # Given a page of a version that kept no copies of what it showed
        person = factories.recipient("ada", devices=0, name="Ada", timezone="Europe/Oslo")
        orders = factories.category("orders")
        client = signed_in(may="everything")
        fields = sent(client, page(person), name="Ada L", timezone="UTC", **{f"word-{orders.pk}-email": "off"})
        old = {name: value for name, value in fields.items() if not name.startswith("initial-")}

        # When it is sent, and again as it comes back
        for _ in range(2):
            answer = client.post(page(person), old)
            assert answer.status_code == 200
            assert "This page is of another time, so nothing was saved." in answer.content.decode()
            old = untouched(answer.content.decode())

        # Then nothing is written
        person.refresh_from_db()
        assert (person.name, person.timezone) == ("Ada", "Europe/Oslo")
        assert not Preference.objects.exists()

    def test_entries_of_the_attributes_that_a_service_changed_meanwhile_stay(self):
        # Given a page that an operator has open
        shown = {"note": "old", "plan": "free", "gone": 1, "left": 1}
        person = factories.recipient("ada", devices=0, attributes=shown)
        client = signed_in(may="everything")
        wanted = {"note": "new", "plan": "free", "left": 1, "added": True}
        form = sent(client, page(person), attributes=json.dumps(wanted))
        # When a service changes others, and the operator saves
        theirs = {"note": "old", "plan": "paid", "gone": 1, "new": [1]}
        PreferencesService().change(RecipientInput(external_id="ada", attributes=theirs))
        assert client.post(page(person), form).status_code == 302
        # Then each has what they changed
        person.refresh_from_db()
        assert person.attributes == {"note": "new", "plan": "paid", "new": [1], "added": True}

    def test_attributes_that_are_too_many_together_are_told_at_the_field(self):
        person = factories.recipient("ada", devices=0)
        client = signed_in(may="everything")
        form = sent(client, page(person), attributes=json.dumps({"ours": "x" * 10_000}))
        PreferencesService().change(RecipientInput(external_id="ada", attributes={"theirs": "x" * 10_000}))

        answer = client.post(page(person), form)

        assert list(answer.context["adminform"].form.errors) == ["attributes"]
        person.refresh_from_db()
        assert list(person.attributes) == ["theirs"]

    def test_what_is_not_possible_any_more_and_was_not_touched_is_no_fault(self):
        # Given a page that shows a word and a rhythm
        person = factories.recipient("ada", devices=0)
        orders, offers = factories.category("orders"), factories.category("offers", digest_mode="fixed")
        factories.preference(person, "email", category=orders, enabled=False)
        PreferencesService().set_digests("ada", [DigestChange("offers", "daily", time(8, 15))])
        client = signed_in(may="everything")
        form = sent(client, page(person), name="Ada L")
        # When neither can be chosen any more
        orders.is_required = True
        orders.save()
        PreferencesService().set_digests("ada", [DigestChange("offers", None)])
        # Then the rest is saved all the same, and a fault elsewhere does not turn them into changes
        refused = client.post(page(person), {**form, "email": "no address"})
        assert refused.status_code == 200
        again = untouched(refused.content.decode())
        assert again[f"rhythm-{offers.pk}"] == again[f"initial-rhythm-{offers.pk}"] == "daily:0815:"
        assert client.post(page(person), form).status_code == 302
        assert Recipient.objects.get().name == "Ada L"
        assert not DigestChoice.objects.exists()

    def test_who_was_erased_meanwhile_is_not_made_again(self, monkeypatch):
        person = factories.recipient("ada", devices=0)
        client = signed_in(may="everything")
        form = sent(client, page(person), name="Ada L")
        has_found = RecipientForm.given

        def erased_then(form):
            PreferencesService().erase("ada")
            return has_found(form)

        monkeypatch.setattr(RecipientForm, "given", erased_then)
        answer = client.post(page(person), form)

        assert answer.url == page(Recipient)

    def test_a_required_category_cannot_be_switched_off(self):
        person = factories.recipient("ada", devices=0)
        security = factories.category("security", is_required=True)
        client = signed_in(may="everything")

        response = save(client, page(person), **{f"word-{security.pk}-email": "off"})

        assert response.status_code == 200
        assert not Preference.objects.exists()

    def test_a_new_one_is_made_by_the_service(self):
        client = signed_in(may="everything")

        response = save(client, page(Recipient, "add"), external_id="ada", phone="+49 1512 3456789")

        assert response.status_code == 302
        assert Recipient.objects.get(external_id="ada").phone == "+4915123456789"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("phone", "12"),
            ("email", "not an address"),
            ("timezone", "Mars/Olympus"),
            ("locale", "english please"),
            ("attributes", "[1]"),
            ("attributes", "{"),
        ],
    )
    def test_a_bad_value_is_told_beside_its_field(self, field, value):
        person = factories.recipient("ada", devices=0)

        response = save(signed_in(may="everything"), page(person), **{field: value})

        assert response.status_code == 200
        assert field in response.context["adminform"].form.errors

    def test_erasing_asks_first_and_leaves_no_name(self):
        person = factories.recipient("ada")
        client = signed_in(may="everything")
        save(client, page(person), name="Ada L")

        asked = client.get(page(person, "erase"))
        assert asked.status_code == 200
        assert Recipient.objects.exists()
        done = client.post(page(person, "erase"), {"confirmed": "1"})

        assert done.status_code == 302
        assert not Recipient.objects.exists()
        assert not LogEntry.objects.filter(object_repr__contains="ada").exists()

    def test_a_plain_delete_leads_to_erasing(self):
        person = factories.recipient("ada")

        response = signed_in(may="everything").post(page(person, "delete"), {"post": "yes"})

        assert response.url == page(person, "erase")
        assert Recipient.objects.exists()

    def test_its_page_links_to_its_notifications(self):
        person = factories.recipient("ada+1")

        body = signed_in(may="everything").get(page(person)).content.decode()

        assert "/admin/notifications/notification/?recipient=ada%2B1" in body

    def test_a_token_is_never_shown(self):
        person = factories.recipient("ada", devices=0)
        device = factories.device(person, token="secret-push-token-of-ada")
        client = signed_in(may="everything")

        for address in (page(person), page(DeviceToken), page(device)):
            assert "secret-push-token" not in client.get(address).content.decode()


class TestHowOften:
    def test_is_shown_changed_and_taken_back(self):
        person = factories.recipient("ann", devices=0)
        comments = factories.category("comments", digest_mode="fixed", digest_window_seconds=600)
        security = factories.category("security", is_required=True)
        address = f"/admin/preferences/recipient/{person.pk}/change/"
        client = signed_in(may="everything")
        shown = client.get(address).content.decode()
        assert "As usual: gathered for 10 minutes" in shown
        assert f"rhythm-{security.pk}" not in shown

        save(client, address, **{f"rhythm-{comments.pk}": "weekly::", "rhythm-all": "as_it_comes::"})
        said = set(DigestChoice.objects.values_list("category__slug", "rhythm"))
        assert said == {("comments", "weekly"), (None, "as_it_comes")}
        assert set(ChangeRecord.objects.filter(what="digest").values_list("way", flat=True)) == {"admin"}

        save(client, address, **{"rhythm-all": ""})
        assert DigestChoice.objects.get().category == comments

    def test_what_is_not_offered_is_refused(self):
        person = factories.recipient("ann", devices=0)
        address = f"/admin/preferences/recipient/{person.pk}/change/"

        save(signed_in(may="everything"), address, **{"rhythm-all": "often::"})

        assert not DigestChoice.objects.exists()


class TestQuietHours:
    def test_are_set_shown_and_taken_back(self):
        person = factories.recipient("ann", devices=0)
        address = f"/admin/preferences/recipient/{person.pk}/change/"
        client = signed_in(may="everything")

        save(client, address, quiet_start="22:00", quiet_end="07:30")
        person.refresh_from_db()
        assert (person.quiet_start, person.quiet_end) == (time(22), time(7, 30))
        assert 'value="07:30"' in client.get(address).content.decode()

        save(client, address, quiet_start="", quiet_end="", quiet_never="on")
        person.refresh_from_db()
        assert (person.quiet_start, person.quiet_end, person.quiet_never) == (None, None, True)

        save(client, address, quiet_never=None)
        person.refresh_from_db()
        assert (person.quiet_start, person.quiet_end, person.quiet_never) == (None, None, False)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"quiet_start": "22:00"}, "Give both times, or neither."),
            (
                {"quiet_start": "22:00", "quiet_end": "07:00", "quiet_never": "on"},
                "Clear both times, or untick this.",
            ),
            ({"quiet_start": "22:00", "quiet_end": "22:00"}, "Start and end must differ."),
            ({"quiet_start": "late", "quiet_end": "07:00"}, "Enter a valid time."),
        ],
    )
    def test_that_are_none_are_told_beside_the_field(self, given, said):
        person = factories.recipient("ann", devices=0)

        response = save(signed_in(may="everything"), f"/admin/preferences/recipient/{person.pk}/change/", **given)

        errors = response.context["adminform"].form.errors
        assert [said] in [list(errors[name]) for name in ("quiet_start", "quiet_end", "quiet_never") if name in errors]
        assert Recipient.objects.get().quiet_start is None


class TestDeviceTokens:
    def test_retiring_asks_first_and_drops_the_cached_reach(self):
        person = factories.recipient("ada", devices=1)
        device = DeviceToken.objects.get()
        assert PreferencesService().reach(["ada"])["ada"].devices == (device.pk.bytes,)
        client = signed_in(may="everything")
        ticked = {"action": "retire", "_selected_action": [str(device.pk)]}

        client.post(page(DeviceToken), ticked)
        assert DeviceToken.objects.get().retired_at is None
        client.post(page(DeviceToken), {**ticked, "confirmed": "1"})

        assert DeviceToken.objects.get().retired_at is not None
        assert PreferencesService().reach([person.external_id])["ada"].devices == ()


class TestSuppressions:
    def test_adding_keeps_the_hash_alone(self):
        client = signed_in(may="everything")

        client.post(page(Suppression, "add"), {"channel": "email", "address": "Gone@Example.com", "reason": "manual"})

        kept = Suppression.objects.get()
        assert kept.address_hash == Suppression.hash_of("gone@example.com")
        assert kept.source == "admin:user-everything"
        assert not LogEntry.objects.filter(object_repr__icontains="gone").exists()

    def test_a_bad_address_is_told_beside_its_field(self):
        response = signed_in(may="everything").post(
            page(Suppression, "add"), {"channel": "sms", "address": "call me", "reason": "manual"}
        )

        assert "address" in response.context["adminform"].form.errors

    def test_lifting_takes_the_address_itself(self):
        PreferencesService().suppress("email", "gone@example.com", "manual")
        row = Suppression.objects.get()
        client = signed_in(may="everything")

        wrong = client.post(page(row, "lift"), {"address": "other@example.com"})
        assert wrong.status_code == 200
        assert Suppression.objects.exists()
        client.post(page(row, "lift"), {"address": " GONE@example.com "})

        assert not Suppression.objects.exists()


class TestThoseWhoOnlyLook:
    def test_change_nothing(self):
        person = factories.recipient("ada", devices=1)
        PreferencesService().suppress("email", "gone@example.com", "manual")
        client = signed_in(may="view")
        ticked = {"action": "retire", "_selected_action": [str(DeviceToken.objects.get().pk)], "confirmed": "1"}

        assert client.post(page(person), {"name": "Eve"}).status_code == 403
        assert client.post(page(person, "erase"), {"confirmed": "1"}).status_code == 403
        assert client.post(page(Suppression.objects.get(), "lift"), {"address": "gone@example.com"}).status_code == 403
        client.post(page(DeviceToken), ticked)

        assert Recipient.objects.get().name != "Eve"
        assert Suppression.objects.exists()
        assert DeviceToken.objects.get().retired_at is None

    def test_see_no_inputs(self):
        body = signed_in(may="view").get(page(factories.recipient("ada"))).content.decode()

        assert "Preferences" in body
        assert 'name="word-all-sms"' not in body
        assert "Erase" not in body


class TestCategories:
    @staticmethod
    def given(**fields: object) -> dict[str, object]:
        """As a browser posts it; spans are given in seconds."""
        values = {
            "name": "Offers",
            "slug": "offers",
            "channels": ["email"],
            "default_priority": "low",
            "purpose": "marketing",
            "dedup_seconds": "60",
            "strategy": "all",
            "fallback_seconds": "300",
            "digest_mode": "none",
            "digest_window_seconds": "3600",
            "digest_cap_seconds": "14400",
            "digest_at": "09:00",
            "digest_channels": ["email"],
            **fields,
        }
        spans = {name: values.pop(name) for name in list(values) if name.endswith("_seconds")}
        return {
            **values,
            **{f"{name}_0": number for name, number in spans.items()},
            **{f"{name}_1": "1" for name in spans},
        }

    def test_purpose_and_window_are_set_and_listed(self):
        client = signed_in(may="everything")

        response = client.post(page(Category, "add"), self.given())

        assert response.status_code == 302, response.context["errors"]
        made = Category.objects.get()
        assert (made.purpose, made.dedup_seconds) == ("marketing", 60)
        listed = client.get(page(Category), {"purpose": "marketing"}).content.decode()
        assert ">Marketing<" in listed.replace("\n", "").replace(" ", "")

    STEPS: ClassVar = {
        "strategy": "escalate",
        "escalation-0-channel": "in_app",
        "escalation-1-channel": "push", "escalation-1-number": "10", "escalation-1-unit": "60",
        "escalation-1-unless": "seen",
        "escalation-3-channel": "email", "escalation-3-number": "2", "escalation-3-unit": "3600",
        "escalation-3-unless": "read",
    }  # fmt: skip

    def test_steps_are_rows_of_the_form(self):
        client = signed_in(may="everything")

        response = client.post(page(Category, "add"), self.given(**self.STEPS))

        assert response.status_code == 302, response.context["errors"]
        made = Category.objects.get()
        assert made.escalation == [
            {"channel": "in_app"},
            {"channel": "push", "after": 600, "unless": "seen"},
            {"channel": "email", "after": 7200, "unless": "read"},
        ]
        shown = client.get(page(made)).content.decode()
        assert 'name="escalation-1-number" value="10"' in shown
        assert 'name="escalation-2-number" value="2"' in shown

    @pytest.mark.parametrize(
        ("fields", "row", "says"),
        [
            ({"escalation-1-number": "soon"}, 2, "Say how long after the start: at most 7 days."),
            ({"escalation-1-number": "9" * 30}, 2, "Say how long after the start: at most 7 days."),
            ({"escalation-3-number": "5", "escalation-3-unit": "60"}, 4, "Each step comes later than the one before."),
            ({"escalation-3-channel": "push"}, 4, "Push has a step already."),
            ({"escalation-3-channel": ""}, 4, "A channel is one of"),
            ({"escalation-3-unless": "bored"}, 4, "A condition is one of"),
        ],
    )
    def test_a_step_that_cannot_be_one_is_told_at_its_row(self, fields: dict[str, str], row: int, says: str):
        response = signed_in(may="everything").post(page(Category, "add"), self.given(**{**self.STEPS, **fields}))

        errors = response.context["adminform"].form.errors
        assert dict(errors) == {"escalation": [f"Look at step {row} again."]}
        told = response.content.decode().partition(f'id="escalation-{row - 1}-error">')[2].partition("</div>")[0]
        assert says in told

    def test_caps_are_set_and_listed(self):
        client = signed_in(may="everything")

        client.post(page(Category, "add"), self.given(cap_per_day="3", cap_per_week="10"))

        made = Category.objects.get()
        assert (made.cap_per_day, made.cap_per_week) == (3, 10)
        assert "3 a day, 10 a week" in client.get(page(Category)).content.decode()

    def test_a_digest_is_set_and_listed(self):
        client = signed_in(may="everything")
        weekly = self.given(digest_mode="local_time", digest_weekdays=["4", "0"], digest_at="18:30")

        response = client.post(page(Category, "add"), weekly)

        assert response.status_code == 302, response.context["errors"]
        made = Category.objects.get()
        assert (sorted(made.digest_weekdays), made.digest_channels) == ([0, 4], ["email"])
        assert "Mondays and Fridays at 18:30" in client.get(page(Category)).content.decode()

    @pytest.mark.parametrize(
        ("fields", "at"),
        [
            ({"digest_mode": "sliding", "digest_cap_seconds": "60"}, "digest_cap_seconds"),
            ({"digest_template": "nothing"}, "digest_template"),
            ({"digest_mode": "fixed", "is_required": "on"}, "digest_mode"),
            ({"digest_weekdays": ["7"]}, "digest_weekdays"),
            ({"digest_channels": []}, "digest_channels"),
            ({"digest_window_seconds": "0"}, "digest_window_seconds"),
        ],
    )
    def test_a_digest_that_cannot_be_one_is_told_at_the_field(self, fields: dict[str, object], at: str):
        response = signed_in(may="everything").post(page(Category, "add"), self.given(**fields))

        assert response.status_code == 200
        assert list(response.context["adminform"].form.errors) == [at]

    @pytest.mark.parametrize("seconds", ["-1", "604801", "", "soon"])
    def test_a_window_that_cannot_be_one_is_told_at_the_field(self, seconds: str):
        response = signed_in(may="everything").post(page(Category, "add"), self.given(dedup_seconds=seconds))

        assert response.status_code == 200
        assert list(response.context["adminform"].form.errors) == ["dedup_seconds"]
        assert not Category.objects.exists()


class TestChanges:
    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"what": Changed.PREFERENCE, "channel": "sms", "after": "off"}, ["Every category, SMS", "no word → off"]),
            ({"what": Changed.LOCALE, "before": "en", "after": "de"}, ["Language", "en → de"]),
            ({"what": Changed.EMAIL}, ["Email address", "changed"]),
            (
                {"what": Changed.DIGEST, "before": "weekly:0800:6", "after": "daily:1830:"},
                ["Every category: how often", "Sundays at 08:00 → every day at 18:30"],
            ),
            ({"what": Changed.DIGEST, "after": "weekly::4"}, ["no word → weekly, on Fridays"]),
            ({"what": Changed.DIGEST, "after": "weekly:0705:"}, ["no word → weekly, at 07:05"]),
            ({"what": Changed.DIGEST, "before": "hourly::", "after": "default::"}, ["hourly → as usual"]),
            ({"what": Changed.QUIET_HOURS, "before": "none", "after": "22:00-07:30"}, ["no quiet hours → 22:00-07:30"]),
            ({"what": Changed.SUPPRESSION, "channel": "email", "after": "hard_bounce"}, ["nothing → Hard bounce"]),
        ],
    )
    def test_a_change_is_told_in_words(self, fields: dict[str, str], says: list[str]):
        change = ChangeRecord.objects.create(
            recipient=factories.recipient("ada"), way=Way.KEYWORD, batch=uuid4(), **fields
        )
        client = signed_in(may="view")

        for address in (page(ChangeRecord), page(change)):
            text = client.get(address).content.decode()
            assert all(word in text for word in (*says, "Text message"))
            assert "weekly:" not in text
            assert "daily:" not in text
