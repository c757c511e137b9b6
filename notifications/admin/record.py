"""What the pages of the record share: read-only, newest first, recipients looked up by the page."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from core.admin import BigTableAdmin, ReadOnlyMixin
from notifications.admin import looks
from notifications.admin.look_back import LookBackChangeList
from preferences.models import Recipient


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


class RecordAdmin(ReadOnlyMixin, BigTableAdmin):
    """Rows of the partitioned record. They name recipients and categories without a constraint, so a page looks those
    up by itself instead of joining: a row whose recipient was erased stays visible."""

    filter_window = timedelta(days=7)
    #: A row of these costs the web process a millisecond to write, and the rest of the page 20.
    list_per_page = 25
    detail_template: ClassVar[str] = ""
    #: Recipients of the page at hand, by id, attached to each row as `person`.
    search_exact = ("id",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LookBackChangeList]:
        return LookBackChangeList

    def prepare_page(self, rows: Sequence[Any]) -> None:
        people = Recipient.objects.only("id", "external_id", "name").in_bulk({row.recipient_id for row in rows})
        for row in rows:
            row.person = people.get(row.recipient_id)

    @admin.display(description="Recipient")
    def to(self, row: Any) -> str:
        if row.person is None:
            return looks.badge("erased", "grey")
        url = reverse("admin:preferences_recipient_change", args=[row.recipient_id])
        return format_html('<a class="cr-link" href="{}">{}</a>', url, row.person.external_id)

    @admin.display(description="When")
    def when(self, row: Any) -> str:
        return looks.moment(row.created_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": f"{self.opts.verbose_name.capitalize()} {row.pk}",
            "may_act": self.has_act_permission(request, row),
            **self.detail(request, row),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.detail_template, context)

    def detail(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the page of one row shows."""
        raise NotImplementedError
