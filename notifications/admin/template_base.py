"""What the pages of a template share."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from core.admin import BaseModelAdmin
from notifications.models import MessageTemplate, TemplateVersion


class TemplatePages(BaseModelAdmin):
    """Pages below a template's own, in its frame."""

    def may_see_people(self, request: HttpRequest) -> bool:
        return request.user.has_perm("preferences.view_recipient")

    def version_or_404(self, template: MessageTemplate, number: int) -> TemplateVersion:
        rows = TemplateVersion.objects.select_related("created_by")
        version = rows.filter(template=template, number=min(number, 2**31 - 1)).first()
        if version is None:
            raise Http404("There is no such version.")
        version.template = template
        return version

    def template_page(
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


def user_of(request: HttpRequest) -> AbstractBaseUser | None:
    return request.user if isinstance(request.user, AbstractBaseUser) else None
