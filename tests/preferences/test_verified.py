"""Whether an address is confirmed: said by the host, lost with a change, whichever way it comes."""

from typing import Any

import pytest
from django.utils import timezone

from preferences.models import Recipient
from preferences.services import PreferencesService, RecipientInput

pytestmark = pytest.mark.django_db


def upsert(**fields: Any) -> Recipient:
    PreferencesService().upsert([RecipientInput(external_id="ann", **fields)])
    return Recipient.objects.get(external_id="ann")


def test_the_host_says_so_and_a_new_address_is_not() -> None:
    assert upsert(email="ann@example.com").email_verified_at is None

    confirmed = upsert(email_verified=True).email_verified_at
    assert confirmed is not None
    assert upsert(name="Ann", email="ann@example.com").email_verified_at == confirmed
    assert upsert(email_verified=True).email_verified_at == confirmed

    assert upsert(email="ann@example.org").email_verified_at is None
    assert upsert(email="ann@example.net", email_verified=True).email_verified_at is not None
    assert upsert(email_verified=False).email_verified_at is None


def test_one_that_is_cleared_is_not_confirmed() -> None:
    upsert(email="ann@example.com", email_verified=True, phone="+4915112345678", phone_verified=True)

    cleared = upsert(email="", phone="", email_verified=True)

    assert (cleared.email_verified_at, cleared.phone_verified_at) == (None, None)


def test_a_new_person_may_come_confirmed() -> None:
    made = upsert(email="ann@example.com", email_verified=True, phone="+4915112345678")

    assert made.email_verified_at is not None
    assert made.phone_verified_at is None


def test_email_and_phone_are_told_apart() -> None:
    upsert(email="ann@example.com", email_verified=True, phone="+4915112345678", phone_verified=True)

    changed = upsert(phone="+4915112345679")

    assert changed.email_verified_at is not None
    assert changed.phone_verified_at is None


def test_a_confirmed_address_moves_no_route() -> None:
    before = upsert(email="ann@example.com").preferences_changed_at

    assert upsert(email_verified=True).preferences_changed_at == before


def test_confirming_an_address_makes_it_theirs() -> None:
    upsert(email="ann@example.com")

    PreferencesService().confirm_email("ann", "ann@example.org")

    ann = Recipient.objects.get()
    assert ann.email == "ann@example.org"
    assert ann.email_verified_at is not None
    assert ann.email_verified_at <= timezone.now()
