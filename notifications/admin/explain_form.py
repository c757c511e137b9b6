"""What a support agent asks: would this person get a message like that? Everything but who and what about may be left
out."""

from typing import Any

from django import forms
from django.db.models import Q
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from core.forms import ObjectField
from notifications.choices import Channel, Priority
from notifications.drafts import MAX_JSON_BYTES, Draft
from notifications.selectors import templates
from preferences.models import Category, Recipient

#: What stands in for a wording that nobody gave: it has something for every channel.
PLAIN = {"title": "A message", "body": "What it says makes no difference here."}
#: Categories and templates offered.
MAX_CHOICES = 500


class ExplainForm(forms.Form):
    """`draft()` of a valid form is what to explain."""

    recipient = forms.CharField(
        label="Who",
        max_length=254,
        help_text="Their id with you, their email address or their phone number, in full",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )
    category = forms.ChoiceField(label="What about", widget=UnfoldAdminSelectWidget)
    template = forms.ChoiceField(
        label="Which wording",
        required=False,
        help_text="Leave it if you only want to know whether messages of this kind get through",
        widget=UnfoldAdminSelectWidget,
    )
    channels = forms.MultipleChoiceField(
        label="By which channels",
        required=False,
        choices=Channel.choices,
        help_text="None ticked: those of the category",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    priority = forms.ChoiceField(
        label="How urgent",
        required=False,
        choices=[("", "As the category says"), *Priority.choices],
        widget=UnfoldAdminSelectWidget,
    )
    title = forms.CharField(label="Its title", required=False, max_length=200, widget=UnfoldAdminTextInputWidget)
    body = forms.CharField(
        label="What it says",
        required=False,
        max_length=5000,
        help_text="Only without a template. The same words twice to the same person are sent once",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    values = ObjectField(
        label="Data for the template, as JSON",
        required=False,
        max_bytes=MAX_JSON_BYTES,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "cr-code", "placeholder": '{"order": "A-1001"}'}),
    )

    def __init__(self, *args: Any, may_search: bool, **kwargs: Any) -> None:
        """`may_search`: by an address too; whoever may not see recipients needs to know their id."""
        super().__init__(*args, **kwargs)
        self.may_search = may_search
        named = [("", "Choose…"), *Category.objects.order_by("name").values_list("slug", "name")[:MAX_CHOICES]]
        worded = templates().filter(published__isnull=False).order_by("name").values_list("slug", "name")[:MAX_CHOICES]
        self.fields["category"].choices = named  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["template"].choices = [("", "A plain message"), *worded]  # type: ignore[attr-defined]  # likewise

    def clean_recipient(self) -> str:
        given: str = self.cleaned_data["recipient"].strip()
        if "\x00" in given:
            raise forms.ValidationError("Nobody is called that.")
        if Recipient.objects.filter(external_id=given).exists() or not self.may_search:
            return given
        phone = "".join(character for character in given if character.isdigit() or character == "+")
        wanted = Q(email__iexact=given) | Q(phone=phone) if phone.startswith("+") else Q(email__iexact=given)
        found = list(Recipient.objects.filter(wanted).values_list("external_id", flat=True)[:6])
        if len(found) > 1:
            raise forms.ValidationError(f"Several people have this address: {', '.join(found[:5])}. Give an id.")
        return found[0] if found else given

    def draft(self) -> Draft:
        given = self.cleaned_data
        words = {"title": given["title"] or PLAIN["title"], "body": given["body"] or PLAIN["body"]}
        return Draft(
            recipient=given["recipient"],
            category=given["category"],
            template=given["template"] or None,
            content=None if given["template"] else words,
            data=given["values"],
            channels=given["channels"] or None,
            priority=given["priority"] or None,
        )
