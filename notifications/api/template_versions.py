"""The versions of a template: write, read, check, compare, publish, roll back."""

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict, FieldProblem, Invalid
from notifications.api.authentication import key_of
from notifications.api.template_shapes import (
    CheckAnswer,
    CheckBody,
    DiffAnswer,
    DiffLine,
    FieldChange,
    FindingShape,
    Number,
    RollBackBody,
    VersionBody,
    VersionBrief,
    VersionDetail,
    VersionPage,
)
from notifications.api.templates import template_or_404
from notifications.errors import ContentInvalid, FieldError, NothingBefore
from notifications.models import MessageTemplate, TemplateVersion
from notifications.models.api_key import Scope
from notifications.services import templates
from notifications.services.template_checks import Finding, Severity, findings
from notifications.services.template_diffs import diff

_EXAMPLE = {
    "content": {"en": {"sms": {"body": "Your order {{ order }} has left."}}},
    "note": "Shorter",
    "publish": True,
}


class TemplateVersionsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ, "POST": Scope.CATALOG_WRITE}

    @call(
        "listTemplateVersions",
        "List a template's versions, newest first",
        answers={200: VersionPage},
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, slug: str) -> Response:
        template = template_or_404(slug)
        rows = template.versions.select_related("created_by").defer("content")
        found, next_cursor = pagination.page(rows, pagination.window(request), key="number")
        return Response(VersionPage([VersionBrief(**_brief(row, template)) for row in found], next_cursor))

    @call(
        "createTemplateVersion",
        "Write a template's next version",
        request=VersionBody,
        answers={201: VersionDetail},
        examples={"Publish at once": _EXAMPLE},
    )
    def post(self, request: Request, slug: str) -> Response:
        """422 says what is wrong with a pointer into `content`; with `publish` also what the checks find."""
        body = validation.read(request.data, VersionBody)
        template = template_or_404(slug)
        source = f"api:{key_of(request).prefix}"
        if "\x00" in body.note:
            raise Invalid([FieldProblem("/note", "invalid", "NUL characters cannot be stored.")])
        try:
            with transaction.atomic():
                version = templates.new_version(template, body.content, by=None, source=source, note=body.note)
                if body.publish:
                    templates.publish(version, by=None, source=source)
        except ContentInvalid as invalid:
            raise refused(invalid) from None
        return Response(_detail(version.number, template_or_404(slug)), status=201)


class TemplateVersionView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ}

    @call("getTemplateVersion", "Read a version and what the checks find in it", answers={200: VersionDetail})
    def get(self, request: Request, slug: str, number: int) -> Response:
        return Response(_detail(number, template_or_404(slug)))


class PublishTemplateVersionView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CATALOG_WRITE}

    @call("publishTemplateVersion", "Publish a version, also an older one", answers={200: VersionDetail})
    def post(self, request: Request, slug: str, number: int) -> Response:
        """422 names what the checks find. New notifications use it within five seconds; those accepted before keep
        theirs."""
        version = _version(template_or_404(slug), number)
        try:
            templates.publish(version, by=None, source=f"api:{key_of(request).prefix}")
        except ContentInvalid as invalid:
            raise refused(invalid) from None
        return Response(_detail(number, template_or_404(slug)))


class RollBackTemplateView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CATALOG_WRITE}

    @call(
        "rollBackTemplate",
        "Publish an earlier version again",
        request=RollBackBody,
        answers={200: VersionDetail},
        examples={"What was there before": {}},
        conflicts=True,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Without a number, to what was published before the present version; called again, one further. 409 when
        nothing was."""
        body = validation.read(request.data, RollBackBody)
        template, source = template_or_404(slug), f"api:{key_of(request).prefix}"
        try:
            if body.version is None:
                version = templates.roll_back(template, by=None, source=source)
            else:
                version = _published_once(template, body.version)
                templates.publish(version, by=None, source=source)
        except NothingBefore:
            raise Conflict("No version was published before the present one. Name the one to go to.") from None
        except ContentInvalid as invalid:
            raise refused(invalid) from None
        return Response(_detail(version.number, template_or_404(slug)))


class CheckTemplateView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CATALOG_READ}

    @call(
        "checkTemplate",
        "Check a wording without keeping it",
        request=CheckBody,
        answers={200: CheckAnswer},
        examples={"A typing slip": {"content": {"en": {"sms": {"body": "Hello {{ recipient.nmae }}"}}}}},
    )
    def post(self, request: Request, slug: str) -> Response:
        body = validation.read(request.data, CheckBody)
        template = template_or_404(slug)
        found = _findings(body.content, template, purpose=body.purpose)
        is_sound = not any(one.severity is Severity.ERROR for one in found)
        return Response(CheckAnswer(is_sound, _shapes(found)))


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    old: Number
    new: Number


class DiffTemplateView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ}

    @call(
        "diffTemplate",
        "Compare two versions line by line",
        answers={200: DiffAnswer},
        parameters=[OpenApiParameter("old", int, required=True), OpenApiParameter("new", int, required=True)],
    )
    def get(self, request: Request, slug: str) -> Response:
        asked = validation.read_query(request.query_params, _Asked)
        template = template_or_404(slug)
        numbers = {"old": asked.old, "new": asked.new}
        rows = dict(template.versions.filter(number__in=numbers.values()).values_list("number", "content"))
        if unknown := [name for name, number in numbers.items() if number not in rows]:
            raise Invalid(
                [FieldProblem("", "unknown", "There is no such version.", parameter=name) for name in unknown]
            )
        changes = [
            FieldChange(
                one.locale,
                one.channel,
                one.field,
                one.change,
                [DiffLine(line.mark, line.text, line.old, line.new) for line in one.lines],
            )
            for one in diff(rows[asked.old], rows[asked.new])
        ]
        return Response(DiffAnswer(asked.old, asked.new, changes))


def refused(invalid: ContentInvalid) -> Invalid:
    return Invalid([FieldProblem(error.pointer, error.code, _said(error)) for error in invalid.errors])


def _said(error: FieldError) -> str:
    line = error.line if isinstance(error, Finding) else None
    return f"Line {line}: {error.message}" if line else error.message


def _version(template: MessageTemplate, number: int) -> TemplateVersion:
    rows = template.versions.select_related("created_by")
    version = rows.filter(number=min(number, 2**31 - 1)).first()
    if version is None:
        raise exceptions.NotFound()
    return version


def _published_once(template: MessageTemplate, number: int) -> TemplateVersion:
    version = template.versions.filter(number=number, published_at__isnull=False).first()
    if version is None:
        raise Invalid([FieldProblem("/version", "unknown", f"There is no version {number} that was ever published.")])
    return version


def _findings(content: object, template: MessageTemplate, *, purpose: str | None = None) -> list[Finding]:
    return findings(
        content,
        purpose=purpose or template.purpose,
        variables=template.variables,
        default_locale=template.default_locale,
    )


def _shapes(found: Iterable[Finding]) -> list[FindingShape]:
    return [FindingShape(one.pointer, one.code, one.severity.value, one.message, one.line) for one in found]


def _detail(number: int, template: MessageTemplate) -> VersionDetail:
    row = _version(template, number)
    return VersionDetail(
        **_brief(row, template), content=row.content, findings=_shapes(_findings(row.content, template))
    )


def _brief(row: TemplateVersion, template: MessageTemplate) -> dict[str, Any]:
    return {
        "number": row.number,
        "note": row.note,
        "by": str(row.created_by) if row.created_by else row.source or None,
        "created_at": row.created_at,
        "published_at": row.published_at,
        "is_published": row.pk == template.published_id,
    }
