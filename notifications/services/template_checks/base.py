"""What a check of a template is given, and what it answers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from notifications.errors import FieldError, RenderError
from notifications.services.rendering import FIELDS, FieldSpec, compile_field
from notifications.services.rendering.inline import escape_pointer
from notifications.services.rendering.styles import inline_styles


class Severity(Enum):
    """An error keeps a version from being published; a warning is worth a look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding(FieldError):
    """A field error that knows how bad it is, and its line in the field, from 1, where there is one."""

    severity: Severity
    line: int | None = None


class Fault(NamedTuple):
    """What a check finds: the field ("" for the channel as a whole), a code, a sentence and the line."""

    field: str
    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """What one locale says on one channel. `sources` holds the fields that are templates, without the empty ones;
    `rendered` what they become with the sample data, as far as they render."""

    locale: str
    channel: str
    sources: Mapping[str, str]
    rendered: Mapping[str, str]

    @property
    def pointer(self) -> str:
        return f"/content/{escape_pointer(self.locale)}/{self.channel}"

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        return FIELDS[self.channel]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked of a content. `context` is the sample data with everything a wording may name."""

    purpose: str
    default_locale: str
    context: Mapping[str, object]
    wordings: tuple[Wording, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One look at one wording; `run` finds its faults."""

    severity: Severity
    run: Callable[[Inquiry, Wording], Iterator[Fault]]


def wordings(content: object, context: Mapping[str, object]) -> Iterator[Wording]:
    """Every part of a content that has the right shape; what hasn't is told by `validate_template`."""
    for locale, channels in content.items() if isinstance(content, Mapping) else ():
        for channel, fields in channels.items() if isinstance(channels, Mapping) else ():
            if channel not in FIELDS or not isinstance(fields, Mapping):
                continue
            sources: dict[str, str] = {}
            rendered: dict[str, str] = {}
            for name, spec in FIELDS[channel].items():
                source = fields.get(name)
                if not isinstance(source, str) or not source:
                    continue
                try:
                    fill = compile_field(source, spec.html)
                except RenderError:
                    continue
                sources[name] = source
                try:
                    text = fill(context).strip()
                    rendered[name] = inline_styles(text) if spec.html else text
                except RenderError:
                    continue
            yield Wording(str(locale), channel, sources, rendered)
