"""The catalogue: which version of a template is published, and its compiled wording."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from notifications.errors import ContentInvalid, NothingBefore, RenderError
from notifications.models import MessageTemplate, TemplatePublication, TemplateVersion
from notifications.services.rendering import FIELDS, compile_content
from notifications.services.rendering.compiler import Context, Program
from notifications.services.template_checks import problems, structure_errors
from notifications.services.template_variables import LINKS

K = TypeVar("K")

#: Seconds for which a process believes what it knows of a slug: how late a publication may take effect.
PUBLISHED_SECONDS = 5.0
MAX_SLUGS = 10_000
#: PostgreSQL's integer: what is beyond is the id of no version.
MAX_ID = 2**31 - 1
#: Versions in use at one time, and their wordings by (channel, locale): beyond this the least recently used go.
MAX_VERSIONS = 256
MAX_PROGRAMS = 4_096


@dataclass(frozen=True, slots=True)
class PublishedTemplate:
    """The version that new notifications use. `channels` are those of the default locale."""

    version_id: int
    channels: frozenset[str]
    default_locale: str
    slug: str


class _Known(Generic[K]):
    """What was found for names, or that nothing was, for PUBLISHED_SECONDS; what isn't known is loaded together."""

    def __init__(self, load: Callable[[set[K]], dict[K, PublishedTemplate]]) -> None:
        self._load = load
        self._entries: dict[K, tuple[float, PublishedTemplate | None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def many(self, names: Collection[K]) -> dict[K, PublishedTemplate | None]:
        now = time.monotonic()
        answer: dict[K, PublishedTemplate | None] = {}
        for name in names:
            entry = self._entries.get(name)
            if entry is not None and entry[0] > now:
                answer[name] = entry[1]
        missing = set(names).difference(answer)
        if missing:
            found = self._load(missing)
            if len(self._entries) + len(missing) > MAX_SLUGS:  # names come from callers, known or not
                self._entries.clear()
            for name in missing:
                answer[name] = found.get(name)
                self._entries[name] = (now + PUBLISHED_SECONDS, answer[name])
        return answer

    def forget(self, name: K) -> None:
        self._entries.pop(name, None)

    def clear(self) -> None:
        self._entries.clear()


class Catalogue:
    """Per process; safe to share between threads."""

    def __init__(self) -> None:
        self._published = _Known(_load_published)
        self._pinned = _Known(_load_pinned)
        self._version = lru_cache(maxsize=MAX_VERSIONS)(_load_version)
        self._program = lru_cache(maxsize=MAX_PROGRAMS)(self._build)
        self._links = lru_cache(maxsize=MAX_PROGRAMS)(self._links_named)

    def published(self, slug: str) -> PublishedTemplate | None:
        """The published version of a template, or None; at most PUBLISHED_SECONDS old."""
        return self.published_many([slug])[slug]

    def published_many(self, slugs: Collection[str]) -> dict[str, PublishedTemplate | None]:
        """The same for many slugs with one query at most."""
        return self._published.many(slugs)

    def pinned_many(self, version_ids: Collection[int]) -> dict[int, PublishedTemplate | None]:
        """The versions of these ids as if they were the published ones, with one query at most; None for what was never
        published."""
        return self._pinned.many(version_ids)

    def render(self, version_id: int, channel: str, locale: str, context: Context) -> dict[str, str]:
        """The finished fields of one message. The locale falls back: pt-BR, pt, the template's default.

        `context` is plain data (dicts, lists, text, numbers, booleans, None). Raises RenderError.
        """
        return self._program(version_id, channel, locale)(context)

    def links(self, version_id: int, channel: str, locale: str) -> tuple[str, ...]:
        """Which of `template_variables.LINKS` the wording names; they are made for those messages alone."""
        return self._links(version_id, channel, locale)

    def wording(self, version_id: int, channel: str, locale: str) -> Mapping[str, str] | None:
        """The template text that `render` fills in; None when the version says nothing for the channel."""
        default_locale, content = self._version(version_id)
        for candidate in locale_chain(locale, default_locale, content):
            if fields := content[candidate].get(channel):
                return fields
        return None

    def forget(self, slug: str, version_id: int) -> None:
        """Look the slug and the version up again at the next call, in this process."""
        self._published.forget(slug)
        self._pinned.forget(version_id)

    def clear(self) -> None:
        self._published.clear()
        self._pinned.clear()
        self._version.cache_clear()
        self._program.cache_clear()
        self._links.cache_clear()

    def _links_named(self, version_id: int, channel: str, locale: str) -> tuple[str, ...]:
        sources = (self.wording(version_id, channel, locale) or {}).values()
        return tuple(link for link in LINKS if any(link in source for source in sources))

    def _build(self, version_id: int, channel: str, locale: str) -> Program:
        fields = self.wording(version_id, channel, locale)
        if fields is None:
            return _failing(f"template version {version_id} says nothing for {channel}")
        return _compiled(channel, fields)


def _compiled(channel: str, fields: Mapping[str, str]) -> Program:
    try:
        return compile_content(channel, fields)
    except RenderError as error:
        return _failing(str(error))


def _failing(reason: str) -> Program:
    """A broken wording is kept like a sound one, so that 500 messages do not compile it 500 times."""

    def render(context: Context) -> dict[str, str]:
        raise RenderError(reason)

    return render


def locale_chain(locale: str, default: str, available: Mapping[str, object]) -> list[str]:
    """The locales to try, most specific first: pt-BR, pt, the default. Case does not matter (RFC 5646 2.1.1)."""
    by_key = {name.lower(): name for name in available}
    parts = locale.replace("_", "-").lower().split("-")
    wanted = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)] + [default.lower()]
    return [by_key[key] for key in dict.fromkeys(wanted) if key in by_key]


