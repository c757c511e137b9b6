"""The form of a draft. What is wrong stands beside the field it is about; what is only missing is told by the check."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from analytics.engagement.rewriting import UTM
from campaigns.forms import fields as own
from campaigns.forms.order import OrderFields
from campaigns.models import Audience, Campaign, Recurrence, Schedule, WinnerMetric
from campaigns.models.variant import LABELS
from campaigns.services import MAX_LIST, AudienceService
from campaigns.services.drafts import Parts, Variant
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
#: Left empty, these are what they are for a new campaign.
_KEEPS_DEFAULT = (
    "schedule", "recurrence_zone", "canary_percent", "canary_minutes", "canary_max_failures", "test_percent",
    "winner_metric", "decide_after_minutes",
)  # fmt: skip


class CampaignForm(forms.ModelForm, own.VariantFields, OrderFields):
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

    send_at = own.moment("Send at (UTC)", "The moment in UTC.")
    local_date = own.date_field("On the day")
    local_time = own.time_field("At", "By the clock on the wall, 24 hours.")
    weekdays = own.weekdays_field()
    month_days = own.DaysOfMonth(
        label="On these days of the month", help_text="For example 1, 15. A day that a month lacks is its last day."
    )
    recurrence_zone = forms.ChoiceField(
        choices=own.zones, initial="UTC", required=False, label="In the time zone", widget=UnfoldAdminSelectWidget
    )
    recurs_until = own.date_field("Until", "The last day on which it may go out. Empty: until it is cancelled.")

    class Meta:
        model = Campaign
        fields: ClassVar = [
            "name", "template", "category", "channels", "priority", "audience", *_PEOPLE, "data", *_UTM,
            "schedule", "send_at", "local_date", "local_time", "recurrence", "recurrence_zone", "recurs_until",
            "throttle_per_minute", "canary_percent", "canary_minutes", "canary_max_failures",
            "test_percent", "winner_metric", "decide_after_minutes",
        ]  # fmt: skip
        widgets: ClassVar = {
            "audience": UnfoldAdminRadioSelectWidget(choices=Audience.choices),
            "schedule": UnfoldAdminRadioSelectWidget(choices=Schedule.choices),
            "winner_metric": UnfoldAdminRadioSelectWidget(choices=WinnerMetric.choices),
        }
        labels: ClassVar = {
            "audience": "Who gets it",
            "saved_list": "List",
            "exclude_segments": "Except people of these segments",
            "exclude_lists": "Except people on these lists",
            "schedule": "When it goes out",
            "recurrence": "How often",
            "throttle_per_minute": "At most, people a minute",
            "canary_percent": "Try it on this many percent first",
            "canary_minutes": "Then wait, minutes",
            "canary_max_failures": "Go on by itself if failures stay under, percent",
            "test_percent": "Try the wordings on, percent of the people",
            "winner_metric": "What decides",
            "decide_after_minutes": "Decide after, minutes",
        }
        help_texts: ClassVar = {
            "template": "Only templates with a published version can be sent.",
            "priority": "Empty: the category's own.",
            "throttle_per_minute": "Empty: as fast as it goes. A shop that may be overrun, or a call centre, is glad of"
            " a limit.",
            "canary_percent": "0: everybody at once. 1 is usual for large sends: if something is wrong with the"
            " message, one in a hundred saw it.",
            "canary_minutes": "So that bounces and complaints have time to arrive.",
            "canary_max_failures": "Otherwise it pauses and says so.",
            "test_percent": "100: everybody gets one of the wordings, and nothing is decided.",
            "decide_after_minutes": "Counted from the moment the last of the test was handed out.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.members: tuple[UUID, ...] = ()
        self.variants: tuple[Variant, ...] = ()
        if "template" not in self.fields:  # whoever may only look gets the values as text
            return
        templates: Any = self.fields["template"]
        templates.queryset = MessageTemplate.objects.filter(published__isnull=False)
        for name in _KEEPS_DEFAULT:
            self.fields[name].required = False
        if self.instance.pk:
            self._show(self.instance)

    @property
    def parts(self) -> Parts:
        """What belongs to the draft besides its row; once the form is found valid."""
        return Parts(self.members, self.variants)

    def _show(self, campaign: Campaign) -> None:
        if campaign.audience == Audience.LIST:
            self.fields["recipients"].initial = AudienceService().as_text(campaign)
        self.show_order(campaign.strategy)
        is_weekly = campaign.recurrence == Recurrence.WEEKLY
        self.fields["weekdays" if is_weekly else "month_days"].initial = (
            [str(day) for day in campaign.recurs_on] if is_weekly else list(campaign.recurs_on)
        )
        for variant in campaign.variants.all():
            self.fields[f"variant_{variant.label.lower()}"].initial = variant.template_id
            self.fields[f"weight_{variant.label.lower()}"].initial = variant.weight

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in _KEEPS_DEFAULT:
            if cleaned.get(name) in (None, "") and name not in self.errors:
                cleaned[name] = self.fields[name].initial
        self.instance.strategy = self.read_order(cleaned)
        self._check_channels(cleaned)
        self._check_audience(cleaned)
        if cleaned.get("audience") == Audience.LIST and "recipients" in cleaned:
            self._read_list(cleaned["recipients"], leave_out=cleaned.get("leave_out_unknown", False))
        self._read_days(cleaned)
        self._read_variants(cleaned)
        return cleaned

    def _read_days(self, cleaned: Mapping[str, Any]) -> None:
        """The days that its recurrence is about."""
        days: dict[str, Any] = {
            Recurrence.WEEKLY: cleaned.get("weekdays"),
            Recurrence.MONTHLY: cleaned.get("month_days"),
        }
        self.instance.recurs_on = [int(day) for day in days.get(cleaned.get("recurrence") or "") or ()]

    def _read_variants(self, cleaned: Mapping[str, Any]) -> None:
        """Those that were chosen; a part without a wording, and a wording without a part, are told beside it."""
        found = []
        for label in map(str.lower, LABELS):
            template, weight = cleaned.get(f"variant_{label}"), cleaned.get(f"weight_{label}")
            if label == "a" and weight and template is None:  # what was chosen above
                template = cleaned.get("template")
            if template and weight:
                found.append(Variant(template, weight))
            elif template and f"weight_{label}" not in self.errors:
                self.add_error(f"weight_{label}", "Give this wording a part of the people.")
            elif weight and f"variant_{label}" not in self.errors:
                self.add_error(f"variant_{label}", "Choose the wording that this part gets.")
        if len({variant.template.pk for variant in found}) < len(found):
            self.add_error("variant_a", "Two wordings are the same template: what is tried must differ.")
        self.variants = tuple(found)

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
        steps = [] if channels else self.instance.named_channels
        silent = [labels[c] for c in channels or steps if c not in published.channels]
        if silent:
            field = "how_steps" if steps else "channels"
            self.add_error(field, f"“{template}” has no words for {' and '.join(silent)}.")
        elif not channels and not steps and not published.channels.intersection(category.channels):
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
