"""Checks of the names a wording uses: what it takes from the data, and the link to unsubscribe."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from notifications.choices import Channel
from notifications.services.rendering import missing_lines
from notifications.services.template_checks.base import Fault, Inquiry, Wording
from notifications.services.template_variables import SAMPLE_UNSUBSCRIBE_URL, UNSUBSCRIBE_URL
from preferences.choices import Purpose

NO_UNSUBSCRIBE = "no_unsubscribe"
#: Whatever the host keeps about a person; nobody can say what it might be.
_ATTRIBUTES = "recipient.attributes."


def unknown_variables(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    """Each name once per field, where it stands first."""
    for name, source in wording.sources.items():
        told: set[str] = set()
        for path, line in missing_lines(source, inquiry.context):
            if path in told or path.startswith(_ATTRIBUTES):
                continue
            told.add(path)
            close = get_close_matches(path, _paths(inquiry.context), n=1, cutoff=0.75)
            hint = f"Did you mean {close[0]}?" if close else "Declare it among the template's variables."
            yield Fault(name, "unknown_variable", f"There is no variable {path[:100]}. {hint}", line)


def missing_unsubscribe(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    """What people are shown must hold the link: the HTML where there is any, else the text."""
    if inquiry.purpose != Purpose.MARKETING or wording.channel != Channel.EMAIL:
        return
    name = "html" if "html" in wording.sources else "text"
    if name in wording.rendered and SAMPLE_UNSUBSCRIBE_URL not in wording.rendered[name]:
        said = f"Marketing email needs a link to unsubscribe: put {{{{ {UNSUBSCRIBE_URL} }}}} into it."
        yield Fault(name, NO_UNSUBSCRIBE, said)


def unsubscribe_in_html_alone(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    if inquiry.purpose != Purpose.MARKETING or not {"html", "text"}.issubset(wording.rendered):
        return
    if SAMPLE_UNSUBSCRIBE_URL not in wording.rendered["text"]:
        yield Fault("text", NO_UNSUBSCRIBE, "Who reads it as plain text finds no link to unsubscribe.")


def _paths(data: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Every path of names in the data."""
    for name, value in data.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{name}.")
