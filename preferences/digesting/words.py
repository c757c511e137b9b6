"""Writing what people say about digests: a batch of words of one recipient."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from preferences.choices import DigestRhythm
from preferences.digesting.models import DigestChoice
from preferences.digesting.rules import DigestWord
from preferences.errors import Problem
from preferences.models import Category, Recipient
from preferences.services import history, subjects
from preferences.services.inputs import DigestChange, Trace
from preferences.signals import digests_changed

_WHENS = {DigestRhythm.DAILY: frozenset({"at"}), DigestRhythm.WEEKLY: frozenset({"at", "weekday"})}
WEEKDAYS = range(7)


def said_by(recipient: Recipient) -> dict[int | None, DigestWord]:
    """A recipient's words by category; None is the word on all of them."""
    rows = DigestChoice.objects.filter(recipient=recipient).values_list("category_id", "rhythm", "at", "weekday")
    return {category_id: DigestWord(rhythm, at, weekday) for category_id, rhythm, at, weekday in rows}


def apply(external_id: str, changes: Sequence[DigestChange], trace: Trace) -> None:
    """Write these in a constant number of statements; a later word on the same thing wins.

    What was gathered by a rhythm that is changed here leaves at once (see `digests_changed`). Raises
    Recipient.DoesNotExist, and BatchRejected for what is unknown, or for gathering a required category.
    """
    categories = subjects.named(changes, _problem)
    wanted: dict[int | None, DigestWord | None] = {}
    for change in changes:
        category_id = None if change.category_slug is None else categories[change.category_slug].id
        wanted[category_id] = _word(change)
    recipient = subjects.held(external_id)
    said = said_by(recipient)
    news = {category_id: word for category_id, word in wanted.items() if word != said.get(category_id)}
    if news:
        history.note_digests(recipient.pk, said, news, trace)
        _write(recipient, news)
        _tell(recipient.id, news)


def _write(recipient: Recipient, news: Mapping[int | None, DigestWord | None]) -> None:
    gone = [category_id for category_id, word in news.items() if word is None]
    if gone:
        which = Q(category_id__in=[one for one in gone if one is not None])
        DigestChoice.objects.filter(which | Q(category=None) if None in gone else which, recipient=recipient).delete()
    DigestChoice.objects.bulk_create(
        [
            DigestChoice(
                recipient=recipient, category_id=category_id, rhythm=word.rhythm, at=word.at, weekday=word.weekday,
                updated_at=Now(),
            )
            for category_id, word in news.items()
            if word is not None
        ],
        update_conflicts=True,
        unique_fields=["recipient", "category"],
        update_fields=["rhythm", "at", "weekday", "updated_at"],
    )  # fmt: skip


def _tell(recipient_id: UUID, news: Mapping[int | None, DigestWord | None]) -> None:
    concerned = None if None in news else frozenset(one for one in news if one is not None)
    digests_changed.send(sender=DigestChoice, recipient_id=recipient_id, category_ids=concerned)


def _word(change: DigestChange) -> DigestWord | None:
    """To do with all categories as they do themselves is to say nothing."""
    if change.rhythm is None or (change.category_slug is None and change.rhythm == DigestRhythm.DEFAULT):
        return None
    return DigestWord(change.rhythm, change.at, change.weekday)


def _problem(change: DigestChange, categories: Mapping[str, Category]) -> Problem | None:
    if change.rhythm is not None and change.rhythm not in DigestRhythm.values:
        return Problem("rhythm", "unknown_rhythm", f"Unknown rhythm. One of: {', '.join(DigestRhythm.values)}.")
    return _timing_problem(change) or _category_problem(change, categories)


def _timing_problem(change: DigestChange) -> Problem | None:
    allowed = _WHENS.get(DigestRhythm(change.rhythm), frozenset()) if change.rhythm else frozenset()
    if change.at is not None and "at" not in allowed:
        return Problem("at", "not_applicable", "A time of day goes with daily and weekly.")
    if change.at is not None and (change.at.second or change.at.microsecond or change.at.tzinfo):
        return Problem("at", "invalid_time", "Hours and minutes, for example 18:30, in the person's own time zone.")
    if change.weekday is not None and "weekday" not in allowed:
        return Problem("weekday", "not_applicable", "A weekday goes with weekly.")
    if change.weekday is not None and change.weekday not in WEEKDAYS:
        return Problem("weekday", "invalid_weekday", "A weekday is 0 (Monday) to 6 (Sunday).")
    return None


def _category_problem(change: DigestChange, categories: Mapping[str, Category]) -> Problem | None:
    category = categories.get(change.category_slug or "")
    at_once = (None, DigestRhythm.DEFAULT, DigestRhythm.AS_IT_COMES)
    if category is not None and category.is_required and change.rhythm not in at_once:
        return Problem("rhythm", "required_category", "This category is required; its messages are never gathered.")
    return None
