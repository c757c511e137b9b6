"""Taking back what was changed together: from the history, as far as nobody has changed it since."""

from collections.abc import Sequence
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models.functions import Now

from preferences import quiet_hours
from preferences.choices import Changed
from preferences.digesting import words as digest_words
from preferences.digesting.rules import read_word, spelled
from preferences.models import ALL_MARKETING, Category, ChangeRecord, DeviceToken, Recipient
from preferences.services import history, marketing, subjects
from preferences.services.history import ENABLED, Change
from preferences.services.inputs import DigestChange, PreferenceChange, RecipientInput, Trace, Window
from preferences.validation import DEFAULT_QUIET_HOURS, NO_QUIET_HOURS

if TYPE_CHECKING:
    from preferences.services.service import PreferencesService

#: What lies longer ago is no slip any more.
UNDO_WITHIN = timedelta(hours=1)
#: Why a device that a person removed is not used.
REMOVED = "removed"


def changes_of(recipient_id: UUID, batch: UUID) -> list[ChangeRecord]:
    """What was changed together and may be taken back; empty when it is too long ago."""
    rows = ChangeRecord.objects.filter(recipient_id=recipient_id, batch=batch, at__gt=Now() - UNDO_WITHIN)
    return list(rows.order_by("id").select_related("category"))


def undo(service: "PreferencesService", external_id: str, batch: UUID, trace: Trace) -> bool:
    """For PreferencesService.undo, which opened the transaction."""
    recipient = Recipient.objects.select_for_update(no_key=True).get(external_id=external_id)
    changes = changes_of(recipient.pk, batch)
    words = _words(recipient, [change for change in changes if change.what == Changed.PREFERENCE])
    words = [*_marketing(recipient, changes), *words]  # first: a no to all takes narrower words back
    fields: dict[str, Any] = {
        change.what: change.before
        for change in changes
        if change.what in (Changed.LOCALE, Changed.TIMEZONE) and getattr(recipient, change.what) == change.after
    }
    for change in changes:
        if change.what == Changed.QUIET_HOURS and _window_of(recipient) == change.after:
            fields["quiet_hours"] = _window(change.before)
    rhythms = _rhythms(recipient, [change for change in changes if change.what == Changed.DIGEST])
    devices = [change.subject for change in changes if change.what == Changed.DEVICE and change.after == "removed"]
    if words:
        service.set_preferences(external_id, words, trace)
    if rhythms:
        service.set_digests(external_id, rhythms, trace)
    if fields:
        service.upsert([RecipientInput(external_id=external_id, **fields)], trace)
    return bool(words or rhythms or fields or (devices and _restore(recipient, devices, trace)))


def _window_of(recipient: Recipient) -> str:
    """Their quiet hours as the history writes them."""
    if recipient.quiet_start is None or recipient.quiet_end is None:
        return NO_QUIET_HOURS if recipient.quiet_never else DEFAULT_QUIET_HOURS
    return quiet_hours.written(quiet_hours.minutes(recipient.quiet_start), quiet_hours.minutes(recipient.quiet_end))


def _window(text: str) -> Window | None:
    if text == NO_QUIET_HOURS:
        return "none"
    if text == DEFAULT_QUIET_HOURS:
        return None
    start, end = text.split("-")
    return time.fromisoformat(start), time.fromisoformat(end)


def _words(recipient: Recipient, changes: Sequence[ChangeRecord]) -> list[PreferenceChange]:
    said = subjects.words_of(recipient.pk)
    changes = [change for change in changes if change.subject != ALL_MARKETING]
    required = set(Category.objects.filter(is_required=True).values_list("pk", flat=True))
    return [
        PreferenceChange(change.category.slug if change.category else None, change.channel, ENABLED[change.before])
        for change in changes
        if said.get((change.category_id, change.channel)) is ENABLED[change.after]
        and not (change.category_id in required and change.before == "off")
    ]


def _rhythms(recipient: Recipient, changes: Sequence[ChangeRecord]) -> list[DigestChange]:
    """What was said about digests, where the word is still the one that was given then."""
    said = digest_words.said_by(recipient)
    back = []
    for change in changes:
        before = read_word(change.before)
        is_free = before is None or change.category is None or not change.category.is_required
        if is_free and spelled(said.get(change.category_id)) == change.after:
            slug = change.category.slug if change.category else None
            back.append(DigestChange.of(slug, before))
    return back


def _marketing(recipient: Recipient, changes: Sequence[ChangeRecord]) -> list[PreferenceChange]:
    stopped = marketing.stopped(recipient.pk)
    return [
        PreferenceChange(None, change.channel, False if change.before == "off" else None, marketing=True)
        for change in changes
        if change.subject == ALL_MARKETING and (change.channel in stopped) == (change.after == "off")
    ]


def _restore(recipient: Recipient, device_ids: Sequence[str], trace: Trace) -> bool:
    """Use devices again that the person removed; whether one was."""
    rows = DeviceToken.objects.filter(
        recipient=recipient, pk__in=device_ids, retired_at__isnull=False, retired_reason=REMOVED
    )
    restored = list(rows.values_list("pk", flat=True))
    rows.update(retired_at=None, retired_reason="")
    changes = [Change(Changed.DEVICE, "removed", "in use", subject=str(pk)) for pk in restored]
    history.note(recipient.pk, changes, trace)
    Recipient.objects.filter(pk=recipient.pk).update(preferences_changed_at=Now())
    return bool(restored)
