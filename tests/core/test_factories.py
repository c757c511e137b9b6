"""The factories that every other test stands on."""

import pytest

from tests import factories

pytestmark = pytest.mark.django_db


def test_a_recipient_is_reachable_everywhere_unless_told_otherwise():
    person = factories.recipient(phone="")
    assert person.email
    assert not person.phone
    assert person.device_tokens.count() == 1


def test_a_template_is_published_with_both_its_locales():
    made = factories.template("hello")
    assert made.published is not None
    assert set(made.published.content) == {"en", "de"}


def test_a_key_is_found_by_its_prefix():
    key, token = factories.api_key(mode="test")
    assert token.startswith(f"ck_test_{key.prefix}_")
