"""The editor of a template: the next version as a form, with what it looks like and what is wrong with it beside it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from notifications.admin import template_looks
from notifications.admin.template_base import TemplatePages, user_of
from notifications.admin.template_forms import DraftForm, ReaderForm, is_locale
from notifications.errors import ContentInvalid
from notifications.models import MessageTemplate, TemplateVersion
from notifications.services import templates
from notifications.services.template_checks import findings
from notifications.services.template_previews import context_of, preview
from notifications.services.template_variables import SAMPLE_RECIPIENT, UNSUBSCRIBE_URL

#: Languages that can be added to a form at once.
MAX_ASKED = 50


class TemplateEditor(TemplatePages):
    """The draft's page and its live preview."""

    def editor_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/draft/", wrap(self.draft_view), name="notifications_messagetemplate_draft"),
            path(
                "<int:pk>/draft/preview/",
                wrap(require_POST(self.live_view)),
                name="notifications_messagetemplate_live",
            ),
        ]

    def draft_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write the next version, starting from `?from=<number>` (default: the newest); `?locale=` adds one."""
        template = self.object_or_404(request, str(pk))
        if not self.has_act_permission(request):
            raise PermissionDenied
        versions = template.versions.order_by("-number")
        newest = versions.first()
        if given := request.GET.get("from", ""):
            versions = versions.filter(number=int(given) if given.isdecimal() and len(given) < 9 else 0)
        base: TemplateVersion | None = versions.first()
        form = _form(request, template, base)
        if request.method == "POST" and "add" not in request.POST and form.is_valid():
            try:
                version = templates.new_version(
                    template, form.content(), by=user_of(request), note=form.cleaned_data["note"]
                )
            except ContentInvalid as invalid:
                form.show(invalid.errors)
            else:
                self._declare(template, form)
                self.log_change(request, template, f"Wrote v{version.number}")
                messages.success(request, f"v{version.number} is saved as a draft. Look at it, then publish.")
                return redirect("admin:notifications_messagetemplate_version", template.pk, version.number)
        context = {
            "form": form,
            "base": base,
            "newest": newest,
            "reader_form": ReaderForm(locales=form.locales, may_see=self.may_see_people(request)),
            "live": reverse("admin:notifications_messagetemplate_live", args=[template.pk]),
            "is_refused": request.method == "POST" and "add" not in request.POST,
        }
        return self.template_page(request, template, "draft.html", f"Edit {template.name}", context)

    def live_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """What the form as it stands looks like to a reader, and what is wrong with it. Saves nothing."""
        template = self.object_or_404(request, str(pk))
        if not self.has_act_permission(request):
            raise PermissionDenied
        form = _form(request, template, None)
        form.is_valid()  # a field that is too long is told, the others are shown
        declared = form.variables()
        template.variables = template.variables if declared is None else declared
        reader_form = ReaderForm(request.POST, locales=form.locales, may_see=self.may_see_people(request))
        reader_form.is_valid()
        person, locale = reader_form.reader(), reader_form.locale(template.default_locale)
        content = form.content()
        context = context_of(template.variables, data={}, recipient=person, locale=locale)
        shown = preview(content, default_locale=template.default_locale, locale=locale, context=context)
        found = findings(
            content, purpose=template.purpose, variables=template.variables, default_locale=template.default_locale
        )
        page = "admin/notifications/messagetemplate/_frame.html"
        return JsonResponse(
            {
                "frames": {
                    one.channel: render_to_string(page, {"shown": template_looks.card(one, locale)}) for one in shown
                },
                "findings": [*form.faults(), *map(template_looks.finding, found)] if content or form.errors else [],
                "reader": _reader_words(person, locale),
                "reader_error": " ".join(str(said) for errors in reader_form.errors.values() for said in errors),
                "names": _names(template),
            }
        )

    def _declare(self, template: MessageTemplate, form: DraftForm) -> None:
        """The variables belong to the template, whichever version is published."""
        declared = form.variables()
        if declared is not None and declared != template.variables:
            template.variables = declared
            template.save(update_fields=["variables"])


def _form(request: HttpRequest, template: MessageTemplate, base: TemplateVersion | None) -> DraftForm:
    content = base.content if base else {}
    asked = [*request.GET.getlist("locale"), *request.POST.getlist("locale")][:MAX_ASKED]
    added = [request.POST.get("new_locale", "").strip()] if "add" in request.POST else []
    wanted = [locale for locale in [*asked, *added] if is_locale(locale)]
    form = DraftForm(
        request.POST if request.method == "POST" else None,
        content=content,
        locales=list(dict.fromkeys([template.default_locale, *content, *wanted])),
        variables=template.variables,
    )
    if any(added) and added[0] not in wanted:
        form.locale_error = "A language is a tag such as de or pt-BR."
    return form


def _reader_words(person: dict[str, Any] | None, locale: str) -> str:
    if person is None:
        return f"{SAMPLE_RECIPIENT['name']}, who is made up and reads {locale}"
    return f"{person['name'] or person['external_id']}, who reads {locale}"


def _names(template: MessageTemplate) -> list[str]:
    """What can be put into a wording with a click."""
    names = ["recipient.name"]
    for name, value in template.variables.items():
        names += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    return [*names, UNSUBSCRIBE_URL]
