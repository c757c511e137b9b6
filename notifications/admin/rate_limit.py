"""Rate limits: what may be sent to whom how fast, and how much of each is used at this moment."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from core.admin import BaseModelAdmin
from notifications.admin import looks
from notifications.models import ApiKey, RateLimit
from notifications.models.limits import CAP_SPANS, LimitScope, in_words
from notifications.services.limits import Limit
from notifications.services.rate_limiter import RateLimiter
from preferences.models import Category

#: Targets of a kind that the field suggests. Others can be typed.
SUGGESTED = 200
#: A share of the limit from which on its figure is amber.
CLOSE = 0.8
#: What an empty target means.
_ALL = {
    LimitScope.RECIPIENT: "all categories together",
    LimitScope.API_KEY: "every other key",
    LimitScope.GLOBAL: "together",
}
#: Per scope: its name and its colour.
_KINDS = {
    LimitScope.RECIPIENT: ("To one person", "sand"),
    LimitScope.CAP: ("Marketing cap", "sand"),
    LimitScope.API_KEY: ("API key", "teal"),
    LimitScope.PROVIDER: ("Provider", "blue"),
    LimitScope.GLOBAL: ("All providers", "grey"),
}


class TargetInput(UnfoldAdminTextInputWidget):
    """A text with suggestions: providers, keys by prefix, categories by slug."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        shown = super().render(name, value, {**(attrs or {}), "list": f"{name}-known"}, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', _known())
        return format_html('{}<datalist id="{}-known">{}</datalist>', shown, name, options)


def _known() -> Iterator[tuple[str, str]]:
    for name in CAP_SPANS:
        yield name, "marketing cap"
    for name in sorted(settings.PROVIDERS):
        yield name, "provider"
    for slug in Category.objects.values_list("slug", flat=True)[:SUGGESTED]:
        yield slug, "category"
    for prefix, name in ApiKey.objects.filter(revoked_at=None).values_list("prefix", "name")[:SUGGESTED]:
        yield prefix, f"API key {name}"


class RateLimitForm(forms.ModelForm):
    """At most so many in any so many seconds, of what."""

    class Meta:
        model = RateLimit
        fields: ClassVar = ["scope", "target", "max", "per_seconds", "is_on", "note"]
        labels: ClassVar = {
            "scope": "What is counted",
            "target": "Of which",
            "max": "At most",
            "per_seconds": "In any … seconds",
            "is_on": "On",
        }
        help_texts: ClassVar = {
            "target": "A provider's name, an API key's prefix or a category's slug; for a marketing cap the word day or"
            " week. Leave it empty to count, for people, all categories together; for API keys, each key that has no"
            " limit of its own; for all providers always.",
            "max": "No sliding window ever holds more. Of a provider's limit one in ten is left to critical messages.",
            "per_seconds": "1 is a second, 60 a minute, 3600 an hour, 86400 a day; a marketing cap goes by its day or"
            " week, whatever stands here. A change of this counts anew; a change of the number does not.",
            "is_on": "Switched off, it limits nothing. Changes are in force everywhere within two seconds.",
            "note": "Why this number: a contract, a complaint, a page of the provider's documentation.",
        }
        widgets: ClassVar = {
            "target": TargetInput,
            "max": UnfoldAdminIntegerFieldWidget(attrs={"min": 1}),
            "per_seconds": UnfoldAdminIntegerFieldWidget(attrs={"min": 1}),
        }

    def clean_target(self) -> str:
        return str(self.cleaned_data["target"]).strip()


@admin.register(RateLimit)
class RateLimitAdmin(BaseModelAdmin):
    """Who changed which limit and when is in the history of each."""

    form = RateLimitForm
    list_display = ("of", "rule", "pressure", "state", "why")
    list_display_links = ("of",)
    list_filter = ("scope", "is_on")
    search_fields = ("target", "note")
    readonly_fields = ("pressure", "changed")
    fieldsets = (
        (None, {"fields": ("scope", "target", "max", "per_seconds", "is_on", "note")}),
        ("At this moment", {"fields": ("pressure", "changed")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: RateLimit | None = None) -> Any:
        return self.fieldsets if obj is not None else self.fieldsets[:1]

    def prepare_page(self, rows: Sequence[Any]) -> None:
        super().prepare_page(rows)
        used = _used(rows)
        for row in rows:
            row.used = used

    def save_model(self, request: HttpRequest, obj: RateLimit, form: forms.ModelForm, change: bool) -> None:
        obj.updated_at = Now()  # by the database's clock
        super().save_model(request, obj, form, change)

    @admin.display(description="Limit", ordering="scope")
    def of(self, row: RateLimit) -> SafeString:
        title, tone = _KINDS[LimitScope(row.scope)]
        target = row.target or _ALL.get(LimitScope(row.scope), "")
        return format_html("{} {}", looks.badge(title, tone), looks.long(target))

    @admin.display(description="Rule", ordering="max")
    def rule(self, row: RateLimit) -> str:
        return in_words(row.max, row.per_seconds)

    @admin.display(description="Used now")
    def pressure(self, row: Any) -> SafeString | str:
        """Of the present window; people and keys without a row of their own have a window each."""
        if not row.is_on:
            return "—"
        if not _counts_one(row):
            return "each by itself"
        used = row.used if hasattr(row, "used") else _used([row])
        if used is None:
            return looks.badge("unknown: Redis is away", "sand")
        count = used.get((row.scope, row.target), 0)
        tone = "red" if count >= row.max else "amber" if count >= CLOSE * row.max else "green"
        return looks.badge(f"{count:,} of {row.max:,}", tone)

    @admin.display(description="State", ordering="is_on")
    def state(self, row: RateLimit) -> SafeString:
        return looks.badge("on", "green") if row.is_on else looks.badge("off", "grey")

    @admin.display(description="Note")
    def why(self, row: RateLimit) -> SafeString | str:
        return format_html('<span class="cr-note">{}</span>', row.note) if row.note else "—"

    @admin.display(description="Last changed")
    def changed(self, row: RateLimit) -> str:
        return looks.moment(row.updated_at)


def _counts_one(row: RateLimit) -> bool:
    return row.scope in {LimitScope.PROVIDER, LimitScope.GLOBAL} or (
        row.scope == LimitScope.API_KEY and row.target != ""
    )


def _used(rows: Sequence[RateLimit]) -> dict[tuple[str, str], int] | None:
    """What the windows of these rows hold, by one call of Redis."""
    asked = {(row.scope, row.target): Limit(row.max, row.per_seconds) for row in rows if row.is_on and _counts_one(row)}
    return RateLimiter().used(asked)
