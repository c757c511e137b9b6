"""Message templates: the list, what stands around the wording, and the way to its versions."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern

from notifications.admin import looks, template_looks
from notifications.admin.template_editor import TemplateEditor
from notifications.admin.template_forms import MessageTemplateForm
from notifications.admin.template_history import TemplateHistory
from notifications.models import MessageTemplate, TemplatePublication, TemplateVersion

#: Shown on a template's page, newest first.
MAX_VERSIONS = 50
MAX_PUBLICATIONS = 20


@admin.register(MessageTemplate)
class MessageTemplateAdmin(TemplateEditor, TemplateHistory):
    """Not deleted: notifications on the record were made from it. Versions are only added; publishing picks one."""

    form = MessageTemplateForm
    list_display = ("name", "slug", "state", "purpose", "default_locale", "created_at")
    list_filter = ("purpose",)
    list_select_related = ("published",)
    search_fields = ("slug", "name")
    prepopulated_fields: ClassVar = {"slug": ["name"]}
    change_form_outer_before_template = "admin/notifications/messagetemplate/versions.html"

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: MessageTemplate | None = None) -> Sequence[str]:
        return () if obj is None else ("slug",)

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: MessageTemplate | None = None
    ) -> dict[str, Sequence[str]]:
        return dict(self.prepopulated_fields) if obj is None else {}

    @admin.display(description="Published")
    def state(self, template: MessageTemplate) -> str:
        if template.published is None:
            return looks.badge("draft only", "sand")
        return looks.badge(f"v{template.published.number}", "green")

    def get_urls(self) -> list[URLPattern]:
        return [*self.editor_urls(), *self.history_urls(), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        pk = int(object_id) if object_id.isdecimal() else None
        context = {**(extra_context or {}), **_history(pk), "may_act": self.has_act_permission(request)}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]  # untyped base

    def response_add(self, request: HttpRequest, obj: MessageTemplate, post_url_continue: str | None = None) -> Any:
        """A new template says nothing yet: go and write its first version."""
        messages.success(request, f"{obj.name} is there. Now write its first version.")
        return redirect("admin:notifications_messagetemplate_draft", obj.pk)


def _history(pk: int | None) -> dict[str, Any]:
    """The newest versions, and what was published when; who did it beside each."""
    versions = TemplateVersion.objects.filter(template=pk).select_related("created_by").order_by("-number")
    publications = TemplatePublication.objects.filter(template=pk).select_related("by", "version")
    written, told = list(versions[:MAX_VERSIONS]), list(publications[:MAX_PUBLICATIONS])
    authors, publishers = template_looks.source_names(written), template_looks.source_names(told)
    return {
        "versions": [(one, _languages(one), template_looks.who(one, authors)) for one in written],
        "publications": [(one, template_looks.who(one, publishers)) for one in told],
    }


def _languages(version: TemplateVersion) -> str:
    return ", ".join(version.content) if isinstance(version.content, dict) else ""
