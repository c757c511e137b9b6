"""The versions of a template: one with its checks, its looks and a test, two compared, and publishing."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path

from notifications.admin import template_looks
from notifications.admin.template_base import TemplatePages, user_of
from notifications.admin.template_forms import SampleForm, TestForm, sample_data
from notifications.admin.variable_lines import lines
from notifications.errors import ContentInvalid
from notifications.models import MessageTemplate, TemplateVersion
from notifications.services import templates
from notifications.services.template_checks import findings
from notifications.services.template_diffs import diff
from notifications.services.template_previews import context_of, preview
from notifications.services.test_sends import Wanted, send_test


class TemplateHistory(TemplatePages):
    """A version's page, the comparison of two, publishing, and sending one as a test."""

    def history_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "notifications_messagetemplate_"
        return [
            path("<int:pk>/v<int:number>/", wrap(self.version_view), name=f"{name}version"),
            path("<int:pk>/v<int:number>/publish/", wrap(self.publish_view), name=f"{name}publish"),
            path("<int:pk>/v<int:number>/test/", wrap(self.test_view), name=f"{name}test"),
            path("<int:pk>/diff/", wrap(self.diff_view), name=f"{name}diff"),
        ]

    def version_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """One version, filled in with sample data. A POST only renders."""
        template = self._seen(request, pk)
        version = self.version_or_404(template, number)
        return self._version_page(request, version, TestForm(channels=_channels(version)))

    def publish_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Make a version the one that new notifications use. POST alone."""
        template = self._acted_on(request, pk)
        version = self.version_or_404(template, number)
        page = redirect("admin:notifications_messagetemplate_version", template.pk, number)
        if request.method != "POST":
            return page
        is_back = template.published is not None and template.published.number > number
        try:
            templates.publish(version, by=user_of(request))
        except ContentInvalid as invalid:
            count = len(invalid.errors)
            messages.error(request, f"Not published: {count} error{'s' if count > 1 else ''} below.")
            return page
        self.log_change(request, template, f"{'Rolled back to' if is_back else 'Published'} v{number}")
        messages.success(request, f"v{number} is published: every notification from now on uses it.")
        return redirect("admin:notifications_messagetemplate_change", template.pk)

    def test_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Send a version to a few people to look at it. POST alone."""
        template = self._acted_on(request, pk)
        if not self.may_see_people(request):
            raise PermissionDenied
        version = self.version_or_404(template, number)
        page = redirect("admin:notifications_messagetemplate_version", template.pk, number)
        if request.method != "POST":
            return page
        form = TestForm(request.POST, channels=_channels(version))
        if form.is_valid():
            given = form.cleaned_data
            try:
                wanted = Wanted(recipients=given["recipients"], category=given["category"], channels=given["channels"])
                accepted = send_test(version, wanted, by=request.user.get_username())
            except ContentInvalid as invalid:
                form.show(invalid.errors)
            else:
                self.log_change(request, template, f"Sent v{number} as a test to {len(accepted)}")
                _tell(request, sum(one.deliveries for one in accepted), sum(one.skipped for one in accepted))
                return page
        return self._version_page(request, version, form)

    def diff_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Two versions compared, `?from=1&to=2`."""
        template = self._seen(request, pk)
        old, new = (self.version_or_404(template, _number(request.GET.get(name, ""))) for name in ("from", "to"))
        numbers = list(template.versions.order_by("-number").values_list("number", flat=True)[:200])
        changes = diff(old.content, new.content)
        context = {
            "old": old,
            "new": new,
            "numbers": numbers,
            "changes": [(change, template_looks.place(change)) for change in changes],
            "may_act": self.has_act_permission(request),
        }
        return self.template_page(request, template, "diff.html", f"v{old.number} and v{new.number}", context)

    def _version_page(self, request: HttpRequest, version: TemplateVersion, test_form: TestForm) -> HttpResponse:
        template = version.template
        samples = "\n".join(lines({**sample_data(version.content), **template.variables}))
        is_sample = request.method == "POST" and "sample" in request.POST
        form = SampleForm(request.POST if is_sample else {"sample": samples}, may_see=self.may_see_people(request))
        data = form.cleaned_data["sample"] if form.is_valid() else {}
        found = findings(
            version.content,
            purpose=template.purpose,
            variables=template.variables,
            default_locale=template.default_locale,
        )
        told = [template_looks.finding(one) for one in found]
        context = {
            "version": version,
            "form": form,
            "test_form": test_form,
            "previews": _previews(version, data, form.reader()),
            "findings": told,
            "is_blocked": any(one["blocks"] for one in told),
            "is_published": template.published_id == version.pk,
            "who": template_looks.who(version, template_looks.source_names([version])),
            "may_act": self.has_act_permission(request),
            "may_test": self.has_act_permission(request) and self.may_see_people(request),
        }
        return self.template_page(request, template, "version.html", f"{template.name}, v{version.number}", context)

    def _seen(self, request: HttpRequest, pk: int) -> MessageTemplate:
        template: MessageTemplate = self.object_or_404(request, str(pk))
        if not self.has_view_permission(request, template):
            raise PermissionDenied
        return template

    def _acted_on(self, request: HttpRequest, pk: int) -> MessageTemplate:
        template: MessageTemplate = self.object_or_404(request, str(pk))
        if not self.has_act_permission(request):
            raise PermissionDenied
        return template


def _previews(
    version: TemplateVersion, data: dict[str, Any], person: dict[str, Any] | None
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The cards by language, the default one first; those of one reader in theirs alone."""
    template = version.template
    default = template.default_locale
    if person is not None:
        locales = [person["locale"] or default]
    else:
        locales = sorted(version.content, key=lambda locale: (locale != default, locale))
    shown = []
    for locale in locales:
        context = context_of({}, data=data, recipient=person, locale=locale)
        cards = preview(version.content, default_locale=default, locale=locale, context=context)
        shown.append((locale, [template_looks.card(one, locale) for one in cards]))
    return shown


def _channels(version: TemplateVersion) -> list[str]:
    return list(version.content.get(version.template.default_locale, {}))


def _number(given: str) -> int:
    return int(given) if given.isdecimal() and len(given) < 9 else 0


def _tell(request: HttpRequest, sent: int, skipped: int) -> None:
    said = f"{sent} message{'' if sent == 1 else 's'} on the way."
    if skipped:
        said += f" {skipped} skipped: opted out, no address or suppressed. Their timelines say which."
    (messages.success if sent else messages.warning)(request, said)
