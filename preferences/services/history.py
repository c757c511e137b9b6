"""What was changed about people: written along with each change, and read for whom it is about."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from preferences.choices import Changed
from preferences.digesting.rules import DigestWord, spelled
from preferences.models import ChangeRecord
from preferences.services import subjects
from preferences.services.inputs import Trace

Words = Mapping[tuple[int | None, str], bool | None]
#: How a word stands in the history.
WORDS: Mapping[bool | None, str] = {True: "on", False: "off", None: ""}
ENABLED = {word: enabled for enabled, word in WORDS.items()}


class Change(NamedTuple):
    """One thing that was changed, as ChangeRecord keeps it."""

    what: Changed
    before: str
    after: str
    category_id: int | None = None
    channel: str = ""
    subject: str = ""


def note(recipient_id: UUID, changes: Iterable[Change], trace: Trace) -> None:
    """Into the history of one person, in one statement."""
    ChangeRecord.objects.bulk_create(
        [
            ChangeRecord(recipient_id=recipient_id, batch=trace.batch, way=trace.way, **change._asdict())
            for change in changes
        ]
    )


def note_words(recipient_id: UUID, words: Words, trace: Trace) -> None:
    """Before these words of a locked recipient are written: which of them say something new."""
    said = subjects.words_of(recipient_id)
    news = {key: enabled for key, enabled in words.items() if said.get(key) is not enabled}
    changes = (
        Change(Changed.PREFERENCE, WORDS[said.get((category_id, channel))], WORDS[enabled], category_id, channel)
        for (category_id, channel), enabled in news.items()
    )
    note(recipient_id, changes, trace)


def note_digests(
    recipient_id: UUID,
    said: Mapping[int | None, DigestWord],
    news: Mapping[int | None, DigestWord | None],
    trace: Trace,
) -> None:
    """What is said about digests, each as `digesting.rules.spelled` writes it."""
    changes = (
        Change(Changed.DIGEST, spelled(said.get(category_id)), spelled(word), category_id)
        for category_id, word in news.items()
    )
    note(recipient_id, changes, trace)


def newest(recipient_id: UUID, limit: int) -> list[ChangeRecord]:
    """The last changes of a person, newest first."""
    rows = ChangeRecord.objects.filter(recipient_id=recipient_id).select_related("category").order_by("-id")
    return list(rows[:limit])
