"""Links to the preference centre: for whom, for how long, and for nothing else."""

import base64
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preferences.centre import tokens
from preferences.centre.tokens import DATA_SECONDS, make, make_data, make_email, read, read_data, read_email
from preferences.unsubscribing import tokens as unsubscribing

DAY = 86_400
NOW = 1_800_000_000.0
people = st.binary(min_size=16, max_size=16)


@given(people)
def test_a_token_says_whose_choices(recipient: bytes) -> None:
    token = make(recipient, now=NOW)

    assert read(token, now=NOW) == UUID(bytes=recipient)
    assert len(token) == tokens.LENGTH


@given(people, st.integers(0, 36 * 8 - 1))
def test_no_flipped_bit_is_accepted(recipient: bytes, bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(make(recipient, now=NOW)))
    raw[bit // 8] ^= 1 << bit % 8

    assert read(base64.urlsafe_b64encode(bytes(raw)).decode(), now=NOW) is None


@given(people, st.integers(0, 47), st.characters(codec="ascii"))
def test_a_changed_character_is_not_accepted(recipient: bytes, place: int, character: str) -> None:
    token = make(recipient, now=NOW)
    changed = token[:place] + character + token[place + 1 :]

    assert (read(changed, now=NOW) is None) == (changed != token)


@given(people, people)
def test_a_token_is_not_widened_to_another(one: bytes, other: bytes) -> None:
    """The signature of one person's token under another's name."""
    raw, donor = (base64.urlsafe_b64decode(make(person, now=NOW)) for person in (one, other))
    grafted = base64.urlsafe_b64encode(donor[:16] + raw[16:]).decode()

    assert (read(grafted, now=NOW) is None) == (one != other)


@given(people)
def test_what_was_made_for_one_purpose_is_refused_for_another(recipient: bytes) -> None:
    choices, data = make(recipient, now=NOW), make_data(recipient, now=NOW)
    leaving = unsubscribing.make(recipient, 1, "email", now=NOW)

    confirmation = make_email(recipient, now=NOW)

    assert read_email(confirmation, now=NOW) is not None
    for other in (choices, data, leaving):
        assert read_email(other, now=NOW) is None
    for other in (read, read_data):
        assert other(confirmation, now=NOW) is None
    assert read_data(choices, now=NOW) is None
    assert read(data, now=NOW) is None
    assert read(leaving, now=NOW) is None
    assert read_data(leaving, now=NOW) is None
    assert unsubscribing.read(choices, now=NOW) is None
    assert unsubscribing.read(data, now=NOW) is None


@given(st.text(max_size=60))
def test_whatever_comes_is_no_error(text: str) -> None:
    assert read(text, now=NOW) is None
    assert read_data(text, now=NOW) is None
    assert read_email(text, now=NOW) is None


def test_a_token_is_good_for_as_long_as_the_settings_say(settings: Any) -> None:
    settings.PREFERENCES_LINK_DAYS = 7
    token = make(bytes(16), now=NOW)

    assert read(token, now=NOW + 7 * DAY) is not None
    assert read(token, now=NOW + 7 * DAY + 1) is None
    assert read(token, now=NOW - 3600) is None  # of the future: not ours, or a clock that is badly wrong


def test_the_way_to_ones_data_is_short_lived() -> None:
    token = make_data(bytes(16), now=NOW)

    assert read_data(token, now=NOW + DATA_SECONDS) is not None
    assert read_data(token, now=NOW + DATA_SECONDS + 1) is None


@pytest.mark.parametrize(("make_one", "read_one"), [(make, read), (make_data, read_data), (make_email, read_email)])
def test_a_secret_that_was_replaced_is_still_known(settings: Any, make_one: Any, read_one: Any) -> None:
    token = make_one(bytes(16), now=NOW)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 50, [settings.SECRET_KEY]

    assert read_one(token, now=NOW) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert read_one(token, now=NOW) is None
