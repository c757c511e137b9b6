"""May this content be published? A table of checks, each a function of its own. Pure: no query, no network."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from notifications.errors import FieldError
from notifications.services.rendering import validate_template
from notifications.services.template_checks import links, locales, names, sizes
from notifications.services.template_checks.base import Check, Finding, Inquiry, Severity, wordings
from notifications.services.template_checks.names import NO_UNSUBSCRIBE
from notifications.services.template_variables import sample_context

__all__ = ["CHECKS", "NO_UNSUBSCRIBE", "Finding", "Severity", "findings", "problems", "structure_errors"]

#: Told of one content; whoever mended these sees the rest.
MAX_FINDINGS = 200

CHECKS: tuple[Check, ...] = (
    Check(Severity.ERROR, names.unknown_variables),
    Check(Severity.ERROR, names.missing_unsubscribe),
    Check(Severity.ERROR, links.links),
    Check(Severity.ERROR, sizes.does_not_render),
    Check(Severity.ERROR, sizes.too_long),
    Check(Severity.WARNING, names.unsubscribe_in_html_alone),
    Check(Severity.WARNING, links.insecure_links),
    Check(Severity.WARNING, sizes.dear_sms),
    Check(Severity.WARNING, locales.says_less),
)


def problems(content: object, *, purpose: str, variables: Mapping[str, Any], default_locale: str) -> list[FieldError]:
    """What keeps this content from being published, or from being sent for this purpose; pointers start at `/content`.

    `variables` are the template's: sample values by name.
    """
    found = findings(content, purpose=purpose, variables=variables, default_locale=default_locale)
    return [finding for finding in found if finding.severity is Severity.ERROR]


def findings(content: object, *, purpose: str, variables: Mapping[str, Any], default_locale: str) -> list[Finding]:
    """Everything worth telling about this content, errors first; at most MAX_FINDINGS."""
    context = sample_context(variables)
    inquiry = Inquiry(purpose, default_locale, context, tuple(wordings(content, context)))
    structure = [_finding(error) for error in structure_errors(content, default_locale=default_locale)]
    return [*structure, *islice(_checked(inquiry), max(0, MAX_FINDINGS - len(structure)))]


def structure_errors(content: object, *, default_locale: str) -> list[FieldError]:
    """What keeps this content from being a version at all."""
    errors = validate_template(content)
    if isinstance(content, Mapping) and content and default_locale not in content:
        message = f"The default locale {default_locale} is missing."
        errors.append(FieldError("/content", "default_locale", message))
    return errors


def _checked(inquiry: Inquiry) -> Iterator[Finding]:
    for check in sorted(CHECKS, key=lambda check: check.severity is Severity.WARNING):
        for wording in inquiry.wordings:
            for field, code, message, line in check.run(inquiry, wording):
                pointer = f"{wording.pointer}/{field}" if field else wording.pointer
                yield Finding(pointer, code, message, check.severity, line)


def _finding(error: FieldError) -> Finding:
    """An error of the structure; a mistake of the language names its line at its beginning."""
    start, separator, rest = error.message.partition(": ")
    if separator and start.startswith("line ") and start[5:].isdecimal():
        return Finding(error.pointer, error.code, rest, Severity.ERROR, int(start[5:]))
    return Finding(error.pointer, error.code, error.message, Severity.ERROR)
