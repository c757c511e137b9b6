"""Writing what people want: a batch of words on channels and categories, of one recipient."""

from collections.abc import Mapping, Sequence

from django.db import connection
from django.db.models.functions import Now

from preferences.choices import Channel
from preferences.errors import Problem
from preferences.models import Category, Preference, Recipient
from preferences.services import history, marketing, subjects
from preferences.services.inputs import PreferenceChange, Trace


def apply(external_id: str, changes: Sequence[PreferenceChange], trace: Trace) -> None:
    """Write these, in a constant number of statements; a later word on the same thing wins.

    Raises Recipient.DoesNotExist, and BatchRejected for an unknown category or channel or a required category.
    """
    categories = subjects.named(changes, _problem)
    words: dict[tuple[int | None, str], bool | None] = {}
    for change in changes:
        if change.marketing:
            continue
        category = categories[change.category_slug] if change.category_slug is not None else None
        words[category.id if category else None, change.channel] = change.enabled
    recipient = subjects.held(external_id)
    marketing.apply(recipient.pk, {one.channel: one.enabled is not False for one in changes if one.marketing}, trace)
    history.note_words(recipient.pk, words, trace)
    _take_back(recipient, [key for key, enabled in words.items() if enabled is None])
    Preference.objects.bulk_create(
        [
            Preference(recipient=recipient, category_id=category_id, channel=channel, enabled=enabled, updated_at=Now())
            for (category_id, channel), enabled in words.items()
            if enabled is not None
        ],
        update_conflicts=True,
        unique_fields=["recipient", "category", "channel"],
        update_fields=["enabled", "updated_at"],
    )
    Recipient.objects.filter(pk=recipient.pk).update(preferences_changed_at=Now())


def _problem(change: PreferenceChange, categories: Mapping[str, Category]) -> Problem | None:
    if change.channel not in Channel.values:
        return Problem("channel", "unknown_channel", f"Unknown channel. One of: {', '.join(Channel.values)}.")
    if change.marketing and change.category_slug is not None:
        return Problem("marketing", "one_of", "Name a category or all marketing, not both.")
    category = categories.get(change.category_slug or "")
    if category is not None and category.is_required and change.enabled is False:
        return Problem("enabled", "required_category", "This category is required and cannot be switched off.")
    return None


def _take_back(recipient: Recipient, keys: Sequence[tuple[int | None, str]]) -> None:
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM preferences_preference p USING unnest(%s::int[], %s::text[]) AS gone(category_id, channel)"
            " WHERE p.recipient_id = %s AND p.channel = gone.channel"
            " AND p.category_id IS NOT DISTINCT FROM gone.category_id",
            [[key[0] for key in keys], [key[1] for key in keys], recipient.pk],
        )
