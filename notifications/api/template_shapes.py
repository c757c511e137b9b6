"""What the calls about templates read and answer with. The OpenAPI document is made from these."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from notifications.choices import Channel
from notifications.services.test_sends import MAX_PEOPLE
from preferences.choices import Purpose

Slug = Annotated[str, Meta(pattern="^[-a-zA-Z0-9_]{1,64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Description = Annotated[str, Meta(max_length=5_000)]
Locale = Annotated[str, Meta(min_length=2, max_length=35, description="BCP 47, for example pt-BR")]
Number = Annotated[int, Meta(ge=1, le=1_000_000, description="A version's number")]
Variables = Annotated[dict[str, Any], Meta(description="What the wording may take from `data`: a sample by name")]
RecipientId = Annotated[str, Meta(min_length=1, max_length=128, description="Your id of the person")]
Content = Annotated[dict[str, Any], Meta(description="`content[locale][channel][field]`, Liquid text")]


class TemplateVersionShape(Struct):
    """The version that new notifications use."""

    number: int
    published_at: datetime | None
    locales: list[str]
    channels: list[str]


class TemplateBrief(Struct, kw_only=True):
    """A template in a list; `published` is null while it has no published version."""

    slug: str
    name: str
    description: str
    default_locale: str
    purpose: Purpose
    variables: dict[str, Any]
    published: TemplateVersionShape | None


class TemplateDetail(TemplateBrief, kw_only=True):
    """A template with its published wording: `content[locale][channel][field]`."""

    content: dict[str, Any] | None


class TemplatePage(Struct):
    """By slug."""

    results: list[TemplateBrief]
    next_cursor: str | None


class TemplateBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A template without words yet: write its first version next."""

    slug: Slug
    name: Name
    description: Description = ""
    default_locale: Locale = "en"
    purpose: Purpose = Purpose.TRANSACTIONAL
    variables: Variables = {}


class TemplateChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. The slug is the template's name for ever."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    default_locale: Locale | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    variables: Variables | UnsetType = UNSET


class VersionBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The wording of the next version, whole. With `publish` it takes effect at once if the checks find no error; if
    they do, nothing is kept."""

    content: Content
    note: Annotated[str, Meta(max_length=200, description="What has changed, for the history")] = ""
    publish: bool = False


class FindingShape(Struct):
    """What a check found: an `error` keeps the version from being published, a `warning` doesn't. `line` is that of the
    field, from 1, where there is one."""

    pointer: str
    code: str
    severity: str
    detail: str
    line: int | None


class VersionBrief(Struct, kw_only=True):
    """A version in a list. `by` is a user's name or `api:<key prefix>`, null where nobody knows."""

    number: int
    note: str
    by: str | None
    created_at: datetime
    published_at: datetime | None
    is_published: bool


class VersionDetail(VersionBrief, kw_only=True):
    """A version with its wording, and what the checks find in it."""

    content: dict[str, Any]
    findings: list[FindingShape]


class VersionPage(Struct):
    """Newest first."""

    results: list[VersionBrief]
    next_cursor: str | None


class CheckBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A wording to be checked without keeping it. `purpose` is the template's unless another is given."""

    content: Content
    purpose: Purpose | None = None


class CheckAnswer(Struct):
    """Whether it could be published, and what was found."""

    publishable: bool
    findings: list[FindingShape]


class RollBackBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """The version to go back to; without a number the one that was published before this one
    first was."""

    version: Number | None = None


class DiffLine(Struct):
    """`mark` is `-`, `+` or a space; `…` stands for lines left out, and `text` says how many. `old` and `new` are its
    numbers in the two versions."""

    mark: str
    text: str
    old: int | None
    new: int | None


class FieldChange(Struct):
    """A field that was `added`, `removed` or `changed`."""

    locale: str
    channel: str
    field: str
    change: str
    lines: list[DiffLine]


class DiffAnswer(Struct):
    """The fields that differ between two versions."""

    old: int
    new: int
    changes: list[FieldChange]


class PreviewBody(Struct, forbid_unknown_fields=True):
    """What to fill in; with `samples` the template's stand in for what `data` leaves out. All channels when none is
    named; the published version unless another is, or `content`, which is not kept. `recipient`, by your id, needs the
    scope recipients:read."""

    data: dict[str, Any] = {}
    samples: bool = False
    channel: Channel | None = None
    locale: Annotated[str, Meta(max_length=35, description="The template's default when not given")] = ""
    version: Annotated[int, Meta(ge=1, le=1_000_000, description="A number; also of a draft")] | None = None
    content: Content | None = None
    recipient: RecipientId | None = None


class SmsSize(Struct):
    """What the text message costs on the air: septets or UTF-16 units by encoding, and the segments billed."""

    encoding: str
    units: int
    segments: int


class Preview(Struct):
    """The finished fields by channel, as they would be sent; in `locales` whose words they are; what the template reads
    and the data lacks (it renders empty); and the size of the text message, if there is one."""

    template: str
    version: int | None
    locale: str
    channels: dict[str, dict[str, str]]
    locales: dict[str, str]
    missing: list[str]
    sms: SmsSize | None = None


class TestBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A version sent to a few people to look at it, the published one unless another is named. The samples stand in for
    what `data` leaves out."""

    recipients: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=MAX_PEOPLE)
    ]
    category: Annotated[str, Meta(min_length=1, max_length=64)]
    channels: Annotated[list[Channel], Meta(min_length=1)] | None = None
    data: dict[str, Any] = {}
    version: Number | None = None


class TestAnswer(Struct):
    """The notifications by recipient, and how many of their deliveries are on the way or were skipped."""

    notifications: dict[str, str]
    deliveries: int
    skipped: int
