"""Reading templates, and trying them on data."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import FieldProblem, Invalid
from core.api.rendering import dumps
from notifications import selectors
from notifications.choices import Channel
from notifications.drafts import MAX_JSON_BYTES
from notifications.errors import RenderError
from notifications.models import MessageTemplate, TemplateVersion
from notifications.models.api_key import Scope
from notifications.services.rendering import missing, sms_segments
from notifications.services.templates import catalogue

#: Who a preview is for when `data` names no recipient.
SAMPLE_RECIPIENT = {
    "external_id": "user-42",
    "name": "Ada Lovelace",
    "locale": "en",
    "timezone": "UTC",
    "attributes": {},
}


class TemplateVersionShape(Struct):
    """The version that new notifications use."""

    number: int
    published_at: datetime | None
    locales: list[str]
    channels: list[str]


class TemplateBrief(Struct):
    """A template in a list; `published` is null while it has no published version."""

    slug: str
    name: str
    description: str
    default_locale: str
    published: TemplateVersionShape | None


class TemplateDetail(Struct):
    """A template with its published wording: `content[locale][channel][field]`."""

    slug: str
    name: str
    description: str
    default_locale: str
    published: TemplateVersionShape | None
    content: dict[str, Any] | None


class TemplatePage(Struct):
    """By slug."""

    results: list[TemplateBrief]
    next_cursor: str | None


class PreviewBody(Struct, forbid_unknown_fields=True):
    """What to fill in. All channels when none is named; the published version unless another is."""

    data: dict[str, Any] = {}
    channel: Channel | None = None
    locale: Annotated[str, Meta(max_length=35, description="The template's default when not given")] = ""
    version: Annotated[int, Meta(ge=1, le=1_000_000, description="A number; also of a draft")] | None = None


class SmsSize(Struct):
    """What the text message costs on the air: septets or UTF-16 units by encoding, and the segments billed."""

    encoding: str
    units: int
    segments: int


class Preview(Struct):
    """The finished fields by channel, as they would be sent; what the template reads and the data lacks (it renders
    empty); and the size of the text message, if there is one."""

    template: str
    version: int
    locale: str
    channels: dict[str, dict[str, str]]
    missing: list[str]
    sms: SmsSize | None = None


class TemplatesView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ}

    @call("listTemplates", "List templates by slug", answers={200: TemplatePage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        window = pagination.window(request)
        rows, next_cursor = pagination.page(selectors.templates(), window, key="slug", newest_first=False)
        return Response(TemplatePage([_brief(row) for row in rows], next_cursor))


class TemplateView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CATALOG_READ}

    @call("getTemplate", "Read a template", answers={200: TemplateDetail})
    def get(self, request: Request, slug: str) -> Response:
        row = _template(slug)
        brief = _brief(row)
        content = row.published.content if row.published else None
        return Response(
            TemplateDetail(brief.slug, brief.name, brief.description, brief.default_locale, brief.published, content)
        )


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
        if len(dumps(body.data)) > MAX_JSON_BYTES:
            raise Invalid([FieldProblem("/data", "too_large", f"At most {MAX_JSON_BYTES} bytes as JSON.")])
        template = _template(slug)
        version = _version(template, body.version)
        locale = body.locale or template.default_locale
        return Response(_preview(version, template, locale, body))


def _preview(version: TemplateVersion, template: MessageTemplate, locale: str, body: PreviewBody) -> Preview:
    has = version.content.get(template.default_locale, {})
    if body.channel is not None and body.channel not in has:
        raise Invalid([FieldProblem("/channel", "no_content", f"The template says nothing for {body.channel}.")])
    context = {"recipient": {**SAMPLE_RECIPIENT, "locale": locale}, **body.data}
    rendered: dict[str, dict[str, str]] = {}
    lacking: set[str] = set()
    for channel in [str(body.channel)] if body.channel else sorted(has):
        try:
            rendered[channel] = catalogue.render(version.pk, channel, locale, context)
            for source in (catalogue.wording(version.pk, channel, locale) or {}).values():
                lacking |= missing(source, context)
        except RenderError as error:
            raise Invalid([FieldProblem("/data", "render_error", f"{channel}: {error}")]) from None
    return Preview(template.slug, version.number, locale, rendered, sorted(lacking), _sms_size(rendered))


def _sms_size(rendered: dict[str, dict[str, str]]) -> SmsSize | None:
    if Channel.SMS not in rendered:
        return None
    size = sms_segments(rendered[Channel.SMS]["body"])
    return SmsSize(size.encoding.label, size.units, size.segments)


def _template(slug: str) -> MessageTemplate:
    row = selectors.templates().filter(slug=slug).first()
    if row is None:
        raise exceptions.NotFound()
    return row


def _version(template: MessageTemplate, number: int | None) -> TemplateVersion:
    if number is None:
        if template.published is None:
            raise Invalid([FieldProblem("/version", "unpublished", "No version is published; name one.")])
        return template.published
    version = template.versions.filter(number=number).first()
    if version is None:
        raise Invalid([FieldProblem("/version", "unknown", f"There is no version {number}.")])
    return version


def _brief(row: MessageTemplate) -> TemplateBrief:
    version = row.published
    published = None
    if version is not None:
        published = TemplateVersionShape(
            version.number,
            version.published_at,
            sorted(version.content),
            sorted(version.content.get(row.default_locale, {})),
        )
    return TemplateBrief(row.slug, row.name, row.description, row.default_locale, published)
