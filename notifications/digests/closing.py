"""Closing digests: what is due leaves as one message each, in the transaction that closes it.

Any number of processes may do it at once: each takes what no other has in hand. Whoever dies leaves everything as it
was; a committed digest is closed and its message on the record, both or neither.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.backends.utils import CursorWrapper

from core import ids
from core.faults import where
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.digests.bundles import draft_of
from notifications.digests.reading import Bundle, Due, bundles_of
from notifications.digests.sources import SOURCE
from notifications.errors import DraftsRejected
from notifications.models import HoldKind
from notifications.services.notification import NotificationService
from preferences.services import CategoryInfo, PreferencesService

log = structlog.get_logger(__name__)

#: Digests in one transaction.
CHUNK = 100
#: One that cannot be sent, or not yet, is tried again after this, so that it does not hold up the others.
SET_ASIDE_SECONDS = 600
#: The same while something is taken out of it, which takes a campaign's cancel seconds to minutes.
TAKING_BACK_SECONDS = 60

_DUE = """
    SELECT id, recipient_id, category_id, is_test, channels, closes_at FROM notifications_digest
     WHERE state = 'open' AND closes_at <= now() ORDER BY closes_at LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_ONE = """
    SELECT id, recipient_id, category_id, is_test, channels, closes_at FROM notifications_digest
     WHERE state = 'open' AND closes_at <= now() AND id = $1 FOR UPDATE SKIP LOCKED
"""
_CLOSE = """
    UPDATE notifications_digest
       SET state = CASE WHEN sent.notification_id IS NULL THEN 'empty' ELSE 'sent' END,
           closed_at = now(), notification_id = sent.notification_id
      FROM (SELECT i.id, nullif(i.notification_id, '00000000-0000-0000-0000-000000000000'::uuid) AS notification_id
              FROM unnest($1::uuid[], $2::uuid[]) AS i(id, notification_id)) sent
     WHERE notifications_digest.id = sent.id
"""
_SET_ASIDE = """
    UPDATE notifications_digest SET closes_at = now() + $2::float8 * interval '1 second', latest_at = NULL
     WHERE id = ANY($1::uuid[]) AND state = 'open'
"""
_NONE: Key = bytes(16)
#: For how long one waits with an item whose source is held.
_WAITS = {HoldKind.HELD: SET_ASIDE_SECONDS, HoldKind.CANCELLED: TAKING_BACK_SECONDS}


def close_due() -> Iterator[None]:
    """A task of maintenance: chunk by chunk until nothing is due."""
    while close_some() == CHUNK:
        yield


def close_some() -> int:
    """Close a chunk of what is due; how many. One that cannot be closed is set aside, the others go on."""
    taken: list[UUID] = []
    try:
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute(_DUE, [CHUNK])
            due = _read(cursor)
            taken = [one.id for one in due]
            _close(cursor, due)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        at = where(error)
        log.error("digests.chunk_failed", digests=len(taken), error=type(error).__name__, at=at)  # noqa: TRY400 - its text may quote content
        for id in taken:
            _close_alone(id)
    return len(taken)


def _close_alone(id: UUID) -> None:
    try:
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute(_ONE, [id])
            _close(cursor, _read(cursor))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        at = where(error)
        log.error("digests.set_aside", digest=str(id), error=type(error).__name__, at=at)  # noqa: TRY400 - its text may quote content
        with transaction.atomic(), direct_cursor() as cursor:
            _set_aside(cursor, [id], SET_ASIDE_SECONDS)


def _set_aside(cursor: CursorWrapper, digests: Collection[UUID], seconds: int) -> None:
    cursor.execute(_SET_ASIDE, [KeyArray.of([id.bytes for id in digests]), float(seconds)])


def _read(cursor: CursorWrapper) -> list[Due]:
    return [
        Due(ids.uuid(id), ids.uuid(recipient), category, is_test, tuple(channels), closes_at)
        for id, recipient, category, is_test, channels, closes_at in cursor.fetchall()
    ]


def _close(cursor: CursorWrapper, due: Sequence[Due]) -> None:
    if not due:
        return
    categories = PreferencesService().categories_by_id({one.category_id for one in due})
    bundles = bundles_of(cursor, due)
    for kind, seconds in _WAITS.items():
        if waiting := {id for id, bundle in bundles.items() if bundle.waits is kind}:
            _set_aside(cursor, waiting, seconds)
            due = [one for one in due if one.id not in waiting]
    told = [one for one in due if one.id in bundles]
    sent: dict[UUID, Key] = {}
    for (category_id, is_test), group in _alike(told).items():
        _send(group, bundles, categories[category_id], is_test=is_test)
        sent.update((one.id, one.notification) for one in group)
    cursor.execute(
        _CLOSE,
        [KeyArray.of([one.id.bytes for one in due]), KeyArray.of([sent.get(one.id, _NONE) for one in due])],
    )


def _alike(told: Sequence[Due]) -> Mapping[tuple[int, bool], list[Due]]:
    found: dict[tuple[int, bool], list[Due]] = defaultdict(list)
    for one in told:
        found[one.category_id, one.is_test].append(one)
    return found


def _send(group: Sequence[Due], bundles: Mapping[UUID, Bundle], category: CategoryInfo, *, is_test: bool) -> None:
    """One message for each. What a template or an item has that is refused is said in the built-in wording instead."""
    service, source = NotificationService(), f"{SOURCE}{category.slug}"[:64]
    drafts = [draft_of(one, bundles[one.id], category) for one in group]
    try:
        service.send(drafts, source=source, is_test=is_test, gather=False)
    except DraftsRejected as rejected:
        log.warning("digests.reworded", category=category.slug, digests=len(rejected.errors))
        for index in rejected.errors:
            drafts[index] = draft_of(group[index], bundles[group[index].id], category, plain=True)
        service.send(drafts, source=source, is_test=is_test, gather=False)
