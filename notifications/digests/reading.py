"""What was gathered, read without holding all of it: counted page by page, and kept are the newest that are shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from notifications.choices import Priority
from notifications.digests.sources import pages
from notifications.models import HoldKind
from notifications.services import tracking_sql as sql
from notifications.services.claims import Claim
from notifications.services.holds import holds
from notifications.services.tracking_sql import Row, by_id, of_record
from notifications.strategies import standing
from notifications.strategies.deciding import is_needless
from notifications.strategies.plan import decode

#: Items that a digest shows, the newest first; `more` says how many there were besides.
MAX_ITEMS = 20

#: Nothing of what they say. What has expired by now is out, however late the digest is. Read by `of_record`.
_STATE = """
    SELECT id, source, cancelled_at IS NOT NULL OR coalesce(expires_at <= now(), FALSE),
           template_version_id IS NOT NULL OR content IS NOT NULL, plan::text
      FROM notifications_notification WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
"""


class Due(NamedTuple):
    """A digest that is due, locked."""

    id: UUID
    recipient_id: UUID
    category_id: int
    is_test: bool
    channels: Sequence[str]
    closes_at: datetime

    @property
    def dedup_key(self) -> str:
        """Nothing else says the same."""
        return f"digest:{self.id}"

    @property
    def notification(self) -> Key:
        """What it is sent as: the same however often it is tried."""
        return ids.deterministic_key(self.closes_at, ("digest", self.id))


class Bundle(NamedTuple):
    """What is left of a digest's items: how many, since when, and the newest MAX_ITEMS of them, oldest first.
    `waits`: one is of a source with such a hold. All wait then: an item goes with this digest only, and what is of a
    cancelled campaign is taken out by that, which counts it."""

    total: int
    since: datetime
    newest: Sequence[Claim]
    waits: HoldKind | None


class _Tally(msgspec.Struct):
    count: int = 0
    oldest: Key = b""
    newest: list[Key] = []
    waits: HoldKind | None = None

    def take(self, key: Key, kind: str | None) -> None:
        """Count one more; `kind` is the hold of its source. A pause may last longer than what is being taken out."""
        self.count, self.oldest = self.count + 1, key
        if kind is not None and self.waits is not HoldKind.HELD:
            self.waits = HoldKind(kind)
        if len(self.newest) < MAX_ITEMS:
            self.newest.append(key)


def bundles_of(cursor: CursorWrapper, due: Sequence[Due]) -> dict[UUID, Bundle]:
    """Of those of which anything is left: without the cancelled, the expired and the erased, and without what the
    person knows already by a step that was not gathered."""
    recipients = by_id(cursor, sql.RECIPIENTS, {one.recipient_id.bytes for one in due})
    by_digest = {one.id.bytes: one for one in due if one.recipient_id.bytes in recipients}
    tallies = {digest: _Tally() for digest in by_digest}
    kinds = holds.kinds()
    for page in pages(cursor, by_digest):
        states = of_record(cursor, _STATE, [key for _, key in page])
        left = [(digest, key) for digest, key in page if (state := states.get(key)) is not None and _is_left(state)]
        needless = _needless(cursor, left, states, by_digest)
        for digest, key in left:
            if key not in needless:
                tallies[digest].take(key, kinds.get(states[key][1]))
    shown = of_record(cursor, sql.NOTIFICATIONS, [key for tally in tallies.values() for key in tally.newest])
    return {
        by_digest[digest].id: Bundle(
            tally.count,
            ids.made_at(tally.oldest),
            [_claim(key, by_digest[digest], shown, recipients) for key in reversed(tally.newest)],
            tally.waits,
        )
        for digest, tally in tallies.items()
        if tally.count
    }


def _is_left(state: Row) -> bool:
    _, _, is_over, has_words, _ = state
    return has_words and not is_over


def _needless(
    cursor: CursorWrapper, items: Sequence[tuple[Key, Key]], states: Mapping[Key, Row], by_digest: Mapping[Key, Due]
) -> set[Key]:
    """Of items with a plan: those that need not be told on the gathered channels any more."""
    planned = {key: (decode(states[key][4]), by_digest[digest]) for digest, key in items if states[key][4] is not None}
    if not planned:
        return set()
    found = standing.of(cursor, planned, planned)
    inbox = standing.inbox([leg for one in found.values() for leg in one.legs])
    return {key for key, (plan, due) in planned.items() if is_needless(plan, due.channels, found[key].legs, inbox)}


def _claim(key: Key, due: Due, notifications: Mapping[Key, Row], recipients: Mapping[Key, Row]) -> Claim:
    person = due.recipient_id.bytes
    row = (key, key, person, None, 1, 0, ids.made_at(key), due.closes_at)
    return Claim(("", Priority.NORMAL.value), row, notifications.get(key), recipients.get(person), None)
