"""What the fields of a recipient may hold. Each function returns the normalised value or raises ValidationProblem.

The usual value takes a short path (one regular expression, or a lookup of what was asked before), because an import
calls these fifty thousand times a second.
"""

import math
import re
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import time
from functools import cache, lru_cache
from typing import Any, Final

import orjson
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from preferences import phones
from preferences import quiet_hours as windows
from preferences.errors import ValidationProblem

MAX_EXTERNAL_ID: Final = 128
MAX_NAME: Final = 200
MAX_EMAIL: Final = 254  # RFC 5321: a path of 256 octets with its brackets
MAX_LOCAL_PART: Final = 64  # RFC 5321, 4.5.3.1.1
MAX_LOCALE: Final = 35  # RFC 5646, 4.4.1
MAX_ATTRIBUTES_BYTES: Final = 16 * 1024
MAX_ATTRIBUTES_DEPTH: Final = 5
MAX_ATTRIBUTE_KEY: Final = 64
MAX_TOKEN: Final = 4096  # a Web Push subscription is the longest, well under 1 KB
MAX_LABEL: Final = 100
#: Where quiet hours are text, beside `22:00-07:30`: none for this person, whatever the installation's are; and those of
#: the installation, which is to say nothing. An empty text leaves what is there.
NO_QUIET_HOURS: Final = "none"
DEFAULT_QUIET_HOURS: Final = "default"

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_SHORT = 64
_PLAIN_EMAIL = re.compile(  # of at most _SHORT characters, so that no part of it can be too long; possessive: 0.2 µs
    r"[A-Za-z0-9_%+-]++(?:\.[A-Za-z0-9_%+-]++)*+@(?:[a-z0-9]++(?:-++[a-z0-9]++)*+\.)++[a-z]{2,63}"
)
_LANGUAGE_TAG = re.compile(  # RFC 5646, 2.1, without grandfathered tags and longer languages, which nobody registered
    r"(?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3})"
    r"(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<rest>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?)"
)
_check_email = EmailValidator()


def is_external_id(value: str) -> bool:
    """Whether a recipient can have this id; one that cannot need not be looked up."""
    return 0 < len(value) <= MAX_EXTERNAL_ID and value.isprintable()


def external_id(value: object) -> str:
    """1 to 128 printable characters, trimmed."""
    text = _text(value).strip()
    if not text:
        raise ValidationProblem("required", "This field is required.")
    if len(text) > MAX_EXTERNAL_ID:
        raise ValidationProblem("too_long", f"At most {MAX_EXTERNAL_ID} characters.")
    if not text.isprintable():
        raise ValidationProblem("invalid_external_id", "Printable characters only.")
    return text


def is_plain_email(text: str) -> bool:
    """Whether this is beyond doubt an address, and its own normalised form. Most are."""
    return len(text) <= _SHORT and _PLAIN_EMAIL.fullmatch(text) is not None


def name(value: object) -> str:
    """At most 200 characters on one line: runs of white space become one space, a line break is refused (it could end
    a header). May be empty."""
    return _line(value, MAX_NAME)


def email(value: object) -> str:
    """An address as SMTP takes it, the domain in lower case; empty is no address. RFC 5322 lets a quoted local part
    hold control characters; no mail system takes them, and here they are refused."""
    text = _text(value).strip()
    if not text or is_plain_email(text):
        return text
    if not text.isprintable():
        raise ValidationProblem("invalid_email", "This is not a valid email address.")
    local, _, domain = text.rpartition("@")
    lowered = f"{local}@{domain.lower()}"
    if is_plain_email(lowered):
        return lowered
    if len(text) > MAX_EMAIL or len(local.encode(errors="replace")) > MAX_LOCAL_PART:
        raise ValidationProblem("too_long", f"At most {MAX_EMAIL} characters, {MAX_LOCAL_PART} before the @.")
    try:
        _check_email(text)
    except ValidationError:
        raise ValidationProblem("invalid_email", "This is not a valid email address.") from None
    return lowered


def phone(value: object, region: str | None = None) -> str:
    """A valid number in E.164; `region` is the country of numbers written without one. Empty is no number."""
    text = _text(value).strip()
    return phones.to_e164(text, region) if text else ""


def locale(value: object) -> str:
    """A BCP 47 language tag in its usual case, `pt_br` becomes `pt-BR`. Empty is no locale."""
    return _locale(_text(value))


def timezone(value: object) -> str:
    """An IANA time zone in its own spelling, whatever the case asked in. Empty is UTC."""
    return _timezone(_text(value))


def quiet_hours(value: object) -> str:
    """Two times of day as `22:00-07:30`, which differ, and a start after the end passes midnight; `none` stays, and
    None is `default`."""
    if value is None:
        return DEFAULT_QUIET_HOURS
    if value == NO_QUIET_HOURS:
        return NO_QUIET_HOURS
    match value:
        case (time() as start, time() as end):
            pass
        case _:
            raise ValidationProblem("not_a_window", "This must be two times of day, none, or null.")
    if any(at.second or at.microsecond or at.tzinfo for at in (start, end)):
        raise ValidationProblem("not_a_minute", "Whole minutes only, as 22:00.")
    if start == end:
        raise ValidationProblem("equal_times", "Start and end must differ.")
    return windows.written(windows.minutes(start), windows.minutes(end))


