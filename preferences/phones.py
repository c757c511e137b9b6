"""Phone numbers to E.164 by libphonenumber's rules, twenty times faster than libphonenumber for the usual ones.

`phonenumbers` parses a number in about 40 µs, most of it spent on forms a clean number does not have. Here a country's
own patterns are joined into one regular expression; a number that fits it as written, and from which libphonenumber
would strip no national prefix, is valid and is its own E.164 form. Everything else goes to `phonenumbers`, whose word
is final: the short way only ever says yes, and a test holds the two against each other.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneMetadata
from phonenumbers.phonemetadata import PhoneNumberDesc

from preferences.errors import ValidationProblem

_TYPES = (
    "mobile", "fixed_line", "voip", "toll_free", "premium_rate", "shared_cost", "personal_number", "pager", "uan",
    "voicemail",
)  # fmt: skip
_SEPARATORS = str.maketrans("", "", " -()./\u00a0\u2011\u2013")
_WRITTEN = re.compile(r"[+\uff0b]?[\d\s\-()./\u00a0\u2011\u2013]{3,40}")
_NON_GEOGRAPHIC = "001"


def to_e164(text: str, region: str | None = None) -> str:
    """The E.164 form of a valid number, at most 16 characters. `region` (ISO 3166, for example "DE") is the country of
    numbers written without one. Raises ValidationProblem."""
    return _clean(text.translate(_SEPARATORS), region) or _by_libphonenumber(text, region)


def clean_to_e164(texts: Sequence[str], region: str | None = None) -> list[str | None]:
    """The E.164 form of each, and None where `to_e164` has to look closer. An empty text stays empty."""
    short = "\n".join(texts).translate(_SEPARATORS).split("\n")
    if len(short) != len(texts):  # one of them has a line break
        short = [text.translate(_SEPARATORS) for text in texts]
    return [text and _clean(plain, region) for text, plain in zip(texts, short, strict=True)]


def _clean(short: str, region: str | None) -> str | None:
    """The E.164 form of a number without separators, when nothing about it is open to reading."""
    if not short.isascii():
        return None
    if short[:1] == "+":
        digits = short[1:]
        return short if digits.isdigit() and _fits(digits) else None
    return _national(short, region) if region and short.isdigit() else None


def _by_libphonenumber(text: str, region: str | None) -> str:
    problem = ValidationProblem(
        "invalid_phone",
        "This is not a valid phone number. Write it with its country code, for example +49 151 12345678.",
    )
    if not _WRITTEN.fullmatch(text.strip()):  # no letters and no extensions: they do not survive E.164
        raise problem
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        raise problem from None
    if not phonenumbers.is_valid_number(number):
        raise problem
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _fits(digits: str) -> bool:
    """Whether "<country code><national number>" is valid as it stands."""
    rule = _rule_of(digits[:3])
    if rule is None:
        return False
    national = digits[rule.code_length :]
    if rule.prefix is not None and (stripped := rule.prefix.match(national)) and stripped.end():
        return False
    return rule.valid.fullmatch(national) is not None


def _national(digits: str, region: str) -> str | None:
    """The E.164 form of a number written as at home in `region`, when nothing about it is open to reading."""
    home = _home(region)
    if home is None or home.international.match(digits):
        return None
    prefix = home.trunk if digits.startswith(home.trunk) else ""
    stripped = home.stripped.match(digits)
    if stripped is not None and stripped.end() != len(prefix):  # a carrier's code, or an area's
        return None
    whole = f"{home.code}{digits[len(prefix) :]}"
    return f"+{whole}" if _fits(whole) else None


class _Home(NamedTuple):
    """How numbers are dialled in a region: its country code, the trunk prefix, what libphonenumber strips in its place,
    and what leads abroad."""

    code: str
    trunk: str
    stripped: re.Pattern[str]
    international: re.Pattern[str]


@cache
def _home(region: str) -> _Home | None:
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return None
    never = "(?!)"
    return _Home(
        str(metadata.country_code),
        metadata.national_prefix or "",
        re.compile(metadata.national_prefix_for_parsing or never),
        re.compile(metadata.international_prefix or never),
    )


class _Rule(NamedTuple):
    """What a national number of a country code looks like, and the prefix libphonenumber would strip from it."""

    code_length: int
    valid: re.Pattern[str]
    prefix: re.Pattern[str] | None


@cache
def _rule_of(start: str) -> _Rule | None:
    """The rule of the country code that a number of these first three digits has: no code begins another."""
    return next((rule for length in (1, 2, 3) if (rule := _rule(start[:length]))), None)


@cache
def _rule(code: str) -> _Rule | None:
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code)) if code else None
    if not regions:
        return None
    forms = []
    for region in regions:
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(int(code), None)
            if region == _NON_GEOGRAPHIC
            else PhoneMetadata.metadata_for_region(region, None)
        )
        if metadata is None:
            continue
        general = _form(metadata.general_desc)
        kinds = [form for kind in _TYPES if (form := _form(getattr(metadata, kind)))]
        if general and kinds:
            forms.append(f"(?={general})(?:{'|'.join(kinds)})")
    main = PhoneMetadata.metadata_for_region_or_calling_code(int(code), regions[0])
    prefix = main.national_prefix_for_parsing if main else None
    return _Rule(len(code), re.compile("|".join(forms) or r"(?!)"), re.compile(prefix) if prefix else None)


def _form(kind: PhoneNumberDesc | None) -> str:
    """One kind of number as a pattern over the whole national number: its lengths and its digits."""
    if kind is None or not kind.national_number_pattern or not kind.possible_length or kind.possible_length == (-1,):
        return ""
    lengths = "|".join(rf"\d{{{length}}}" for length in kind.possible_length)
    return rf"(?=(?:{lengths})\Z)(?:{kind.national_number_pattern})\Z"


def is_region(region: str) -> bool:
    """Whether libphonenumber knows this ISO 3166 code."""
    return region in phonenumbers.SUPPORTED_REGIONS
