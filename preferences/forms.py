"""Forms of the admin pages: a recipient with their wishes, and an address to be suppressed or lifted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from preferences.choices import Channel, SuppressionReason
from preferences.digesting.choosing import may_be_gathered, offered
from preferences.digesting.rules import read_word, spelled
from preferences.digesting.words import said_by
from preferences.errors import ValidationProblem
from preferences.kinds import PART, Part, kinds
from preferences.merging import merged
from preferences.models import Category, Recipient, Suppression
from preferences.services import DigestChange, PreferenceChange, marketing, subjects
from preferences.services.addresses import LIFTABLE, ONLY_START, SUPPRESSIBLE
from preferences.validation import NO_QUIET_HOURS, VALIDATORS

_WORD = [("", "—"), ("on", "Yes"), ("off", "No")]
#: To all marketing people say no, or nothing.
_NO = [word for word in _WORD if word[0] != "on"]
_ENABLED = {"": None, "on": True, "off": False}
_WORD_OF = {enabled: word for word, enabled in _ENABLED.items()}
#: The hidden copy of a category's cell, as a page that is sent back has it.
_SHOWN_CELL = re.compile(r"initial-word-(\d{1,9})-[a-z_]+")
#: And that of the first row, which each page of somebody who is known has. A page without it was made by a version that
#: had no hidden copies: what was changed on it cannot be told.
_EVERY_PAGE = f"initial-word-all-{Channel.EMAIL.value}"
_QUIET = ("quiet_start", "quiet_end", "quiet_never")
_EVERY, _MARKETING = "Every category", "All marketing"


@dataclass(frozen=True, slots=True)
class GridRow:
    """One line of the grid: a category, every category or all marketing (without one), and a cell per channel."""

    title: str
    category: Category | None
    cells: list[forms.BoundField]
    rhythm: forms.BoundField | None


class WordsForm(forms.Form):
    """Categories x channels: yes, no, or no word (then the wider row decides, and without one the answer is yes). All
    marketing stands between every category and the single ones, where there is marketing. A cell that was left as it
    was shown is no change, whatever was said elsewhere meanwhile."""

    channels: ClassVar[list[str]] = [str(label) for label in Channel.labels]

    def __init__(self, data: Any = None, *, recipient: Recipient | None = None, part: Part | None = None) -> None:
        super().__init__(data)
        self.kinds = kinds(part or Part(), "slug")
        self.is_of_another_time = self.is_bound and recipient is not None and _EVERY_PAGE not in self.data
        self.categories = self._sent() if self.is_bound else self.kinds.rows
        self.said = subjects.words_of(recipient.pk) if recipient is not None else {}
        self.rhythms = said_by(recipient) if recipient is not None else {}
        self.stopped = marketing.stopped(recipient.pk) if recipient is not None else set()
        self.has_marketing = self.kinds.has_marketing or bool(self.stopped)
        for channel in Channel if self.has_marketing else ():
            self.fields[self._marketing_name(channel)] = self._marketing_field(channel)
        for category in (None, *self.categories):
            for channel in Channel:
                self.fields[self._name(category, channel)] = self._field(category, channel)
            if category is None or may_be_gathered(category):
                self.fields[self._rhythm_name(category)] = self._rhythm(category)
        for field in self.fields.values():
            field.show_hidden_initial = not self.is_of_another_time

    def _sent(self) -> list[Category]:
        """Those that the page had, whatever stands in its part by now."""
        shown = {match[1] for name in self.data if (match := _SHOWN_CELL.fullmatch(name))}
        return list(Category.objects.filter(pk__in=shown)[:PART])

    @staticmethod
    def _name(category: Category | None, channel: Channel) -> str:
        return f"word-{category.pk if category else 'all'}-{channel.value}"

    def _field(self, category: Category | None, channel: Channel) -> forms.ChoiceField:
        required = category is not None and category.is_required
        words = [word for word in _WORD if not (required and word[0] == "off")]
        said = self.said.get((category.pk if category else None, channel.value))
        return _select(f"{category.name if category else _EVERY}, {channel.label}", words, _WORD_OF[said])

    @staticmethod
    def _marketing_name(channel: Channel) -> str:
        return f"word-marketing-{channel.value}"

    def _marketing_field(self, channel: Channel) -> forms.ChoiceField:
        return _select(f"{_MARKETING}, {channel.label}", _NO, "off" if channel.value in self.stopped else "")

    @staticmethod
    def _rhythm_name(category: Category | None) -> str:
        return f"rhythm-{category.pk if category else 'all'}"

    def _rhythm(self, category: Category | None) -> forms.ChoiceField:
        own = self.rhythms.get(category.pk if category else None)
        label = f"{category.name if category else _EVERY}, how often"
        choices = offered(category, own, self.rhythms.get(None))
        shown = self.data.get(self.add_initial_prefix(self._rhythm_name(category)))
        if shown is not None and shown not in dict(choices):  # the person chose otherwise while this form stood open
            choices.append((shown, "As it was"))
        return _select(label, choices, spelled(own))

    def clean(self) -> dict[str, Any]:
        """What nobody touched is not looked at: it may be what another's change made impossible meanwhile."""
        for name in self.errors.keys() - set(self.changed_data):
            del self.errors[name]
        return self.cleaned_data

    def rows(self) -> Iterator[GridRow]:
        yield self._row(_EVERY, None)
        if self.has_marketing:
            yield GridRow(_MARKETING, None, [self[self._marketing_name(channel)] for channel in Channel], None)
        for category in self.categories:
            yield self._row(category.name, category)

    def _row(self, title: str, category: Category | None) -> GridRow:
        cells = [self[self._name(category, channel)] for channel in Channel]
        name = self._rhythm_name(category)
        return GridRow(title, category, cells, self[name] if name in self.fields else None)

    def rhythm_changes(self) -> list[DigestChange]:
        """The same of how often."""
        return [
            DigestChange.of(category.slug if category else None, read_word(self.cleaned_data[name]))
            for category in (None, *self.categories)
            if (name := self._rhythm_name(category)) in self.changed_data
        ]

    def changes(self) -> list[PreferenceChange]:
        """What differs from what the page showed."""
        to_marketing = [
            PreferenceChange(None, channel.value, _ENABLED[self.cleaned_data[name]], marketing=True)
            for channel in Channel
            if (name := self._marketing_name(channel)) in self.changed_data
        ]
        return to_marketing + [
            PreferenceChange(category.slug if category else None, channel.value, _ENABLED[self.cleaned_data[name]])
            for category in (None, *self.categories)
            for channel in Channel
            if (name := self._name(category, channel)) in self.changed_data
        ]