def quiet_hours_text(text: str) -> str:
    """The same, written as `22:00-07:30`, `none` or `default`. Empty stays empty."""
    said = text.strip()
    if not said or said.lower() in (NO_QUIET_HOURS, DEFAULT_QUIET_HOURS):
        return said.lower()
    if (window := windows.parsed(said)) is None:
        raise ValidationProblem("invalid_quiet_hours", "Two different times as 22:00-07:30, or none, or default.")
    return windows.written(*window)


def yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValidationProblem("not_a_boolean", "This must be true or false.")
    return value


def yes_or_no_text(text: str) -> str:
    """`true` or `false`, as spreadsheets and people write them. Empty stays empty."""
    said = text.strip().lower()
    if said in ("true", "yes", "1"):
        return "true"
    if said in ("false", "no", "0"):
        return "false"
    if said:
        raise ValidationProblem("not_a_boolean", "Yes or no.")
    return ""


def attributes(value: object) -> dict[str, Any]:
    """A JSON object of at most 16 KB and 5 levels, storable as jsonb."""
    if not isinstance(value, Mapping):
        raise ValidationProblem("not_an_object", "This must be a JSON object.")
    plain: dict[str, Any] = _plain(value, MAX_ATTRIBUTES_DEPTH)
    try:
        size = len(orjson.dumps(plain))
    except (TypeError, ValueError):  # an integer beyond 64 bits
        raise ValidationProblem("invalid_attributes", "A value in it cannot be stored as JSON.") from None
    if size > MAX_ATTRIBUTES_BYTES:
        raise ValidationProblem("too_large", f"At most {MAX_ATTRIBUTES_BYTES} bytes as JSON.")
    return plain


def attribute_key(value: str) -> str:
    """The name of one attribute: 1 to 64 characters on one line."""
    text = _line(value, MAX_ATTRIBUTE_KEY)
    if not text:
        raise ValidationProblem("invalid_attributes", "An attribute needs a name.")
    return text


def device_token(value: object) -> str:
    """A push token: 1 to 4,096 printable characters, trimmed."""
    text = _text(value).strip()
    if not text or not text.isprintable():
        raise ValidationProblem("invalid_token", "This is not a device token.")
    if len(text) > MAX_TOKEN:
        raise ValidationProblem("too_long", f"At most {MAX_TOKEN} characters.")
    return text


def device_label(value: object) -> str:
    """What a person calls the device, at most 100 characters on one line. May be empty."""
    return _line(value, MAX_LABEL)


#: By field of RecipientInput.
VALIDATORS: Final[Mapping[str, Callable[[object], Any]]] = {
    "external_id": external_id,
    "name": name,
    "email": email,
    "phone": phone,
    "locale": locale,
    "timezone": timezone,
    "quiet_hours": quiet_hours,
    "email_verified": yes_or_no,
    "phone_verified": yes_or_no,
    "attributes": attributes,
}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValidationProblem("not_a_string", "This must be a string.")
    return value


def _line(value: object, limit: int) -> str:
    text = _text(value).strip()
    if "\n" in text or "\r" in text:
        raise ValidationProblem("line_break", "One line only.")
    text = " ".join(text.split())
    if len(text) > limit:
        raise ValidationProblem("too_long", f"At most {limit} characters.")
    if not text.isprintable() and _UNPRINTABLE.search(text):
        raise ValidationProblem("unprintable", "No control characters.")
    return text


@lru_cache(maxsize=4096)
def _locale(value: str) -> str:
    text = value.strip()
    if not text:
        return ""
    match = _LANGUAGE_TAG.fullmatch(text.replace("_", "-").lower()) if text.isascii() else None
    if match is None or len(text) > MAX_LOCALE:
        raise ValidationProblem("invalid_locale", "This is not a language tag (BCP 47), for example pt-BR.")
    script, region = match["script"], match["region"]
    parts = [match["language"], script.title() if script else "", region.upper() if region else ""]
    return "-".join(part for part in parts if part) + match["rest"]


@lru_cache(maxsize=4096)
def _timezone(value: str) -> str:
    text = value.strip()
    if not text:
        return "UTC"
    known = _zones().get(text.lower())
    if known is None:
        raise ValidationProblem("invalid_timezone", "This is not an IANA time zone, for example Europe/Berlin.")
    return known


@cache
def _zones() -> dict[str, str]:
    """Every zone this machine can load, by its name in lower case."""
    names = zoneinfo.available_timezones() - {"localtime", "Factory", "posixrules"}
    return {name.lower(): name for name in sorted(names)}


def _plain(value: object, depth: int) -> Any:
    """The value as plain JSON types; raises for what jsonb cannot hold, or that is deeper than `depth` levels."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise ValidationProblem("unprintable", "No NUL characters and no lone surrogates.")
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValidationProblem("invalid_attributes", "Numbers must be finite.")
        return value
    if depth <= 0:
        raise ValidationProblem("too_deep", f"At most {MAX_ATTRIBUTES_DEPTH} levels.")
    if isinstance(value, Mapping):
        return {attribute_key(_text(key)): _plain(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth - 1) for inner in value]
    raise ValidationProblem("invalid_attributes", "A value in it cannot be stored as JSON.")
