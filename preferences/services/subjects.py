"""Whom and what a batch of words is about: the categories it names, its first faults, and the person, held."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from preferences.errors import BatchRejected, Problem
from preferences.models import Category, Recipient
from preferences.services.inputs import MAX_BATCH


class _Word(Protocol):
    @property
    def category_slug(self) -> str | None: ...


Word = TypeVar("Word", bound=_Word)
Categories = dict[str, Category]


def named(words: Sequence[Word], problem: Callable[[Word, Categories], Problem | None]) -> Categories:
    """The categories that these words name, read afresh: a cached one may be gone, a new one not yet cached. Raises
    BatchRejected with what `problem` finds wrong with each word."""
    if len(words) > MAX_BATCH:
        raise ValueError(f"At most {MAX_BATCH} words in one call; {len(words)} given.")
    slugs = {word.category_slug for word in words if word.category_slug is not None}
    # No more of a category than `problem` asks of it; nobody reads the rest, which would be a query each.
    categories = {one.slug: one for one in Category.objects.filter(slug__in=slugs).only("slug", "is_required")}
    errors = {n: [found] for n, word in enumerate(words) if (found := problem(word, categories))}
    if errors:
        raise BatchRejected(errors)
    return categories


def held(external_id: str) -> Recipient:
    """The person, locked until the transaction ends, with no more than their key: words are rows of their own. Raises
    Recipient.DoesNotExist."""
    return Recipient.objects.select_for_update(no_key=True).only("id").get(external_id=external_id)
