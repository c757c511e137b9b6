"""Segments: a list with their last counts, and a page on which conditions are put together."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.timesince import timesince

from campaigns.segments.admin import builder
from campaigns.segments.admin.deletion import DeletedWhenUnused
from campaigns.segments.estimating import Estimate
from campaigns.segments.models import RecipientList, Segment
from campaigns.segments.services import SegmentService, Wishes
from campaigns.segments.wording import sentence
from core.admin import page_action

#: Characters of a definition's sentence in the list.
_SHOWN = 160


class SegmentForm(ModelForm):
    definition = builder.DefinitionField(
        label="Who is in it", required=False, initial=dict, help_text="Without a condition everyone is."
    )

    class Meta:
        model = Segment
        fields: ClassVar = ["name", "description", "definition"]


@admin.register(Segment)
class SegmentAdmin(DeletedWhenUnused):
    """Who is in it is asked anew whenever a campaign starts; the count in the list is what somebody last saw."""

    form = SegmentForm
    list_display = ("name", "who", "size", "counted", "updated_at")
    search_fields = ("name", "description")
    sortable_by = ("name", "updated_at")
    actions_detail = ("remove",)
    fieldsets = ((None, {"fields": ("name", "description", "definition")}),)
    list_before_template = "campaigns/segments/segments_hint.html"

    def prepare_page(self, rows: Sequence[Any]) -> None:
        names = lists_named()
        for row in rows:
            row.said = sentence(row.definition, names)

    @admin.display(description="Who is in it")
    def who(self, segment: Any) -> str:
        said: str = segment.said
        return said if len(said) <= _SHOWN else said[: _SHOWN - 1] + "…"

    @admin.display(description="People")
    def size(self, segment: Segment) -> str:
        return "–" if segment.people is None else str(Estimate(segment.people, segment.is_exact))

    @admin.display(description="Counted")
    def counted(self, segment: Segment) -> str:
        if segment.counted_at is None:
            return "not yet"
        is_fresh = timezone.now() - segment.counted_at < timedelta(minutes=1)
        return "just now" if is_fresh else f"{timesince(segment.counted_at, depth=1)} ago"

    def get_urls(self) -> list[URLPattern]:
        look = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", look, name="campaigns_segment_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What the builder asks while somebody edits; `?segment=` remembers the count, if it still says the
        same. A POST because definitions are long."""
        if not (self.has_view_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        asked = request.GET.get("segment", "")
        return builder.preview(request, segment=int(asked) if asked.isdecimal() and len(asked) < 10 else None)

    def save_model(self, request: HttpRequest, obj: Segment, form: forms.ModelForm, change: bool) -> None:
        if not change:
            obj.created_by_id = request.user.pk
        given = form.cleaned_data
        before = Segment.objects.get(pk=obj.pk) if change else obj
        before.created_by_id = obj.created_by_id
        saved = SegmentService().change(before, Wishes(given["name"], given["description"], given["definition"]))
        obj.pk = saved.pk
        SegmentService().count(saved)

    @page_action(description="Delete…", icon="delete", permission="remove")
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        message = "The people in it stay as they are; only the conditions go. This can't be undone."
        return self.ask_and_delete(request, object_id, SegmentService().delete, message)


def lists_named() -> dict[int, str]:
    """Saved lists by id, for sentences."""
    return dict(RecipientList.objects.values_list("pk", "name"))
