"""Templates: the list, one of them, and what stands around the wording."""

from typing import Any, ClassVar

import msgspec
from django.db import IntegrityError, transaction
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict, FieldProblem, Invalid
from notifications import selectors
from notifications.api.template_shapes import (
    TemplateBody,
    TemplateBrief,
    TemplateChange,
    TemplateDetail,
    TemplatePage,
    TemplateVersionShape,
)
from notifications.models import MessageTemplate
from notifications.models.api_key import Scope
from notifications.services.rendering.validation import LOCALE
from notifications.services.template_variables import variable_faults
from preferences.choices import Purpose

_EXAMPLE = {"slug": "order-shipped", "name": "Order shipped", "variables": {"order": "A-1001"}}


class TemplatesView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ, "POST": Scope.CATALOG_WRITE}

    @call("listTemplates", "List templates by slug", answers={200: TemplatePage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        window = pagination.window(request)
        rows, next_cursor = pagination.page(selectors.templates(), window, key="slug", newest_first=False)
        return Response(TemplatePage([TemplateBrief(**_brief(row)) for row in rows], next_cursor))

    @call(
        "createTemplate",
        "Create a template",
        request=TemplateBody,
        answers={201: TemplateDetail},
        examples={"An order": _EXAMPLE},
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        values = msgspec.structs.asdict(validation.read(request.data, TemplateBody))
        _check(values)
        made = MessageTemplate(**values)
        try:
            with transaction.atomic():
                made.save(force_insert=True)
        except IntegrityError:
            raise Conflict("There is a template with this slug already.") from None
        return Response(_detail(made), status=201)


class TemplateView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ, "PATCH": Scope.CATALOG_WRITE}

    @call("getTemplate", "Read a template", answers={200: TemplateDetail})
    def get(self, request: Request, slug: str) -> Response:
        return Response(_detail(template_or_404(slug)))

    @call(
        "patchTemplate",
        "Change what stands around a template's wording",
        request=TemplateChange,
        answers={200: TemplateDetail},
        examples={"Another variable": {"variables": {"order": "A-1001", "eta": "on Friday"}}},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """What is published stays published; the checks look at it again when it is published anew."""
        body = validation.read(request.data, TemplateChange)
        changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}
        template = template_or_404(slug)
        _check(changes)
        published = template.published
        if published is not None and changes.get("default_locale", template.default_locale) not in published.content:
            message = "The published version has no wording in this locale. Publish one that has first."
            raise Invalid([FieldProblem("/default_locale", "no_content", message)])
        for name, value in changes.items():
            setattr(template, name, value)
        if changes:
            template.save(update_fields=list(changes))
        return Response(_detail(template))


def template_or_404(slug: str) -> MessageTemplate:
    row = selectors.templates().filter(slug=slug).first()
    if row is None:
        raise exceptions.NotFound()
    return row


def _check(values: dict[str, Any]) -> None:
    """Raises Invalid for what the shapes cannot tell."""
    faults = [
        FieldProblem(f"/{name}", "invalid", "NUL characters cannot be stored.")
        for name, value in values.items()
        if isinstance(value, str) and "\x00" in value
    ]
    if "variables" in values:
        found = variable_faults(values["variables"])
        faults += [FieldProblem(error.pointer, error.code, error.message) for error in found]
    if "default_locale" in values and not LOCALE.fullmatch(values["default_locale"]):
        faults.append(FieldProblem("/default_locale", "invalid", "A locale is a BCP 47 tag such as en or pt-BR."))
    if faults:
        raise Invalid(faults)


def _brief(row: MessageTemplate) -> dict[str, Any]:
    version = row.published
    published = None
    if version is not None:
        published = TemplateVersionShape(
            version.number,
            version.published_at,
            sorted(version.content),
            sorted(version.content.get(row.default_locale, {})),
        )
    return {
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "default_locale": row.default_locale,
        "purpose": Purpose(row.purpose),
        "variables": row.variables,
        "published": published,
    }


def _detail(row: MessageTemplate) -> TemplateDetail:
    return TemplateDetail(**_brief(row), content=row.published.content if row.published else None)
