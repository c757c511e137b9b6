"""What a draft must be before it is taken: checked without a query per draft, answered with a pointer per fault."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from core.moments import fits_utc
from notifications.choices import Channel, Priority
from notifications.drafts import Draft
from notifications.errors import ContentInvalid, FieldError
from notifications.services.json_objects import checked_json, dumps
from notifications.services.rendering import normalise_inline
from notifications.services.templates import PublishedTemplate, catalogue
from notifications.strategies.plan import Plan, choose
from preferences.services import CategoryInfo, Reach
from preferences.strategies import Asked, Refused, asked

#: A schedule further ahead than this is more likely a mistake in the year than a plan.
MAX_AHEAD = timedelta(days=366)
#: A time to send that passed longer ago than this is a mistake as well: nobody waits for such a message any more.
MAX_LATE = timedelta(days=1)
_CHANNELS = frozenset(Channel.values)
_PRIORITIES = frozenset(Priority.values)


def is_storable(value: str) -> bool:
    """Whether PostgreSQL can hold this text: no NUL, no lone surrogate."""
    if value.isascii():
        return "\x00" not in value
    try:
        return b"\x00" not in value.encode()
    except UnicodeEncodeError:
        return False


class Terms(msgspec.Struct, eq=False):
    """What drafts alike have in common: how their names were resolved. Without a template their content is inline.
    Compared by identity: alike drafts of one batch share one."""

    category: CategoryInfo
    template: PublishedTemplate | None
    channels: tuple[str, ...]
    priority: str
    plan: Plan | None = None


class Admitted(msgspec.Struct, gc=False):
    """A draft that passed, and its person. `data`, `metadata` and the inline content by channel are JSON, the same
    bytes for equal objects. The collector need not look: nothing in it refers back."""

    draft: Draft
    reach: Reach
    terms: Terms
    data: bytes
    metadata: bytes
    content: bytes | None


#: Category, template, its version, priority, channels asked for, channels of the inline content, strategy.
_Names = tuple[str, str | None, int | None, str | None, tuple[str, ...] | None, frozenset[str] | None, Asked | None]
#: An object without names, as JSON.
NOTHING = b"{}"


class Admission:
    """Checks the drafts of one batch; what it has to look up, it looks up once for all of them."""

    def __init__(
        self, categories: Mapping[str, CategoryInfo], reaches: Mapping[str, Reach], drafts: Iterable[Draft]
    ) -> None:
        self.categories = categories
        self.reaches = reaches
        self.now = datetime.now(UTC)
        wanted = {(draft.template, draft.template_version) for draft in drafts}
        slugs = {slug for slug, version in wanted if slug and version is None and is_storable(slug)}
        self._templates = catalogue.published_many(slugs)
        self._pinned = catalogue.pinned_many({version for slug, version in wanted if slug and version is not None})
        self._terms: dict[_Names, Terms] = {}
        self._written: tuple[object, bytes] = (None, NOTHING)
        self._read: tuple[object, Asked | None] = (None, None)

    def admit(self, draft: Draft) -> Admitted | list[FieldError]:
        """The draft with its names resolved, or everything that is wrong with it."""
        errors: list[FieldError] = []
        data = self._json("data", draft.data, errors) if draft.data else NOTHING
        metadata = self._json("metadata", draft.metadata, errors) if draft.metadata else NOTHING
        if draft.dedup_key and not (len(draft.dedup_key) <= 128 and is_storable(draft.dedup_key)):
            message = "A dedup key has at most 128 characters of valid Unicode and no NUL."
            errors.append(FieldError("/dedup_key", "invalid", message))
        if draft.digest_key and not (len(draft.digest_key) <= 128 and is_storable(draft.digest_key)):
            message = "A digest key has at most 128 characters of valid Unicode and no NUL."
            errors.append(FieldError("/digest_key", "invalid", message))
        if draft.send_at is not None or draft.expires_at is not None:
            errors.extend(self._check_times(draft))
        content = _inline(draft, errors)
        names: _Names = (
            draft.category,
            draft.template,
            draft.template_version,
            draft.priority,
            None if draft.channels is None else tuple(draft.channels),
            None if content is None else frozenset(content),
            None if draft.strategy is None else self._asked(draft.strategy, errors),
        )
        terms = self._terms.get(names) or self._resolve(names, errors)
        reach = self.reaches.get(draft.recipient)
        if reach is None:
            return [FieldError("/recipient", "unknown", f"There is no recipient {draft.recipient[:128]!r}."), *errors]
        if errors or terms is None:
            return errors
        return Admitted(draft, reach, terms, data, metadata, None if content is None else dumps(content))

    def _json(self, name: str, value: Mapping[str, object], errors: list[FieldError]) -> bytes:
        """An object as JSON. A campaign says the same to everybody: the object it gave last is not written again."""
        if value is self._written[0]:
            return self._written[1]
        if (raw := checked_json(name, value, errors)) is None:
            return NOTHING
        self._written = (value, raw)
        return raw

    def _asked(self, value: object, errors: list[FieldError]) -> Asked | None:
        """A strategy. A campaign asks for the same one for everybody: the object it gave last is not read again."""
        if value is self._read[0]:
            return self._read[1]
        try:
            found = asked(value)
        except Refused as refused:
            errors.extend(FieldError(f"/strategy{one.path}", one.code, one.message) for one in refused.faults)
            return None
        self._read = (value, found)
        return found

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

    def _resolve(self, names: _Names, errors: list[FieldError]) -> Terms | None:
        """What these names stand for; None when something is wrong, here or with the draft before."""
        slug, template_slug, version_id, priority, asked, inline, strategy = names
        if priority is not None and priority not in _PRIORITIES:
            allowed = ", ".join(Priority.values)
            errors.append(FieldError("/priority", "invalid", f"Priority is one of {allowed}."))
        category = self.categories.get(slug)
        if category is None:
            errors.append(FieldError("/category", "unknown", f"There is no category {slug!r}."))
        template = None if template_slug is None else self._template(template_slug, version_id, errors)
        if errors or category is None:
            return None
        available = template.channels if template else inline or frozenset()
        errors.extend(_check_channels(asked, available))
        errors.extend(_check_steps(strategy, asked, available))
        if errors:
            return None
        channels, plan = choose(strategy, category, asked, available)
        if not channels:
            message = "The content covers none of the channels of this category."
            errors.append(FieldError("/channels", "no_content", message))
            return None
        terms = self._terms[names] = Terms(
            category, template, channels, str(priority or category.default_priority), plan
        )  # fmt: skip
        return terms

    def _template(self, slug: str, version_id: int | None, errors: list[FieldError]) -> PublishedTemplate | None:
        """The version that is asked for; for none, the published one."""
        if version_id is None:
            template = self._templates.get(slug)
            if template is None:
                errors.append(FieldError("/template", "unknown", f"There is no published template {slug!r}."))
            return template
        pinned = self._pinned.get(version_id)
        if pinned is None or pinned.slug != slug:
            message = f"There is no version {version_id} of {slug!r} that was ever published."
            errors.append(FieldError("/template_version", "unknown", message))
            return None
        return pinned


def _inline(draft: Draft, errors: list[FieldError]) -> Mapping[str, Mapping[str, str]] | None:
    """The inline content by channel; None for a draft that names a template."""
    if (draft.template is None) == (draft.content is None):
        errors.append(FieldError("/template", "one_of", "Give either a template or content, not both or neither."))
        return None
    if draft.template is None and draft.template_version is not None:
        errors.append(FieldError("/template_version", "alone", "A version goes with its template."))
        return None
    if draft.content is None:
        return None
    try:
        return normalise_inline(draft.content)
    except ContentInvalid as error:
        errors.extend(error.errors)
        return None


def _check_steps(strategy: Asked | None, channels: Sequence[str] | None, available: frozenset[str]) -> list[FieldError]:
    """Steps of the sender's own name the channels: nothing else may, and each needs words to say."""
    if strategy is None or strategy.steps is None:
        return []
    if channels is not None:
        return [FieldError("/channels", "twice", "The steps of the strategy name the channels; leave these out.")]
    return [
        FieldError(f"/strategy/escalate/{n}/channel", "no_content", f"There is no content for {step.channel}.")
        for n, step in enumerate(strategy.steps)
        if step.channel not in available
    ]


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
