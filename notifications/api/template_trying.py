"""Trying a template: filled in with data, and sent to a few people."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import validation
from core.api.openapi import call
from core.api.problems import FieldProblem, Invalid
from core.api.rendering import dumps
from notifications.api.authentication import MissingScope, key_of
from notifications.api.template_shapes import Preview, PreviewBody, SmsSize, TestAnswer, TestBody
from notifications.api.template_versions import refused
from notifications.api.templates import template_or_404
from notifications.drafts import MAX_JSON_BYTES
from notifications.errors import ContentInvalid
from notifications.models import MessageTemplate, TemplateVersion
from notifications.models.api_key import KeyMode, Scope
from notifications.services.template_checks import structure_errors
from notifications.services.template_previews import context_of, preview, reader
from notifications.services.test_sends import Wanted, send_test


class PreviewTemplateView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CATALOG_READ}

    @call(
        "previewTemplate",
        "Render a template with your data",
        request=PreviewBody,
        answers={200: Preview},
        examples={"An order": {"data": {"order": "A-1001"}, "locale": "de"}},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Sends nothing. `data.recipient` stands in for the recipient; without it there is a sample one."""
        body = validation.read(request.data, PreviewBody)
        _check_data(body.data)
        template = template_or_404(slug)
        person = _reader(request, body.recipient)
        version = None if body.content is not None else _version(template, body.version)
        if version is None and (errors := structure_errors(body.content, default_locale=template.default_locale)):
            raise refused(ContentInvalid(errors))
        return Response(_preview(template, version, body, person))


class TestTemplateView(APIView):
    required_scopes: ClassVar = {"POST": Scope.NOTIFICATIONS_WRITE}

    @call(
        "testTemplate",
        "Send a version to a few people to look at it",
        request=TestBody,
        answers={202: TestAnswer},
        examples={"A draft": {"recipients": ["user-42"], "category": "orders", "version": 3}},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Also a version that was never published. Opt-outs count, limits per person don't; `source` is
        `test:<key prefix>`."""
        body = validation.read(request.data, TestBody)
        _check_data(body.data)
        version = _version(template_or_404(slug), body.version)
        key = key_of(request)
        wanted = Wanted(
            recipients=body.recipients,
            category=body.category,
            channels=None if body.channels is None else [str(channel) for channel in body.channels],
            data=body.data,
        )
        try:
            accepted = send_test(version, wanted, by=key.prefix, is_test=key.mode == KeyMode.TEST)
        except ContentInvalid as invalid:
            raise refused(invalid) from None
        named = dict(zip(dict.fromkeys(body.recipients), (str(one.id) for one in accepted), strict=True))
        answer = TestAnswer(named, sum(one.deliveries for one in accepted), sum(one.skipped for one in accepted))
        return Response(answer, status=202)


def _preview(
    template: MessageTemplate, version: TemplateVersion | None, body: PreviewBody, person: dict[str, Any] | None
) -> Preview:
    """Of the version, or without one of the content that came with the call."""
    content: dict[str, Any] = version.content if version else body.content or {}
    locale = body.locale or (person["locale"] if person else "") or template.default_locale
    if body.channel is not None and body.channel not in content.get(template.default_locale, {}):
        raise Invalid([FieldProblem("/channel", "no_content", f"The template says nothing for {body.channel}.")])
    samples = template.variables if body.samples else {}
    context = context_of(samples, data=body.data, recipient=person, locale=locale)
    shown = preview(content, default_locale=template.default_locale, locale=locale, context=context)
    chosen = [one for one in shown if body.channel in (None, one.channel)]
    if faults := [FieldProblem("/data", "render_error", f"{one.channel}: {one.error}") for one in chosen if one.error]:
        raise Invalid(faults)
    sizes = [SmsSize(one.sms.encoding.label, one.sms.units, one.sms.segments) for one in chosen if one.sms]
    return Preview(
        template.slug,
        version.number if version else None,
        locale,
        {one.channel: dict(one.fields) for one in chosen},
        {one.channel: one.locale for one in chosen},
        sorted(frozenset().union(*(one.missing for one in chosen))),
        sizes[0] if sizes else None,
    )


def _reader(request: Request, external_id: str | None) -> dict[str, Any] | None:
    if external_id is None:
        return None
    if Scope.RECIPIENTS_READ not in key_of(request).scopes:
        raise MissingScope(Scope.RECIPIENTS_READ)
    person = reader(external_id)
    if person is None:
        raise Invalid([FieldProblem("/recipient", "unknown", "There is no such recipient.")])
    return person


def _check_data(data: dict[str, Any]) -> None:
    if len(dumps(data)) > MAX_JSON_BYTES:
        raise Invalid([FieldProblem("/data", "too_large", f"At most {MAX_JSON_BYTES} bytes as JSON.")])


def _version(template: MessageTemplate, number: int | None) -> TemplateVersion:
    version = template.published if number is None else template.versions.filter(number=number).first()
    if version is None and number is None:
        raise Invalid([FieldProblem("/version", "unpublished", "No version is published; name one.")])
    if version is None:
        raise Invalid([FieldProblem("/version", "unknown", f"There is no version {number}.")])
    version.template = template
    return version