def _load_version(version_id: int) -> tuple[str, dict[str, dict[str, dict[str, str]]]]:
    row = TemplateVersion.objects.filter(pk=version_id).values_list("template__default_locale", "content").first()
    if row is None:
        raise RenderError(f"there is no template version {version_id}")
    return row


def _load_published(slugs: set[str]) -> dict[str, PublishedTemplate]:
    rows = MessageTemplate.objects.filter(slug__in=slugs, published__isnull=False).values_list(
        "published_id", "published__content", "default_locale", "slug"
    )
    return {row[-1]: _published(*row) for row in rows}


def _load_pinned(version_ids: set[int]) -> dict[int, PublishedTemplate]:
    storable = [id for id in version_ids if 0 < id <= MAX_ID]
    rows = TemplateVersion.objects.filter(pk__in=storable, published_at__isnull=False).values_list(
        "id", "content", "template__default_locale", "template__slug"
    )
    return {row[0]: _published(*row) for row in rows}


def _published(version_id: int, content: Mapping[str, Any], locale: str, slug: str) -> PublishedTemplate:
    return PublishedTemplate(version_id, frozenset(content.get(locale, {})).intersection(FIELDS), locale, slug)


catalogue = Catalogue()


def new_version(
    template: MessageTemplate,
    content: Mapping[str, Any],
    *,
    by: AbstractBaseUser | None,
    source: str = "",
    note: str = "",
) -> TemplateVersion:
    """A draft with the next number. Raises ContentInvalid."""
    if errors := structure_errors(content, default_locale=template.default_locale):
        raise ContentInvalid(errors)
    with transaction.atomic():
        MessageTemplate.objects.select_for_update().get(pk=template.pk)
        last = template.versions.aggregate(last=Max("number"))["last"] or 0
        return TemplateVersion.objects.create(
            template=template,
            number=last + 1,
            content=dict(content),
            note=note,
            created_by_id=by.pk if by else None,
            source=source,
        )


def publish(version: TemplateVersion, *, by: AbstractBaseUser | None, source: str = "") -> None:
    """Make this version the one new notifications use; notifications accepted before keep theirs.

    An older version can be published again: that is the way back. Raises ContentInvalid with what the checks find.
    """
    with transaction.atomic():
        template = MessageTemplate.objects.select_for_update().get(pk=version.template_id)
        errors = problems(
            version.content,
            purpose=template.purpose,
            variables=template.variables,
            default_locale=template.default_locale,
        )
        if errors:
            raise ContentInvalid(errors)
        TemplateVersion.objects.filter(pk=version.pk, published_at=None).update(published_at=Now())
        if template.published_id != version.pk:
            MessageTemplate.objects.filter(pk=template.pk).update(published=version)
            TemplatePublication.objects.create(
                template=template, version=version, by_id=by.pk if by else None, source=source
            )
        transaction.on_commit(lambda: catalogue.forget(template.slug, version.pk))


def roll_back(template: MessageTemplate, *, by: AbstractBaseUser | None, source: str = "") -> TemplateVersion:
    """Publish again what was published before the present version first was: each time one further back, and never
    forward to what was just left. Raises NothingBefore and ContentInvalid."""
    publications = TemplatePublication.objects.filter(template=template)
    first = publications.filter(version=template.published_id).order_by("id").first()
    before = publications.filter(id__lt=first.pk).select_related("version").first() if first else None
    if before is None:
        raise NothingBefore
    publish(before.version, by=by, source=source)
    return before.version
