"""What was changed about people: written along with each change, and read for whom it is about."""

from collections.abc import Mapping
from uuid import UUID

from preferences.choices import Changed
from preferences.digesting.rules import DigestWord, spelled
from preferences.models import ChangeRecord, Preference
from preferences.services.inputs import Trace

Words = Mapping[tuple[int | None, str], bool | None]
#: How a word stands in the history.
WORDS: Mapping[bool | None, str] = {True: "on", False: "off", None: ""}
ENABLED = {word: enabled for enabled, word in WORDS.items()}


def note_words(recipient_id: UUID, words: Words, trace: Trace) -> None:
    """Before these words of a locked recipient are written: which of them say something new."""
    rows = Preference.objects.filter(recipient_id=recipient_id).values_list("category_id", "channel", "enabled")
    said: dict[tuple[int | None, str], bool] = {
        (category_id, channel): enabled for category_id, channel, enabled in rows
    }
    ChangeRecord.objects.bulk_create(
        [
            ChangeRecord(
                recipient_id=recipient_id,
                batch=trace.batch,
                way=trace.way,
                what=Changed.PREFERENCE,
                category_id=category_id,
                channel=channel,
                before=WORDS[said.get((category_id, channel))],
                after=WORDS[enabled],
            )
            for (category_id, channel), enabled in words.items()
            if said.get((category_id, channel)) is not enabled
        ]
    )


def note_digests(
    recipient_id: UUID,
    said: Mapping[int | None, DigestWord],
    news: Mapping[int | None, DigestWord | None],
    trace: Trace,
) -> None:
    """What is said about digests, each as `digesting.rules.spelled` writes it."""
    ChangeRecord.objects.bulk_create(
        [
            ChangeRecord(
                recipient_id=recipient_id,
                batch=trace.batch,
                way=trace.way,
                what=Changed.DIGEST,
                category_id=category_id,
                before=spelled(said.get(category_id)),
                after=spelled(word),
            )
            for category_id, word in news.items()
        ]
    )


def newest(recipient_id: UUID, limit: int) -> list[ChangeRecord]:
    """The last changes of a person, newest first."""
    rows = ChangeRecord.objects.filter(recipient_id=recipient_id).select_related("category").order_by("-id")
    return list(rows[:limit])
