"""What a draft must be before it is taken: checked without a query per draft, answered with a pointer per fault."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from core.moments import fits_utc
from notifications.choices import Channel, Priority
from notifications.drafts import MAX_JSON_BYTES, Draft
from notifications.errors import ContentInvalid, FieldError
from notifications.services.rendering import normalise_inline
from notifications.services.templates import PublishedTemplate, catalogue
from preferences.services import CategoryInfo

#: A schedule further ahead than this is more likely a mistake in the year than a plan.
MAX_AHEAD = timedelta(days=366)
#: A time to send that passed longer ago than this is a mistake as well: nobody waits for such a message any more.
MAX_LATE = timedelta(days=1)
_CHANNELS = frozenset(Channel.values)
_PRIORITIES = frozenset(Priority.values)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A draft that passed, with what its names stand for. `content` is inline content by channel, or None."""

    draft: Draft
    category: CategoryInfo
    template: PublishedTemplate | None
    content: Mapping[str, Mapping[str, str]] | None
    channels: tuple[str, ...]
    priority: str


def storable(value: str) -> bool:
    """Whether PostgreSQL can hold this text: no NUL, no lone surrogate."""
    if value.isascii():
        return "\x00" not in value
    try:
        return b"\x00" not in value.encode()
    except UnicodeEncodeError:
        return False


class Admission:
    """Checks the drafts of one batch; what it has to look up, it looks up once for all of them."""

    def __init__(self, categories: Mapping[str, CategoryInfo], slugs: Iterable[str | None]) -> None:
        self.categories = categories
        self.now = datetime.now(UTC)
        self._templates = catalogue.published_many([slug for slug in set(slugs) if slug and storable(slug)])
        self._channels: dict[tuple[object, ...], tuple[str, ...]] = {}

    def admit(self, draft: Draft) -> Admitted | list[FieldError]:
        """The draft with its names resolved, or everything that is wrong with it."""
        errors = self._scalars(draft)
        category = self.categories.get(draft.category)
        if category is None:
            errors.append(FieldError("/category", "unknown", f"There is no category {draft.category!r}."))
        template, content = self._content(draft, errors)
        if errors or category is None:
            return errors
        available = template.channels if template else frozenset(content or ())
        channels = self._resolve_channels(draft, category, available, errors)
        if errors:
            return errors
        priority = str(draft.priority or category.default_priority)
        return Admitted(draft, category, template, content, channels, priority)

    def _scalars(self, draft: Draft) -> list[FieldError]:
        errors: list[FieldError] = []
        if draft.priority is not None and draft.priority not in _PRIORITIES:
            allowed = ", ".join(Priority.values)
            errors.append(FieldError("/priority", "invalid", f"Priority is one of {allowed}."))
        for name, value in (("data", draft.data), ("metadata", draft.metadata)):
            if value:
                errors.extend(_check_json(name, value))
        if draft.dedup_key and not (len(draft.dedup_key) <= 128 and storable(draft.dedup_key)):
            message = "A dedup key has at most 128 characters of valid Unicode and no NUL."
            errors.append(FieldError("/dedup_key", "invalid", message))
        if draft.send_at is not None or draft.expires_at is not None:
            errors.extend(self._check_times(draft))
        return errors

    def _check_times(self, draft: Draft) -> list[FieldError]:
        for name, value in (("send_at", draft.send_at), ("expires_at", draft.expires_at)):
            if value is None:
                continue
            if value.tzinfo is None:
                return [
                    FieldError(f"/{name}", "naive", "Give the time with its offset, for example 2027-01-31T09:00:00Z.")
                ]
            if not fits_utc(value):
                return [FieldError(f"/{name}", "invalid", "In UTC this lies outside the years 1 to 9999.")]
            if value > self.now + MAX_AHEAD:
                return [FieldError(f"/{name}", "too_far", f"At most {MAX_AHEAD.days} days ahead.")]
        if draft.send_at is not None and draft.send_at < self.now - MAX_LATE:
            hours = MAX_LATE // timedelta(hours=1)
            return [FieldError("/send_at", "too_old", f"That was more than {hours} hours ago; leave it out for now.")]
        if draft.expires_at is not None and draft.expires_at <= max(draft.send_at or self.now, self.now):
            return [FieldError("/expires_at", "too_early", "It expires before it could be sent.")]
        return []

    def _content(
        self, draft: Draft, errors: list[FieldError]
    ) -> tuple[PublishedTemplate | None, Mapping[str, Mapping[str, str]] | None]:
        if (draft.template is None) == (draft.content is None):
            errors.append(FieldError("/template", "one_of", "Give either a template or content, not both or neither."))
            return None, None
        if draft.template is not None:
            return self._template(draft.template, errors), None
        try:
            return None, normalise_inline(draft.content or {})
        except ContentInvalid as error:
            errors.extend(error.errors)
            return None, None

    def _template(self, slug: str, errors: list[FieldError]) -> PublishedTemplate | None:
        found = self._templates.get(slug)
        if found is None:
            errors.append(FieldError("/template", "unknown", f"There is no published template {slug!r}."))
        return found

    def _resolve_channels(
        self, draft: Draft, category: CategoryInfo, available: frozenset[str], errors: list[FieldError]
    ) -> tuple[str, ...]:
        asked = None if draft.channels is None else tuple(draft.channels)
        memo = (asked, category.id, available)
        if (known := self._channels.get(memo)) is not None:
            return known
        errors.extend(_check_channels(asked, available))
        if errors:
            return ()
        channels = tuple(str(c) for c in (asked or category.channels) if c in available)
        if not channels:
            errors.append(
                FieldError("/channels", "no_content", "The content covers none of the channels of this category.")
            )
            return ()
        self._channels[memo] = channels
        return channels


def _check_channels(asked: Sequence[str] | None, available: frozenset[str]) -> list[FieldError]:
    if asked is None:
        return []
    if not asked:
        return [FieldError("/channels", "empty", "Name at least one channel, or leave it out for the category's.")]
    errors = []
    for position, channel in enumerate(asked):
        if channel not in _CHANNELS:
            allowed = ", ".join(Channel.values)
            errors.append(FieldError(f"/channels/{position}", "invalid", f"A channel is one of {allowed}."))
        elif channel not in available:
            errors.append(FieldError(f"/channels/{position}", "no_content", f"There is no content for {channel}."))
        elif channel in asked[:position]:
            errors.append(FieldError(f"/channels/{position}", "repeated", f"{channel} is named twice."))
    return errors


def _check_json(name: str, value: object) -> list[FieldError]:
    if not isinstance(value, Mapping):
        return [FieldError(f"/{name}", "invalid", "Must be an object.")]
    try:
        raw = orjson.dumps(value)
    except (TypeError, ValueError):
        return [FieldError(f"/{name}", "invalid", "Must be an object of plain JSON values with valid Unicode text.")]
    if len(raw) > MAX_JSON_BYTES:
        return [FieldError(f"/{name}", "too_large", f"At most {MAX_JSON_BYTES} bytes as JSON.")]
    if rb"\u0000" in raw and _has_nul(value):  # a backslash before it makes it six harmless characters
        return [FieldError(f"/{name}", "invalid", "NUL characters cannot be stored.")]
    return []


def _has_nul(value: object) -> bool:
    """Whether a string in it, names included, has a NUL character."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return any(_has_nul(inner) for inner in value)
    return False
