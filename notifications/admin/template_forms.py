"""The draft of a template as a form: one input per locale, channel and field, errors beside their field."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from notifications.admin import looks
from notifications.admin.variable_lines import VariablesField
from notifications.choices import Channel
from notifications.errors import FieldError
from notifications.models import MessageTemplate
from notifications.services.rendering import FIELDS, FieldSpec, Kind
from notifications.services.rendering.validation import LOCALE, MAX_LOCALES

#: `content[locale][channel][field]`
Content = Mapping[str, Mapping[str, Mapping[str, str]]]

_LABELS = {"html": "HTML"}
_LONG = {Kind.HTML: 12, Kind.TEXT: 4}
_MERGE_FIELD = re.compile(r"{{-?\s*([A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*)")
_SAMPLE_BYTES = 32 * 1024


def is_locale(value: str) -> bool:
    return LOCALE.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class ChannelInputs:
    channel: str
    label: str
    icon: str
    fields: list[forms.BoundField]


class DraftForm(forms.Form):
    """A wording in `locales`. A channel whose fields are all empty is left out of the content."""

    def __init__(self, data: Any = None, *, content: Content, locales: list[str]) -> None:
        super().__init__(data)
        self.locales = locales[:MAX_LOCALES]
        for locale in self.locales:
            for channel, specs in FIELDS.items():
                for name, spec in specs.items():
                    said = content.get(locale, {}).get(channel, {}).get(name, "")
                    self.fields[_key(locale, channel, name)] = _input(name, spec, said)

    def groups(self) -> Iterator[tuple[str, list[ChannelInputs]]]:
        """The inputs by locale and channel, as the page lays them out."""
        for locale in self.locales:
            yield (
                locale,
                [
                    ChannelInputs(
                        channel,
                        str(Channel(channel).label),
                        looks.ICONS[channel],
                        [self[_key(locale, channel, name)] for name in specs],
                    )
                    for channel, specs in FIELDS.items()
                ],
            )

    def content(self) -> dict[str, dict[str, dict[str, str]]]:
        """What was typed, without what was left empty."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for locale in self.locales:
            channels = {
                channel: fields
                for channel, specs in FIELDS.items()
                if (fields := {n: v for n in specs if (v := self.cleaned_data.get(_key(locale, channel, n), ""))})
            }
            if channels:
                found[locale] = channels
        return found

    def show(self, errors: list[FieldError]) -> None:
        """Put each fault beside the input it is about; `pointer` is /content/<locale>/<channel>/<field>."""
        for error in errors:
            key = _key(*error.pointer.removeprefix("/content/").split("/")) if error.pointer.count("/") == 4 else None
            where = error.pointer.removeprefix("/content").strip("/").replace("/", ", ")
            message = error.message if key in self.fields else f"{where}: {error.message}" if where else error.message
            self.add_error(key if key in self.fields else None, ValidationError(message, code=error.code))


def _key(*parts: str) -> str:
    return "--".join(parts)


def _input(name: str, spec: FieldSpec, said: str) -> forms.CharField:
    rows = _LONG.get(spec.kind)
    attrs: dict[str, Any] = {"spellcheck": "true"} if rows is None else {"rows": rows, "class": "cr-code"}
    widget = UnfoldAdminTextInputWidget(attrs=attrs) if rows is None else UnfoldAdminTextareaWidget(attrs=attrs)
    return forms.CharField(
        label=_LABELS.get(name, name.replace("_", " ").capitalize()) + (" *" if spec.required else ""),
        required=False,
        max_length=spec.max_source,
        strip=False,
        initial=said,
        widget=widget,
    )


class SampleForm(forms.Form):
    """The data a preview is rendered with."""

    sample = forms.CharField(
        required=False,
        max_length=_SAMPLE_BYTES,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "class": "cr-code"}),
    )

    def clean_sample(self) -> dict[str, Any]:
        try:
            value = json.loads(self.cleaned_data["sample"] or "{}")
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValidationError('Sample data is an object, for example {"order": "A-1001"}.')
        return value


def sample_data(content: Content) -> dict[str, Any]:
    """Made-up data with a value for every merge field that stands in the content."""
    sample: dict[str, Any] = {}
    for channels in content.values():
        for fields in channels.values():
            for source in fields.values():
                for path in _MERGE_FIELD.findall(source):
                    _put(sample, path.split("."))
    return sample


def _put(sample: dict[str, Any], path: list[str]) -> None:
    *parents, name = path
    for parent in parents:
        step = sample.setdefault(parent, {})
        if not isinstance(step, dict):
            return
        sample = step
    sample.setdefault(name, f"[{name}]")


class MessageTemplateForm(forms.ModelForm):
    """What stands around the wording."""

    variables = VariablesField(
        help_text="What the wording may take from a notification's data: a name and a sample on each line, such as"
        " order.id = A-1001. recipient.name and unsubscribe_url are always there."
    )

    class Meta:
        model = MessageTemplate
        fields: ClassVar = ["name", "slug", "description", "purpose", "default_locale", "variables"]
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def clean_default_locale(self) -> str:
        locale: str = self.cleaned_data["default_locale"].strip()
        if not is_locale(locale):
            raise ValidationError("A locale is a BCP 47 tag such as en or pt-BR.")
        published = self.instance.published if self.instance.pk else None
        if published is not None and locale not in published.content:
            raise ValidationError("The published version has no wording in this locale. Publish one that has first.")
        return locale
