"""Is this content a template? Everything that can be told before anything is sent."""

import re
from collections.abc import Mapping

from notifications.errors import FieldError, RenderError
from notifications.services.rendering.cleaning import CONTROL, cleaner
from notifications.services.rendering.compiler import compile_field
from notifications.services.rendering.fields import FIELDS, FieldSpec, Kind
from notifications.services.rendering.inline import escape_pointer

MAX_LOCALES = 50
_MARKUP = re.compile(r"\{\{|\{%")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def validate_template(content: object) -> list[FieldError]:
    """What is wrong with `content[locale][channel][field]`; pointers start at `/content`. Empty means publishable."""
    if not isinstance(content, Mapping) or not content:
        return [FieldError("/content", "invalid", "Content is an object of locales with at least one of them.")]
    if len(content) > MAX_LOCALES:
        return [FieldError("/content", "too_many", f"At most {MAX_LOCALES} locales.")]
    errors: list[FieldError] = []
    for locale, channels in content.items():
        pointer = f"/content/{escape_pointer(locale)}"
        if not isinstance(locale, str) or not LOCALE.fullmatch(locale):
            errors.append(FieldError(pointer, "invalid", "A locale is a BCP 47 tag such as en or pt-BR."))
        elif not isinstance(channels, Mapping) or not channels:
            errors.append(FieldError(pointer, "invalid", "A locale is an object with at least one channel."))
        else:
            for channel, fields in channels.items():
                _channel(channel, fields, f"{pointer}/{escape_pointer(channel)}", errors)
    return errors


def _channel(channel: object, fields: object, pointer: str, errors: list[FieldError]) -> None:
    specs = FIELDS.get(str(channel))
    if specs is None:
        errors.append(FieldError(pointer, "unknown_channel", f"There is no such channel. Known: {', '.join(FIELDS)}."))
        return
    if not isinstance(fields, Mapping):
        errors.append(FieldError(pointer, "invalid", "A channel's content is an object of fields."))
        return
    for name in fields:
        if name not in specs:
            message = f"There is no such field. Known: {', '.join(specs)}."
            errors.append(FieldError(f"{pointer}/{escape_pointer(name)}", "unknown_field", message))
    for name, spec in specs.items():
        source = fields.get(name)
        where = f"{pointer}/{name}"
        if source is None or source == "":
            if spec.required:
                errors.append(FieldError(where, "required", f"{name} is required."))
        elif not isinstance(source, str):
            errors.append(FieldError(where, "invalid", f"{name} is text."))
        elif len(source) > spec.max_source:
            errors.append(FieldError(where, "too_long", f"At most {spec.max_source} characters of template text."))
        elif error := _source(name, spec, source):
            errors.append(FieldError(where, *error))


def _source(name: str, spec: FieldSpec, source: str) -> tuple[str, str] | None:
    """What is wrong with one field's template text, as (code, message)."""
    if _UNSTORABLE.search(source):
        return "invalid", "It holds characters that cannot be stored: NUL or half a surrogate pair."
    try:
        compile_field(source, spec.html)
    except RenderError as error:
        return "syntax", str(error)
    literal, dynamic = _literal_start(source)
    if not dynamic and spec.kind is Kind.LINE and CONTROL.search(literal):
        return "invalid", f"{name} is one line without control characters."
    if dynamic and (spec.kind is not Kind.LINK or not literal.strip()):
        return None
    try:  # a link is judged by its beginning, with a stand-in for what the data will add
        text = cleaner(name, spec)(f"{literal}x" if dynamic else literal)
    except RenderError as error:
        return "invalid", f"{error}."
    return None if text or not spec.required else ("required", f"{name} is required.")


def _literal_start(source: str) -> tuple[str, bool]:
    """The text before the first merge field or tag, and whether there is one."""
    match = _MARKUP.search(source)
    return (source[: match.start()], True) if match else (source, False)
