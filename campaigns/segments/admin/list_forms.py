"""The forms of a saved list: pasting ids, uploading a file, and choosing its columns."""

from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from campaigns.segments.lists import MAX_IDS
from campaigns.segments.matching import IDENTIFIERS
from campaigns.segments.models import RecipientList
from campaigns.segments.upload_files import DELIMITERS, Look, Mapping, letter
from campaigns.segments.uploads import MAX_BYTES


class RecipientListForm(forms.ModelForm):
    class Meta:
        model = RecipientList
        fields: ClassVar = ["name", "description"]


class PeopleForm(forms.Form):
    """Ids to be added or taken off."""

    what = forms.ChoiceField(
        choices=[("add", "Put them on the list"), ("remove", "Take them off the list")],
        initial="add",
        widget=UnfoldAdminRadioSelectWidget(choices=[("add", "Put them on the list"), ("remove", "Take them off")]),
        label="What to do",
    )
    ids = forms.CharField(
        max_length=100 * MAX_IDS,
        label="External ids",
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 10, "placeholder": "user-1\nuser-2\nuser-3", "spellcheck": "false"}
        ),
        help_text=f"One per line, {MAX_IDS:,} at most. Upload a file for more.",
    )

    def clean_ids(self) -> list[str]:
        ids = list(dict.fromkeys(line.strip() for line in self.cleaned_data["ids"].splitlines() if line.strip()))
        if len(ids) > MAX_IDS:
            raise forms.ValidationError(f"There are {len(ids):,} ids; {MAX_IDS:,} is the most. Upload a file instead.")
        return ids


class UploadForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        max_length=200,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        help_text=f"One person per row, {MAX_BYTES // 1024**2} MB at most. In Excel: Save as, CSV UTF-8.",
    )


class MappingForm(forms.Form):
    """How the file is read. What was guessed is chosen already."""

    column = forms.TypedChoiceField(coerce=int, label="Which column says who is meant", widget=UnfoldAdminSelectWidget)
    identifier = forms.ChoiceField(
        choices=list(IDENTIFIERS.items()), label="What it holds", widget=UnfoldAdminSelectWidget
    )
    has_header = forms.BooleanField(required=False, label="The first row is a heading", widget=UnfoldBooleanWidget)
    delimiter = forms.CharField(widget=forms.HiddenInput, strip=False)

    def __init__(self, *args: Any, look: Look, **kwargs: Any) -> None:
        guess = {name: getattr(look.guess, name) for name in ("column", "identifier", "has_header", "delimiter")}
        super().__init__(*args, **{"initial": guess, **kwargs})
        column: Any = self.fields["column"]
        column.choices = [(position, _named(position, look)) for position in range(look.width)]

    def clean_delimiter(self) -> str:
        mark: str = self.cleaned_data["delimiter"]
        if mark not in DELIMITERS:
            raise forms.ValidationError("Choose what stands between the columns.")
        return mark

    def mapping(self) -> Mapping:
        return Mapping(**self.cleaned_data)


def _named(position: int, look: Look) -> str:
    first = look.rows[0][position] if position < len(look.rows[0]) else ""
    return f"{letter(position)}: {first[:60]}" if first else letter(position)
