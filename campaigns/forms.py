"""The form of a draft. What is wrong stands beside the field it is about."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from analytics.engagement.rewriting import UTM
from campaigns.models import Audience, Campaign
from campaigns.services import MAX_LIST, AudienceService
from core.forms import ObjectField
from notifications.choices import Channel
from notifications.drafts import MAX_JSON_BYTES
from notifications.models import MessageTemplate
from notifications.services.templates import catalogue

#: Characters of the pasted list that the browser takes: an id of 20 for each of MAX_LIST.
MAX_PASTED = 20 * MAX_LIST
#: Unknown ids that the error names; the rest are counted.
SHOWN = 10


_PEOPLE = ["segment", "saved_list", "exclude_segments", "exclude_lists"]
_UTM = [f"utm_{name}" for name in UTM]


class CampaignForm(forms.ModelForm):
    """A draft: what, to whom, on which channels."""

    channels = forms.MultipleChoiceField(
        choices=Channel.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None ticked: the channels of the category, as far as the template has words for them.",
    )
    recipients = forms.CharField(
        required=False,
        max_length=MAX_PASTED,
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 8, "placeholder": "user-1\nuser-2\nuser-3", "spellcheck": "false"}
        ),
        label="Recipients",
        help_text=f"One external id per line, {MAX_LIST:,} at most. Blank lines and repeated ids don't matter.",
    )
    leave_out_unknown = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="Leave out ids that nobody has"
    )

    data = ObjectField(  # type: ignore[assignment]  # a field, which Django takes away from the class
        max_bytes=MAX_JSON_BYTES,
        required=False,
        initial=dict,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=(
            'Values for the template, the same for everyone, as JSON: {"percent": 20} turns {{ percent }} into 20. '
            "{{ recipient.name }} and the like need nothing here."
        ),
    )

    class Meta:
        model = Campaign
        fields: ClassVar = ["name", "template", "category", "channels", "priority", "audience", *_PEOPLE, "data", *_UTM]
        widgets: ClassVar = {
            "audience": UnfoldAdminRadioSelectWidget(choices=Audience.choices),
        }
        help_texts: ClassVar = {
            "template": "Only templates with a published version can be sent.",
            "priority": "Empty: the category's own.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.members: tuple[UUID, ...] = ()
        if "template" not in self.fields:  # whoever may only look gets the values as text
            return
        templates: Any = self.fields["template"]
        templates.queryset = MessageTemplate.objects.filter(published__isnull=False)
        if self.instance.pk and self.instance.audience == Audience.LIST:
            self.fields["recipients"].initial = AudienceService().as_text(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._check_channels(cleaned)
        self._check_audience(cleaned)
        if cleaned.get("audience") == Audience.LIST and "recipients" in cleaned:
            self._read_list(cleaned["recipients"], leave_out=cleaned.get("leave_out_unknown", False))
        return cleaned

    def _check_audience(self, cleaned: dict[str, Any]) -> None:
        """What it goes to is chosen; what was chosen before and is not asked for is forgotten."""
        for field in ("segment", "saved_list"):
            if cleaned.get("audience") != field:
                cleaned[field] = None
            elif field in cleaned and cleaned[field] is None:
                self.add_error(field, "Choose which.")

    def _check_channels(self, cleaned: dict[str, Any]) -> None:
        """The template must have words for what is asked."""
        template, category, channels = (cleaned.get(name) for name in ("template", "category", "channels"))
        published = catalogue.published(template.slug) if template else None
        if published is None or category is None:
            return
        labels = dict(Channel.choices)
        silent = [labels[c] for c in channels or () if c not in published.channels]
        if silent:
            self.add_error("channels", f"“{template}” has no words for {' and '.join(silent)}.")
        elif not channels and not published.channels.intersection(category.channels):
            self.add_error("template", f"It has no words for any channel of “{category}”.")

    def _read_list(self, text: str, *, leave_out: bool) -> None:
        try:
            found = AudienceService().read(text)
        except ValueError as error:
            self.add_error("recipients", str(error))
            return
        self.members = found.known
        if found.unknown and not leave_out:
            named = ", ".join(found.unknown[:SHOWN])
            more = f" and {len(found.unknown) - SHOWN:,} more" if len(found.unknown) > SHOWN else ""
            self.add_error(
                "recipients",
                f"Nobody has {'this id' if len(found.unknown) == 1 else 'these ids'}: {named}{more}. "
                "Take them out, or tick “Leave out ids that nobody has”.",
            )
        elif not found.known:
            self.add_error("recipients", "Paste at least one id of somebody who exists.")
