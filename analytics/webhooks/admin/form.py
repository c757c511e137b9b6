"""The form of an endpoint. What it checks and does is the service's."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
)

from analytics.webhooks import endpoints
from analytics.webhooks.admin import marks
from analytics.webhooks.endpoints import EndpointRefused, Wishes
from analytics.webhooks.models import WebhookEndpoint
from analytics.webhooks.vocabulary import EVENTS
from notifications.models import ApiKey
from notifications.models.api_key import KeyMode

_CHOICES = [(type, f"{marks.event(type)}: {about[0].lower()}{about[1:]}") for type, about in EVENTS.items()]


class _KeyChoice(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.prefix}{', test' if obj.mode == KeyMode.TEST else ''})"


class EndpointForm(forms.ModelForm):
    """Where to, of whose notifications, and what."""

    url = forms.CharField(
        label="URL",
        max_length=2000,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://shop.example/hooks/carillon"}),
        help_text="Gets a POST for each event. Signed with a secret that is shown once, after saving.",
    )
    keys = _KeyChoice(
        queryset=ApiKey.objects.filter(revoked_at=None),
        label="API keys",
        widget=UnfoldAdminSelectMultipleWidget,
        help_text="Whose notifications it is told of. Add the new key of a service before the old one is revoked.",
    )
    events = forms.MultipleChoiceField(
        choices=_CHOICES,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None ticked: all of them.",
    )

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar = ["url", "description", "keys", "events"]

    def wishes(self) -> Wishes:
        data = self.cleaned_data
        return Wishes(data["url"], data["description"], data["events"])

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            if "url" in data and "events" in data:
                endpoints.check(Wishes(data["url"], events=data["events"]))
            if "keys" in data:
                endpoints.check_keys(list(data["keys"]), besides=self.instance)
        except EndpointRefused as refused:
            self.add_error(refused.field.partition("/")[0], ValidationError(str(refused)))
        return data
