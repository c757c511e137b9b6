"""What a wording may name: the recipient, the template's declared variables, and the links to unsubscribe and to one's
preferences."""

import re
from collections.abc import Mapping
from typing import Any

from notifications.errors import FieldError
from notifications.services.json_objects import checked_json

#: Filled in for each message; a template may not declare them, and data of these names is not looked at: the way out of
#: this kind of message on this channel, and the way to everything the person may choose.
UNSUBSCRIBE_URL = "unsubscribe_url"
PREFERENCES_URL = "preferences_url"
LINKS = (UNSUBSCRIBE_URL, PREFERENCES_URL)
#: Stands in for the link while a wording is checked: nothing else leads there.
SAMPLE_UNSUBSCRIBE_URL = "https://unsubscribe.example/u/sample/"
SAMPLE_PREFERENCES_URL = "https://unsubscribe.example/preferences/sample/"
RECIPIENT = "recipient"
MAX_VARIABLES = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

#: Somebody, as templates see them.
SAMPLE_RECIPIENT: Mapping[str, Any] = {
    "external_id": "user-42",
    "name": "Ada Lovelace",
    "locale": "en",
    "timezone": "UTC",
    "attributes": {},
}


def sample_context(variables: Mapping[str, Any], recipient: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The data of a message as its wording sees it: for a made-up recipient unless one is given."""
    return {
        **variables,
        RECIPIENT: recipient or SAMPLE_RECIPIENT,
        UNSUBSCRIBE_URL: SAMPLE_UNSUBSCRIBE_URL,
        PREFERENCES_URL: SAMPLE_PREFERENCES_URL,
    }


def variable_faults(variables: object, pointer: str = "/variables") -> list[FieldError]:
    """What is wrong with a declaration: an object of sample values by name."""
    errors: list[FieldError] = []
    if checked_json("variables", variables, errors) is None or not isinstance(variables, Mapping):
        return [FieldError(pointer, error.code, error.message) for error in errors]
    if len(variables) > MAX_VARIABLES:
        return [FieldError(pointer, "too_many", f"At most {MAX_VARIABLES} variables.")]
    for name in variables:
        if not _NAME.fullmatch(name):
            message = f"{name[:64]!r} is no name: letters, digits and _, not starting with a digit, at most 64."
            errors.append(FieldError(pointer, "invalid", message))
        elif name in (RECIPIENT, *LINKS):
            errors.append(FieldError(pointer, "reserved", f"{name} is there for every message; leave it out."))
    return errors
