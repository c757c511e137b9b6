"""Literal content that comes with a notification: its two forms brought into one, with a pointer for each mistake."""

from collections.abc import Mapping

from notifications.choices import Channel
from notifications.errors import ContentInvalid, FieldError, RenderError
from notifications.services.rendering.cleaning import CONTROL, cleaner
from notifications.services.rendering.fields import FIELDS, FieldSpec, Kind

_WORDING = frozenset({"title", "body", "link"})


def normalise_inline(content: object) -> dict[str, dict[str, str]]:
    """Fields by channel, cleaned, from either form of `Draft.content`.

    One wording `{"title", "body", "link"?}` becomes every channel: the title is the email's subject, the link is
    appended to the email's text and to the SMS. Raises ContentInvalid with pointers such as `/content/email/subject`.
    """
    if not isinstance(content, Mapping) or not content:
        raise ContentInvalid([FieldError("/content", "invalid", "Content is an object with at least one channel.")])
    if _WORDING.intersection(content):
        return _one_wording(content)
    errors: list[FieldError] = []
    result: dict[str, dict[str, str]] = {}
    for channel, fields in content.items():
        pointer = f"/content/{escape_pointer(channel)}"
        if channel not in FIELDS:
            known = ", ".join(FIELDS)
            errors.append(FieldError(pointer, "unknown_channel", f"There is no such channel. Known: {known}."))
        elif not isinstance(fields, Mapping):
            errors.append(FieldError(pointer, "invalid", "A channel's content is an object of fields."))
        else:
            result[channel] = _fields(fields, FIELDS[channel], pointer, errors)
    if errors:
        raise ContentInvalid(errors)
    return result


def _fields(
    given: Mapping[object, object], specs: Mapping[str, FieldSpec], pointer: str, errors: list[FieldError]
) -> dict[str, str]:
    for name in given:
        if name not in specs:
            known = ", ".join(specs)
            message = f"There is no such field. Known: {known}."
            errors.append(FieldError(f"{pointer}/{escape_pointer(name)}", "unknown_field", message))
    result: dict[str, str] = {}
    for name, spec in specs.items():
        text = _field(name, given.get(name), spec, f"{pointer}/{name}", errors)
        if text:
            result[name] = text
    return result


def _field(name: str, value: object, spec: FieldSpec, pointer: str, errors: list[FieldError]) -> str:
    """One field's final text; what is wrong with it goes to `errors`."""
    if value is None or value == "":
        if spec.required:
            errors.append(FieldError(pointer, "required", f"{name} is required."))
        return ""
    if not isinstance(value, str):
        errors.append(FieldError(pointer, "invalid", f"{name} is text."))
        return ""
    if len(value) > spec.max_length:
        message = f"{name} has {len(value)} characters; at most {spec.max_length} are allowed."
        errors.append(FieldError(pointer, "too_long", message))
        return ""
    if spec.kind is Kind.LINE and CONTROL.search(value):
        errors.append(FieldError(pointer, "invalid", f"{name} is one line without control characters."))
        return ""
    try:
        text = cleaner(name, spec)(value)
    except RenderError as error:
        errors.append(FieldError(pointer, "invalid", f"{error}."))
        return ""
    if spec.required and not text:
        errors.append(FieldError(pointer, "required", f"{name} is required."))
    return text


#: The wording's own bounds: what every channel takes whole, the link's room in an SMS included.
_WORDING_SPECS: Mapping[str, FieldSpec] = {
    "title": FieldSpec(True, 200, Kind.LINE),
    "body": FieldSpec(True, 1_000, Kind.TEXT),
    "link": FieldSpec(False, 500, Kind.LINK),
}


def _one_wording(content: Mapping[object, object]) -> dict[str, dict[str, str]]:
    errors: list[FieldError] = []
    wording = _fields(content, _WORDING_SPECS, "/content", errors)
    if errors:
        raise ContentInvalid(errors)
    title, body, link = wording["title"], wording["body"], wording.get("link", "")
    linked = {"link": link} if link else {}
    return {
        Channel.PUSH.value: {"title": title, "body": body, **linked},
        Channel.EMAIL.value: {"subject": title, "text": f"{body}\n\n{link}" if link else body},
        Channel.SMS.value: {"body": f"{body} {link}" if link else body},
        Channel.IN_APP.value: {"title": title, "body": body, **linked},
    }


def escape_pointer(segment: object) -> str:
    """A reference token of a JSON Pointer (RFC 6901 3), cut so that an error stays small."""
    return str(segment)[:100].replace("~", "~0").replace("/", "~1")
