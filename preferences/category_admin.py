"""The admin of categories: what people can say yes or no to, and how its messages go out."""

from collections.abc import Sequence
from typing import ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin import BaseModelAdmin
from preferences.category_form import CategoryForm
from preferences.choices import Channel, Purpose
from preferences.digesting.rules import DIGEST_COLUMNS, digest_rule
from preferences.digesting.wording import how_often
from preferences.models import Category


@admin.register(Category)
class CategoryAdmin(BaseModelAdmin):
    """Not deleted: notifications on the record belong to it."""

    form = CategoryForm
    list_display = ("name", "known_as", "to", "default_priority", "kind", "gathered", "capped", "required", "counted")
    list_filter = ("purpose", "digest_mode")
    search_fields = ("slug", "name")
    fieldsets = (
        (None, {"fields": ("name", "slug", "description", "channels", ("default_priority", "purpose"), "is_required")}),
        ("Order of the channels", {"fields": (("strategy", "fallback_seconds"), "escalation")}),
        (
            "How often, and when",
            {"fields": (("cap_per_day", "cap_per_week"), "dedup_seconds", "waits_for_quiet_hours")},
        ),
        (
            "Digest",
            {
                "description": "Messages to one person that are gathered and leave together, as one. Critical messages"
                " and categories that cannot be opted out of are never gathered.",
                "fields": (
                    "digest_mode",
                    ("digest_window_seconds", "digest_cap_seconds"),
                    ("digest_at", "digest_weekdays"),
                    "digest_first_at_once",
                    "digest_template",
                    "digest_channels",
                ),
            },
        ),
        ("Counting", {"fields": ("track_clicks", "track_opens")}),
    )
    prepopulated_fields: ClassVar = {"slug": ["name"]}

    @admin.display(description="Channels")
    def to(self, category: Category) -> str:
        return ", ".join(str(Channel(channel).label) for channel in category.channels)

    @admin.display(description="Purpose", ordering="purpose")
    def kind(self, category: Category) -> str:
        return str(Purpose(category.purpose).label).partition(":")[0]

    @admin.display(description="Slug", ordering="slug")
    def known_as(self, category: Category) -> SafeString:
        return format_html('<span class="cr-long">{}</span>', category.slug)

    @admin.display(description="To one person")
    def capped(self, category: Category) -> str:
        caps = ((category.cap_per_day, "a day"), (category.cap_per_week, "a week"))
        return ", ".join(f"{cap} {span}" for cap, span in caps if cap is not None) or "no cap"

    @admin.display(description="Digest", ordering="digest_mode")
    def gathered(self, category: Category) -> str:
        return how_often(digest_rule([getattr(category, name) for name in DIGEST_COLUMNS]))

    @admin.display(description="Opting out")
    def required(self, category: Category) -> str:
        return "not possible" if category.is_required else "possible"

    @admin.display(description="Counts")
    def counted(self, category: Category) -> str:
        wanted = {"clicks": category.track_clicks, "opens": category.track_opens}
        return " and ".join(name for name, is_on in wanted.items() if is_on) or "neither clicks nor opens"

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> Sequence[str]:
        return () if obj is None else ("slug",)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Category | None = None) -> dict[str, Sequence[str]]:
        return dict(self.prepopulated_fields) if obj is None else {}

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
