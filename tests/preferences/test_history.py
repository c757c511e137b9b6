"""The history of changes: one record for each thing that changed, by every way, and gone with its person."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from core import ids
from preferences import retention
from preferences.choices import Way
from preferences.models import ChangeRecord, DeviceToken, Recipient, Suppression
from preferences.services import PreferenceChange, PreferencesService, RecipientInput, Trace
from preferences.unsubscribing.tokens import make
from tests import factories
from tests.api import Api

pytestmark = pytest.mark.django_db


def records() -> list[tuple[str, str | None, str, str, str, str]]:
    """In the order they were made: what, category, channel, before, after, way."""
    rows = ChangeRecord.objects.order_by("id")
    return list(rows.values_list("what", "category__slug", "channel", "before", "after", "way"))


@pytest.fixture(autouse=True)
def ada() -> Recipient:
    factories.category("offers")
    return factories.recipient("ada", devices=0, email="ada@example.com", phone="+4915112345678", locale="en")


def test_a_word_is_noted_with_what_was_before() -> None:
    for enabled in (False, False, True, None):
        PreferencesService().set_preferences("ada", [PreferenceChange("offers", "email", enabled)])

    assert records() == [
        ("preference", "offers", "email", "", "off", "host"),
        ("preference", "offers", "email", "off", "on", "host"),
        ("preference", "offers", "email", "on", "", "host"),
    ]


def test_what_is_undone_leaves_no_record() -> None:
    with pytest.raises(ZeroDivisionError):
        _set_and_fail()

    assert records() == []


def _set_and_fail() -> None:
    with transaction.atomic():
        PreferencesService().set_preferences("ada", [PreferenceChange("offers", "email", False)])
        _ = 1 / 0


def test_the_api_says_that_it_was_the_api() -> None:
    api = Api()
    change = {"category": "offers", "channel": "sms", "enabled": False}
    api.call("PATCH", "recipients/ada/preferences/", {"preferences": [change]})
    api.call("PUT", "recipients/ada/preferences/", {"preferences": []})
    api.call("PATCH", "recipients/ada/", {"locale": "de", "email": "ada@example.org"})

    assert records() == [
        ("preference", "offers", "sms", "", "off", "api"),
        ("preference", "offers", "sms", "off", "", "api"),
        ("email", None, "", "", "", "api"),
        ("locale", None, "", "en", "de", "api"),
    ]


def test_unsubscribing_says_so(ada: Recipient) -> None:
    category = factories.category("offers")
    Client().post(f"/u/{make(ids.key(ada.pk), category.pk, 'email', now=timezone.now().timestamp())}/")

    assert records() == [("preference", "offers", "email", "", "off", "unsubscribe")]


def test_devices_and_stopped_addresses_are_noted_once(ada: Recipient) -> None:
    service = PreferencesService()
    device = service.register_token("ada", "fcm", "t" * 40)
    service.register_token("ada", "fcm", "t" * 40)
    service.retire_tokens([device.pk], "removed", trace=Trace(Way.PAGE))
    service.retire_tokens([device.pk], "removed", trace=Trace(Way.PAGE))
    for _ in range(2):
        service.suppress("email", "ADA@example.com", "hard_bounce", trace=Trace(Way.PROVIDER))
    service.lift("email", "ada@example.com", trace=Trace(Way.ADMIN))
    service.lift("email", "ada@example.com", trace=Trace(Way.ADMIN))

    assert records() == [
        ("device", None, "", "", "added", "host"),
        ("device", None, "", "in use", "removed", "page"),
        ("suppression", None, "email", "", "hard_bounce", "provider"),
        ("suppression", None, "email", "hard_bounce", "", "admin"),
    ]
    assert DeviceToken.objects.get().retired_at is not None


def test_a_batch_of_a_thousand_costs_no_statement_a_row(django_assert_num_queries: Any) -> None:
    factories.recipients(1000)
    rows = [RecipientInput(external_id=f"person-{n}", locale="fr") for n in range(1000)]

    with django_assert_num_queries(4):  # savepoint, insert, update with its history, release
        PreferencesService().upsert(rows)

    assert ChangeRecord.objects.filter(what="locale", after="fr").count() == 1000


def test_a_batch_that_says_the_same_leaves_nothing() -> None:
    PreferencesService().upsert([RecipientInput(external_id="ada", locale="en", email="ada@example.com")])

    assert records() == []


def test_it_goes_with_the_person() -> None:
    PreferencesService().set_preferences("ada", [PreferenceChange("offers", "email", False)])
    PreferencesService().erase("ada")

    assert records() == []


@pytest.mark.django_db(transaction=True)
def test_a_bounce_beside_an_erasure_leaves_no_row_of_nobody() -> None:
    def bounce() -> None:
        PreferencesService().suppress("email", "ada@example.com", "hard_bounce", trace=Trace(Way.PROVIDER))
        connection.close()

    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            PreferencesService().erase("ada")
            beside = pool.submit(bounce)
            time.sleep(0.3)  # it waits for the person, who is gone when it goes on
        beside.result(timeout=10)

    assert records() == []
    assert Suppression.objects.exists()


def test_what_is_old_is_purged_and_zero_keeps_it(settings: Any) -> None:
    for channel in ("email", "sms"):
        PreferencesService().set_preferences("ada", [PreferenceChange("offers", channel, False)])
    ChangeRecord.objects.filter(channel="email").update(at=timezone.now() - timedelta(days=11))
    settings.PREFERENCE_HISTORY_DAYS = 0
    assert retention.purge() == 0

    settings.PREFERENCE_HISTORY_DAYS = 10
    assert retention.purge() == 1
    assert [record[2] for record in records()] == ["sms"]
