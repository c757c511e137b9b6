"""Whom and what a batch of words is about: the categories it names, its first faults, and the person, held; and what
that person has said so far."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from preferences.errors import BatchRejected, Problem
from preferences.models import Category, Preference, Recipient
from preferences.services.inputs import MAX_BATCH


class _Word(Protocol):
    @property
    def category_slug(self) -> str | None: ...


Word = TypeVar("Word", bound=_Word)
Categories = dict[str, Category]


def named(words: Sequence[Word], problem: Callable[[Word, Categories], Problem | None]) -> Categories:
    """The categories that these words name, read afresh: a cached one may be gone, a new one not yet cached. Raises
    BatchRejected with what `problem` finds wrong with each word, and for a category that is not there."""
    if len(words) > MAX_BATCH:
        raise ValueError(f"At most {MAX_BATCH} words in one call; {len(words)} given.")
    slugs = {word.category_slug for word in words if word.category_slug is not None}
    # No more of a category than `problem` asks of it; nobody reads the rest, which would be a query each.
    categories = {one.slug: one for one in Category.objects.filter(slug__in=slugs).only("slug", "is_required")}
    faults = [problem(word, categories) or _unknown(word, categories) for word in words]
    errors = {n: [fault] for n, fault in enumerate(faults) if fault}
    if errors:
        raise BatchRejected(errors)
    return categories


def _unknown(word: _Word, categories: Categories) -> Problem | None:
    if word.category_slug is None or word.category_slug in categories:
        return None
    return Problem("category", "unknown_category", "There is no category of this slug.")


def words_of(recipient_id: UUID) -> dict[tuple[int | None, str], bool]:
    """On or off by category and channel, where they have said so; None is every category."""
    rows = Preference.objects.filter(recipient_id=recipient_id).values_list("category_id", "channel", "enabled")
    return {(category_id, channel): enabled for category_id, channel, enabled in rows}


def held(external_id: str) -> Recipient:
    """The person, locked until the transaction ends, with no more than their key: words are rows of their own. Raises
    Recipient.DoesNotExist."""
    return Recipient.objects.select_for_update(no_key=True).only("id").get(external_id=external_id)
