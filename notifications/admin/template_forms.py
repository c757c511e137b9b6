"""A template's forms: its draft with one input per locale, channel and field, what a preview is filled in with, whom a
test goes to."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from notifications.admin import looks
from notifications.admin.variable_lines import VariablesField
from notifications.choices import Channel
from notifications.errors import FieldError
from notifications.models import MessageTemplate
from notifications.services.rendering import FIELDS, FieldSpec, Kind
from notifications.services.rendering.validation import LOCALE, MAX_LOCALES
from notifications.services.template_previews import reader
from notifications.services.template_variables import LINKS, RECIPIENT
from notifications.services.test_sends import MAX_PEOPLE
from preferences.models import Category

#: `content[locale][channel][field]`
Content = Mapping[str, Mapping[str, Mapping[str, str]]]

_LABELS = {"html": "HTML"}
_LONG = {Kind.HTML: 12, Kind.TEXT: 4}
_MERGE_FIELD = re.compile(r"{{-?\s*([A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*)")
#: Categories offered for a test.
MAX_CATEGORIES = 500


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

    declared = VariablesField(label="Variables and samples", help_text="A name and a sample on each line")
    note = forms.CharField(
        label="What has changed",
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "For the history: shorter subject, new link"}),
    )

    def __init__(
        self, data: Any = None, *, content: Content, locales: list[str], variables: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data, initial={"declared": variables or {}})
        self.locales = locales[:MAX_LOCALES]
        #: What is wrong with a language that was to be added.
        self.locale_error = ""
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

    def variables(self) -> dict[str, Any] | None:
        """What was declared; None when nothing sound was said of it."""
        return self.cleaned_data.get("declared") if "declared" in self.data else None

    def faults(self) -> list[dict[str, Any]]:
        """What the inputs themselves complain of, as findings for the page."""
        return [
            {"key": key, "severity": "error", "blocks": True, "line": None, "message": str(message), "where": ""}
            for key, messages in self.errors.items()
            for message in messages
        ]

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


class ReaderForm(forms.Form):
    """Who a preview is for: somebody made up who reads a language, or a recipient."""

    preview_locale = forms.CharField(
        label="Their language",
        required=False,
        max_length=35,
        widget=UnfoldAdminTextInputWidget(attrs={"list": "languages", "autocomplete": "off"}),
    )
    preview_recipient = forms.CharField(
        label="As this recipient",
        required=False,
        max_length=128,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Their id, or nobody", "autocomplete": "off"}),
    )

    def __init__(self, data: Any = None, *, locales: Iterable[str] = (), may_see: bool) -> None:
        """Whoever may not see recipients is not asked for one."""
        super().__init__(data)
        self.languages = list(locales)
        if not may_see:
            del self.fields["preview_recipient"]

    def clean_preview_locale(self) -> str:
        locale: str = self.cleaned_data["preview_locale"].strip()
        if locale and not is_locale(locale):
            raise ValidationError("A language is a tag such as de or pt-BR.")
        return locale

    def clean_preview_recipient(self) -> str:
        given: str = self.cleaned_data["preview_recipient"].strip()
        self._reader = reader(given) if given else None
        if given and self._reader is None:
            raise ValidationError("There is no recipient of this id.")
        return given

    def reader(self) -> dict[str, Any] | None:
        return getattr(self, "_reader", None)

    def locale(self, default: str) -> str:
        """The reader's own language, the one that was asked for, or the default."""
        person = self.reader()
        chosen: str = (person["locale"] if person else "") or self.cleaned_data.get("preview_locale", "")
        return chosen or default


class SampleForm(ReaderForm):
    """What a version's preview is filled in with."""

    sample = VariablesField(label="Sample data")

    def __init__(self, data: Any = None, *, may_see: bool) -> None:
        super().__init__(data, may_see=may_see)
        del self.fields["preview_locale"]  # every language of the version is shown


class TestForm(forms.Form):
    """Whom a test goes to, as what, and on which channels."""

    recipients = forms.CharField(
        label="To these recipients",
        max_length=MAX_PEOPLE * 130,
        help_text=f"Their ids, at most {MAX_PEOPLE}, with commas or on lines of their own",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )
    category = forms.ChoiceField(
        help_text="Whoever has opted out of it gets no test either", widget=UnfoldAdminSelectWidget
    )
    channels = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, data: Any = None, *, channels: Iterable[str]) -> None:
        known = [channel for channel in FIELDS if channel in channels]
        super().__init__(data, initial={"channels": known})
        named = Category.objects.order_by("name").values_list("slug", "name")[:MAX_CATEGORIES]
        self.fields["category"].choices = list(named)  # type: ignore[attr-defined]  # a ChoiceField
        labels = [(channel, str(Channel(channel).label)) for channel in known]
        self.fields["channels"].choices = labels  # type: ignore[attr-defined]  # likewise

    def clean_recipients(self) -> list[str]:
        named = [part.strip() for part in re.split(r"[,\n]", self.cleaned_data["recipients"])]
        return [name for name in named if name]

    def clean_channels(self) -> list[str] | None:
        return self.cleaned_data["channels"] or None

    def show(self, errors: list[FieldError]) -> None:
        """Put each fault beside the input it is about."""
        for error in errors:
            name = error.pointer.split("/")[1]
            self.add_error(name if name in self.fields else None, ValidationError(error.message, code=error.code))


def sample_data(content: Content) -> dict[str, Any]:
    """Made-up data with a value for every merge field that stands in the content; the recipient is no part of it."""
    sample: dict[str, Any] = {}
    for channels in content.values():
        for fields in channels.values():
            for source in fields.values():
                for path in _MERGE_FIELD.findall(source):
                    if path.split(".")[0] not in (RECIPIENT, *LINKS):
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
        " order.id = A-1001. recipient.name, unsubscribe_url and preferences_url are always there."
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