def _select(label: str, choices: list[tuple[str, str]], initial: str) -> forms.ChoiceField:
    """A cell of the grid, whose label is for who cannot see where it stands."""
    widget = UnfoldAdminSelectWidget(attrs={"aria-label": label})
    return forms.ChoiceField(choices=choices, required=False, label=label, initial=initial, widget=widget)


class MinuteWidget(UnfoldAdminTextInputWidget):
    """The browser's own field for it."""

    input_type = "time"

    def format_value(self, value: Any) -> str | None:
        return f"{value:%H:%M}" if isinstance(value, time) else value


def _minute(label: str, help_text: str) -> forms.TimeField:
    return forms.TimeField(
        label=label, help_text=help_text, required=False, input_formats=["%H:%M", "%H:%M:%S"], widget=MinuteWidget
    )


class RecipientForm(forms.ModelForm):
    """A recipient and their wishes. Checks what the service would refuse, so that it is said beside the field. What
    differs from what the page showed is a change, nothing else: the person may have changed the rest meanwhile."""

    #: Which kinds of messages its grid shows.
    part = Part()

    quiet_start = _minute("Quiet from", "In their time zone; both times or neither")
    quiet_end = _minute("Quiet until", "Before the start: of the next day")

    class Meta:
        model = Recipient
        fields: ClassVar = [
            "external_id",
            "name",
            "email",
            "phone",
            "locale",
            "timezone",
            "quiet_start",
            "quiet_end",
            "quiet_never",
            "attributes",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = None if self.instance._state.adding else self.instance
        self.words = WordsForm(self.data if self.is_bound else None, recipient=known, part=self.part)
        for field in self.fields.values():  # refused once, a page of another time must not have copies the next time
            field.show_hidden_initial = known is not None and not self.words.is_of_another_time

    def given(self) -> dict[str, Any]:
        """What the service is to write: of somebody new everything, else what was changed. Quiet hours are one."""
        cleaned = self.cleaned_data
        wanted = set(cleaned) if self.instance._state.adding else set(self.changed_data)
        found = {name: cleaned[name] for name in wanted - {"external_id", *_QUIET}}
        if "attributes" in found:
            found["attributes"] = found["attributes"] or {}
        if not wanted.isdisjoint(_QUIET):
            start, end, never = (cleaned[name] for name in _QUIET)
            found["quiet_hours"] = NO_QUIET_HOURS if never else None if start is None else (start, end)
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.words.is_of_another_time:
            raise ValidationError("This page is of another time, so nothing was saved. Open it again.", code="old_page")
        for name in self._meta.fields or ():
            if name not in VALIDATORS or name not in cleaned or name in self.errors:
                continue
            try:
                cleaned[name] = VALIDATORS[name](cleaned[name])
                if name == "attributes":
                    self._merge_attributes(cleaned)
            except ValidationProblem as problem:
                self.add_error(name, ValidationError(problem.message, code=problem.code))
        self._check_quiet_hours(cleaned)
        if not self.words.is_valid():
            raise ValidationError("A preference has a value that cannot be taken. A required category cannot be off.")
        return cleaned

    def _merge_attributes(self, cleaned: dict[str, Any]) -> None:
        """A service may have written other entries meanwhile. Holds the recipient until they are saved, so that none is
        lost in between; who was erased is for the service to tell."""
        if self.instance._state.adding or "attributes" not in self.changed_data:
            return
        held = Recipient.objects.select_for_update(no_key=True).filter(pk=self.instance.pk)
        now = held.values_list("attributes", flat=True).first() or {}
        copy = self.fields["attributes"].to_python(self.data.get(self.add_initial_prefix("attributes")))
        shown = copy if isinstance(copy, dict) else {}
        cleaned["attributes"] = VALIDATORS["attributes"](merged(now, shown, cleaned["attributes"]))

    def _check_quiet_hours(self, cleaned: dict[str, Any]) -> None:
        if not {"quiet_start", "quiet_end"} <= cleaned.keys():
            return
        start, end = cleaned["quiet_start"], cleaned["quiet_end"]
        if cleaned.get("quiet_never") and (start or end):
            self.add_error("quiet_never", ValidationError("Clear both times, or untick this.", code="both"))
            return
        for name, value in (("quiet_start", start), ("quiet_end", end)):
            if value is None and (start, end) != (None, None):
                self.add_error(name, ValidationError("Give both times, or neither.", code="required"))
                return
        try:
            VALIDATORS["quiet_hours"](None if start is None else (start, end))
        except ValidationProblem as problem:
            self.add_error("quiet_end", ValidationError(problem.message, code=problem.code))


#: By hand. That somebody replied STOP is for their number to say, as is that they take it back.
_REASONS = [(value, label) for value, label in SuppressionReason.choices if value in LIFTABLE]
_SUPPRESSIBLE = [(channel.value, channel.label) for channel in Channel if channel.value in SUPPRESSIBLE]


class SuppressionForm(forms.ModelForm):
    """An address to be suppressed. It is hashed here and not kept."""

    channel = forms.ChoiceField(choices=_SUPPRESSIBLE, widget=UnfoldAdminSelectWidget)
    address = forms.CharField(
        max_length=254,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="An email address, or a phone number in E.164. Only its hash is kept.",
    )
    reason = forms.ChoiceField(choices=_REASONS, initial=SuppressionReason.MANUAL, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Suppression
        fields: ClassVar = ["channel", "reason"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        channel, address = cleaned.get("channel"), cleaned.get("address")
        if channel and address:
            try:
                cleaned["address"] = VALIDATORS["email" if channel == Channel.EMAIL else "phone"](address)
            except ValidationProblem as problem:
                self.add_error("address", ValidationError(problem.message, code=problem.code))
        return cleaned


class LiftForm(forms.Form):
    """Lifting asks for the address: only its hash is known, and its owners' routes must be told."""

    address = forms.CharField(max_length=254, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}))

    def __init__(self, data: Any = None, *, suppression: Suppression) -> None:
        super().__init__(data)
        self.suppression = suppression

    def clean(self) -> dict[str, Any]:
        if self.suppression.reason not in LIFTABLE:
            raise ValidationError(ONLY_START, code="stop_keyword")
        return super().clean() or self.cleaned_data

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"].strip()
        if Suppression.hash_of(address) != self.suppression.address_hash:
            raise ValidationError("This is not the suppressed address.")
        return address
