"""What is asked before a step is taken."""

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget


class SendBackForm(forms.Form):
    """Why it goes back to its author."""

    note = forms.CharField(
        label="What is to be changed",
        max_length=2000,
        strip=True,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        error_messages={"required": "Say what is to be changed, so that its author knows what to do."},
    )


class LaunchForm(forms.Form):
    """The number of people, typed, where it goes to many; nothing where it does not."""

    size = forms.CharField(
        label="The number of people",
        required=False,
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, *args: object, needed: int | None) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # Django's own arguments, handed on
        self.needed = needed
        if needed is None:
            del self.fields["size"]

    def clean_size(self) -> int | None:
        """As a number; thousands may be set apart as people do."""
        typed = "".join(sign for sign in self.cleaned_data["size"] if sign not in " ,.'\u2019\u00a0\u202f_")
        if not typed.isdecimal() or int(typed) != self.needed:
            raise forms.ValidationError(f"Type {self.needed:,}, the number of people it goes to.")
        return self.needed
