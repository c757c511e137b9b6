"""What a recipient's fields may hold."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preferences import phones, validation
from preferences.errors import ValidationProblem


@pytest.mark.parametrize(
    ("written", "e164"),
    [
        ("+49 151 12345678", "+4915112345678"),
        ("+49 (0) 151 12345678", "+4915112345678"),
        (" +1 (415) 555-2671 ", "+14155552671"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+39 06 698 12345", "+390669812345"),
        ("", ""),
    ],
)
def test_a_phone_number_becomes_e164(written, e164):
    assert validation.phone(written) == e164


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        ("0151 12345678", "DE", "+4915112345678"),
        ("0049 151 12345678", "DE", "+4915112345678"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("1 415 555 2671", "US", "+14155552671"),
        ("06 698 12345", "IT", "+390669812345"),
        ("800 1234", "PA", "+5078001234"),
    ],
)
def test_a_number_without_its_country_is_read_as_at_home(written, region, e164):
    assert validation.phone(written, region) == e164


@pytest.mark.parametrize(
    "written",
    [
        "12345",
        "0151 12345678",
        "+49",
        "+999 123456789",
        "+1 800 FLOWERS",
        "+1 415 555 2671 x12",
        "+49151\n12345678\0",
        "+",
    ],
)
def test_what_is_no_phone_number_is_refused(written):
    with pytest.raises(ValidationProblem) as caught:
        validation.phone(written)
    assert caught.value.code == "invalid_phone"


_REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@settings(max_examples=1500, deadline=None)
@given(
    region=st.sampled_from(_REGIONS),
    kind=st.sampled_from([0, 1, 2, 3, 4, 6, 7, 10]),
    changes=st.lists(st.tuples(st.integers(0, 20), st.sampled_from("0123456789")), max_size=4),
    head=st.sampled_from(["", "0", "1", "8", "00"]),
    tail=st.text("0123456789", max_size=2),
)
def test_the_short_way_agrees_with_libphonenumber(region, kind, changes, head, tail):
    """Nearly valid numbers of every country: an example of it with digits changed, and some put before and after."""
    example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    digits = list(phonenumbers.national_significant_number(example))
    for place, digit in changes:
        digits[place % len(digits)] = digit
    text = head + "".join(digits) + tail
    for written, home in ((f"+{example.country_code}{text}", None), (text, region)):
        assert _short(written, home) == _long(written, home), (written, home)


@pytest.mark.parametrize(("written", "region"), [("00800122423", "PA"), ("03211234567", "CO"), ("015112340000", "IL")])
def test_what_can_be_read_in_two_ways_is_left_to_libphonenumber(written, region):
    assert _short(written, region) == _long(written, region)


def _short(written, home):
    try:
        return phones.to_e164(written, home)
    except ValidationProblem:
        return None


def _long(written, home):
    try:
        number = phonenumbers.parse(written, home)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def test_a_clean_number_does_not_need_libphonenumber(monkeypatch):
    monkeypatch.setattr(phones, "_by_libphonenumber", lambda *_: pytest.fail("took the long way"))
    assert [phones.to_e164(n) for n in ("+4915112345678", "+14155552671")] == ["+4915112345678", "+14155552671"]
    assert phones.to_e164("0151 12345678", "DE") == "+4915112345678"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("ann@example.com", "ann@example.com"),
        (" Ann.Lee+x@Example.COM ", "Ann.Lee+x@example.com"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("", ""),
    ],
)
def test_an_email_keeps_its_name_and_lowers_its_domain(written, kept):
    assert validation.email(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        "ann", "ann@", "@example.com", "ann@example", "a b@example.com", ".ann@example.com", "a..b@example.com",
        "ann@-example.com", "ann@example.com\r\nBcc: x@example.com", "a@b@example.com", "x" * 65 + "@example.com",
        "a@" + "x" * 250 + ".com", "ann@example.com\0",
    ],
)  # fmt: skip
def test_what_is_no_email_is_refused(written):
    with pytest.raises(ValidationProblem):
        validation.email(written)


@given(st.emails(), st.text(max_size=20))
def test_the_short_way_for_emails_takes_nothing_that_djangos_validator_refuses(good, noise):
    for text in (good, noise + good, good + noise):
        if validation.is_plain_email(text):
            validation._check_email(text)


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("pt_br", "pt-BR"),
        ("EN", "en"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-rozaj", "sl-rozaj"),
        ("", ""),
    ],
)
def test_a_locale_takes_its_usual_case(written, tag):
    assert validation.locale(written) == tag


@pytest.mark.parametrize("written", ["german", "x", "de-", "de--DE", "12", "de-DE-", "é", "de DE", "e" * 40, "en-\0"])
def test_what_is_no_locale_is_refused(written):
    with pytest.raises(ValidationProblem):
        validation.locale(written)


def test_a_time_zone_is_known_and_takes_its_own_spelling():
    assert validation.timezone("europe/BERLIN") == "Europe/Berlin"
    assert validation.timezone("") == "UTC"
    for wrong in ("Mars/Olympus", "../../etc/passwd", "localtime", "Europe/Berlin\0"):
        with pytest.raises(ValidationProblem):
            validation.timezone(wrong)


@given(st.text(max_size=200))
def test_an_external_id_that_is_taken_can_be_looked_up(text):
    try:
        taken = validation.external_id(text)
    except ValidationProblem:
        return
    assert validation.is_external_id(taken)
    taken.encode()  # storable
    assert "\0" not in taken


@pytest.mark.parametrize("wrong", ["", "   ", "x" * 129, "a\0b", "a\nb", "a\ud800", 7, None])
def test_what_is_no_external_id_is_refused(wrong):
    with pytest.raises(ValidationProblem):
        validation.external_id(wrong)


def test_a_name_is_one_line():
    assert validation.name("  Ann\tx  Lee \r\n") == "Ann x Lee"
    for wrong in ("Ann\r\nBcc: x", "Ann\nBcc: x", "Ann\rBcc: x", "a\0b", "\x1b[2J", "x" * 201, "a\ud800"):
        with pytest.raises(ValidationProblem):
            validation.name(wrong)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ([], "not_an_object"),
        ({"a": "x\0"}, "unprintable"),
        ({"a": "\ud800"}, "unprintable"),
        ({"a": float("nan")}, "invalid_attributes"),
        ({"a": 2**70}, "invalid_attributes"),
        ({"a": object()}, "invalid_attributes"),
        ({"": 1}, "invalid_attributes"),
        ({7: 1}, "not_a_string"),
        ({"a": {"b": {"c": {"d": {"e": {}}}}}}, "too_deep"),
        ({"a": "x" * 17_000}, "too_large"),
    ],
)
def test_attributes_are_a_small_json_object(wrong, code):
    with pytest.raises(ValidationProblem) as caught:
        validation.attributes(wrong)
    assert caught.value.code == code


def test_attributes_come_back_as_plain_json():
    assert validation.attributes({"a": [1, 2.5, None, True, {"b": "é"}]}) == {"a": [1, 2.5, None, True, {"b": "é"}]}


@pytest.mark.parametrize("written", ['"\x01"@example.com', '"a\tb"@example.com', '"a\x7f"@example.com'])
def test_an_email_address_has_no_control_characters_even_in_quotes(written):
    with pytest.raises(ValidationProblem) as caught:
        validation.email(written)
    assert caught.value.code == "invalid_email"


def test_a_quoted_local_part_is_an_address():
    assert validation.email('"ann.lee"@Example.COM') == '"ann.lee"@example.com'
