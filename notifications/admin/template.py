"""Message templates: their versions, a form for the next one, a preview, and publishing."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from core.admin import BaseModelAdmin
from notifications.admin import looks
from notifications.admin.template_forms import DraftForm, MessageTemplateForm, SampleForm, is_locale, sample_data
from notifications.choices import Channel
from notifications.errors import ContentInvalid, RenderError
from notifications.models import MessageTemplate, TemplateVersion
from notifications.services import templates
from notifications.services.rendering import FIELDS, compile_content

MAX_VERSIONS = 50  # shown on a template's page, newest first


@admin.register(MessageTemplate)
class MessageTemplateAdmin(BaseModelAdmin):
    """Not deleted: notifications on the record were made from it. Versions are only added; publishing picks one."""

    form = MessageTemplateForm
    list_display = ("name", "slug", "state", "default_locale", "created_at")
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
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/draft/", wrap(self.draft_view), name="notifications_messagetemplate_draft"),
            path("<int:pk>/v<int:number>/", wrap(self.version_view), name="notifications_messagetemplate_version"),
            path(
                "<int:pk>/v<int:number>/publish/",
                wrap(self.publish_view),
                name="notifications_messagetemplate_publish",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        versions: QuerySet[TemplateVersion] | list[TemplateVersion] = []
        if object_id.isdecimal():
            versions = TemplateVersion.objects.filter(template_id=int(object_id)).select_related("created_by")
            versions = list(versions.order_by("-number")[:MAX_VERSIONS])
        context = {
            **(extra_context or {}),
            "versions": [(version, _languages(version)) for version in versions],
            "may_act": self.has_act_permission(request),
        }
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]  # untyped base

    def response_add(self, request: HttpRequest, obj: MessageTemplate, post_url_continue: str | None = None) -> Any:
        """A new template says nothing yet: go and write its first version."""
        messages.success(request, f"{obj.name} is there. Now write its first version.")
        return redirect("admin:notifications_messagetemplate_draft", obj.pk)

    def draft_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write the next version, starting from `?from=<number>` (default: the newest); `?locale=` adds one."""
        template = self.object_or_404(request, str(pk))
        if not self.has_act_permission(request):
            raise PermissionDenied
        versions = template.versions.order_by("-number")
        if given := request.GET.get("from", ""):
            versions = versions.filter(number=int(given) if given.isdecimal() and len(given) < 9 else 0)
        base = versions.first()
        content = base.content if base else {}
        locales = list(dict.fromkeys([template.default_locale, *content, *_asked_locales(request)]))
        form = DraftForm(request.POST if request.method == "POST" else None, content=content, locales=locales)
        if request.method == "POST" and form.is_valid():
            try:
                version = templates.new_version(template, form.content(), by=_user(request))
            except ContentInvalid as invalid:
                form.show(invalid.errors)
            else:
                self.log_change(request, template, f"Wrote v{version.number}")
                messages.success(request, f"v{version.number} is saved as a draft. Look at it, then publish.")
                return redirect("admin:notifications_messagetemplate_version", template.pk, version.number)
        context = {"form": form, "base": base, "locales": locales}
        return self._page(request, template, "draft.html", "Write a new version", context)

    def version_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """One version, rendered with sample data. A POST only renders."""
        template = self.object_or_404(request, str(pk))
        if not self.has_view_permission(request, template):
            raise PermissionDenied
        version = self._version(template, number)
        initial = json.dumps(sample_data(version.content), indent=2, ensure_ascii=False)
        form = SampleForm(request.POST if request.method == "POST" else {"sample": initial})
        sample = form.cleaned_data["sample"] if form.is_valid() else {}
        previews = [
            (locale, [_preview(channel, channels[channel], sample) for channel in FIELDS if channel in channels])
            for locale, channels in _default_first(version.content, template.default_locale)
        ]
        context = {
            "version": version,
            "form": form,
            "previews": previews,
            "is_published": template.published_id == version.pk,
            "may_act": self.has_act_permission(request),
        }
        return self._page(request, template, "version.html", f"{template.name}, v{number}", context)

    def publish_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Make a version the one that new notifications use. POST alone."""
        template = self.object_or_404(request, str(pk))
        if not self.has_act_permission(request):
            raise PermissionDenied
        version = self._version(template, number)
        page = redirect("admin:notifications_messagetemplate_version", template.pk, number)
        if request.method != "POST":
            return page
        try:
            templates.publish(version, by=_user(request))
        except ContentInvalid as invalid:
            messages.error(request, f"Not published. {invalid}")
            return page
        self.log_change(request, template, f"Published v{number}")
        messages.success(request, f"v{number} is published: every notification from now on uses it.")
        return redirect("admin:notifications_messagetemplate_change", template.pk)

    @staticmethod
    def _version(template: MessageTemplate, number: int) -> TemplateVersion:
        version = TemplateVersion.objects.filter(template=template, number=min(number, 2**31 - 1)).first()
        if version is None:
            raise Http404("There is no such version.")
        return version

    def _page(
        self, request: HttpRequest, template: MessageTemplate, name: str, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        page = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": template,
            "title": title,
            "back": reverse("admin:notifications_messagetemplate_change", args=[template.pk]),
            **context,
        }
        return TemplateResponse(request, f"admin/notifications/messagetemplate/{name}", page)


def _default_first(content: dict[str, Any], default: str) -> list[tuple[str, Any]]:
    return sorted(content.items(), key=lambda item: (item[0] != default, item[0]))


def _user(request: HttpRequest) -> AbstractBaseUser | None:
    return request.user if isinstance(request.user, AbstractBaseUser) else None


def _asked_locales(request: HttpRequest) -> list[str]:
    return [locale for locale in request.GET.getlist("locale")[:10] if is_locale(locale)]


def _languages(version: TemplateVersion) -> str:
    return ", ".join(version.content) if isinstance(version.content, dict) else ""


def _preview(channel: str, fields: dict[str, str], sample: dict[str, Any]) -> dict[str, Any]:
    """A channel's fields as they would be sent, or why they could not be."""
    specs = FIELDS[channel]
    shown: dict[str, Any] = {
        "channel": channel,
        "icon": looks.ICONS[channel],
        "label": str(Channel(channel).label),
    }
    try:
        rendered = compile_content(channel, fields)(sample)
    except RenderError as error:
        return {**shown, "error": str(error)}
    html = rendered.get("html", "")
    return {**shown, "html": html, "fields": {n: rendered[n] for n in specs if n != "html" and rendered.get(n)}}
