"""What a cancel takes out of digests: of those that still gather, and of those that are closed and have not left.

Its locks are those of every transaction that changes digests or stops what is on the record, and come in this order:

1. digests: by person, category, key and id, as acceptance opens them;
2. deliveries that may go out yet, by id and all at once: the cancelled ones' own and those of their digests. Workers
   claim and record them by id, several notifications' in one batch;
3. deliveries that wait in these digests: nobody changes them without the digest, or what that is sent as;
4. notifications.

So whoever waits for one of these holds nothing that another with the same digests wants first. One transaction goes
through this once: two pages of a source in one would come back to the digests. Workers lock the digests first, too,
when one comes back to them (`coming_back`). But they record their batch once per kind of outcome, to which there is no
order of deliveries, and take over a lost worker's before they know what it is; should it come to a deadlock by that,
both sides begin anew: a cancel by `deadlocks.repeated`, a worker as with any word that the database refused.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.digests.bundles import draft_of
from notifications.digests.reading import Bundle, Due, bundles_of
from notifications.digests.ways import Way, ways_of
from notifications.drafts import Draft
from notifications.errors import DraftsRejected
from notifications.services import tracking_sql as sql
from notifications.services.admission import Admission, Admitted
from notifications.services.tracking_sql import brothers_range, within
from preferences.services import CategoryInfo, PreferencesService

#: Locked first, as closing does: whoever comes second finds one closed, or the item gone.
_ITEMS = """
    SELECT i.notification_id, d.id, d.notification_id
      FROM notifications_digestitem i JOIN notifications_digest d ON d.id = i.digest_id
     WHERE i.notification_id = ANY($1::uuid[]) AND d.state <> 'empty'
     ORDER BY d.recipient_id, d.category_id, d.key COLLATE "C", d.id FOR UPDATE OF d
"""
_DROP_ITEMS = "DELETE FROM notifications_digestitem WHERE notification_id = ANY($1::uuid[])"
_LESS = """
    UPDATE notifications_digest d SET count = greatest(d.count - n.items, 0)
      FROM (SELECT id, count(*) AS items FROM unnest($1::uuid[]) AS id GROUP BY id) n WHERE d.id = n.id
"""
#: Parameters: notifications, the range of their deliveries; here and in the next.
WAITING = """
    SELECT id, notification_id, channel FROM notifications_delivery
     WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
       AND status = 'skipped' AND skip_reason = 'digested'
"""
#: Waiting, in a worker's hands, or given up and perhaps replayed. Locked: no worker takes up the old words meanwhile.
_ON_THEIR_WAY = """
    SELECT id, notification_id, channel, status FROM notifications_delivery
     WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3 AND status IN ('queued', 'sending', 'dead')
     ORDER BY id FOR UPDATE
"""
#: Parameters: `within`.
CANCEL_WAITING = """
    UPDATE notifications_delivery SET skip_reason = 'cancelled'
     WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
"""
_CLOSED = """
    SELECT id, recipient_id, category_id, is_test, channels, closes_at, notification_id
      FROM notifications_digest WHERE id = ANY($1::uuid[])
"""
#: Parameters: notifications, what they say now, and the range of their ids.
_SAY = """
    UPDATE notifications_notification n
       SET data = i.data::json, metadata = i.metadata::json, content = i.content::json,
           template_version_id = i.version, expires_at = i.expires_at
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[])
           AS i(id, data, metadata, content, version, expires_at)
     WHERE n.id = i.id AND n.id = ANY($1::uuid[]) AND n.id BETWEEN $7 AND $8
"""
#: What is in a worker's hands says nothing of these once it comes back, and then they are taken out as well.
_WISH = "UPDATE notifications_digest SET has_wish = TRUE WHERE id = ANY($1::uuid[]) AND NOT has_wish"


#: By what an item is, its digest, and what that is sent as when it is closed.
_Held = Mapping[Key, tuple[Key, Key | None]]
#: By what a digest is sent as, and by channel.
_Ways = Mapping[Key, Mapping[str, Way]]


class _Found(msgspec.Struct):
    """`items` and `doubtful` as in Taken; `closed` are items of which their digest has to be silent, `in_hand` digests
    that a worker has with some of them."""

    items: list[tuple[Key, Key, str]] = []
    doubtful: set[Key] = set()
    closed: set[Key] = set()
    in_hand: set[Key] = set()


class Taken(NamedTuple):
    """`unfinished`: the (delivery, notification, channel, status) that may go out yet, locked. `items`: the (delivery,
    notification, channel) that waited in a digest, and do not any more. `empty`: what digests go out as of which
    nothing is left by that. `is_wished`: a closed digest says nothing of them should it come back from a worker, who
    may have it in hand with them; what leaves so is none of `items`. `doubtful`: deliveries of `items` of which nobody
    knows whether they went with an earlier attempt."""

    unfinished: Sequence[tuple[Key, Key, str, str]]
    items: Sequence[tuple[Key, Key, str]] = ()
    empty: Sequence[Key] = ()
    is_wished: bool = False
    doubtful: Collection[Key] = ()


def take_out(cursor: CursorWrapper, notifications: Collection[Key]) -> Taken:
    """Take these out of the digests in which they wait. One that is closed already is written anew without them, on the
    channels by which it may go yet. What a worker has in hand leaves with them, and on a channel by which one has left,
    to another device, they stay."""
    cursor.execute(_ITEMS, [KeyArray.of(notifications)])
    held: _Held = {item: (digest, sent) for item, digest, sent in cursor.fetchall()}
    sent_as = {sent for _, sent in held.values() if sent is not None}
    unfinished = _on_their_way(cursor, notifications, sent_as)
    if not held:
        return Taken(unfinished)
    ways = ways_of(cursor, sent_as)
    found = _weighed(cursor, held, ways)
    if found.items:
        cursor.execute(CANCEL_WAITING, within([delivery for delivery, _, _ in found.items]))
    if gathering := [item for item in {item for _, item, _ in found.items} if held[item][1] is None]:
        cursor.execute(_DROP_ITEMS, [KeyArray.of(gathering)])
        cursor.execute(_LESS, [KeyArray.of([held[item][0] for item in gathering])])
    if not found.closed:
        return Taken(unfinished, found.items)
    cursor.execute(sql.CANCEL_NOTIFICATIONS, within(found.closed))
    if found.in_hand:
        cursor.execute(_WISH, [KeyArray.of(found.in_hand)])
    empty = _write_anew(cursor, {held[item][0] for item in found.closed}, ways)
    return Taken(unfinished, found.items, empty, True, found.doubtful)


def _weighed(cursor: CursorWrapper, held: _Held, ways: _Ways) -> _Found:
    """What of these items is taken out, and which digests have to say less."""
    cursor.execute(WAITING, brothers(held))
    found = _Found()
    for delivery, item, channel in cursor.fetchall():
        digest, sent = held[item]
        if sent is None:
            found.items.append((delivery, item, channel))
        elif (way := ways.get(sent, {}).get(channel)) is not None and way.is_open:
            found.closed.add(item)
            if way.is_free:
                found.items.append((delivery, item, channel))
                if way.may_have_left:
                    found.doubtful.add(delivery)
            elif not way.has_left:
                found.in_hand.add(digest)
    return found


def brothers(notifications: Iterable[Key]) -> list[KeyArray | UUID]:
    """The parameters that name the deliveries of these."""
    named = set(notifications)
    return [KeyArray.of(named), *brothers_range(named)]


def _on_their_way(
    cursor: CursorWrapper, notifications: Collection[Key], sent: Collection[Key]
) -> list[tuple[Key, Key, str, str]]:
    """What of these may go out yet, locked together with what their digests are `sent` as."""
    cursor.execute(_ON_THEIR_WAY, brothers([*notifications, *sent]))
    wanted = set(notifications)
    return [row for row in cursor.fetchall() if row[1] in wanted]


def _write_anew(cursor: CursorWrapper, digests: Collection[Key], ways: _Ways) -> list[Key]:
    """Have each of these closed digests say what is left of it; the notifications of those of which nothing is."""
    cursor.execute(_CLOSED, [KeyArray.of(digests)])
    sent: dict[Key, Due] = {}
    for id, recipient, category, is_test, channels, closes_at, notification in cursor.fetchall():
        sent[notification] = Due(ids.uuid(id), ids.uuid(recipient), category, is_test, tuple(channels), closes_at)
    bundles = bundles_of(cursor, list(sent.values()))
    left = [(key, due, bundles[due.id]) for key, due in sent.items() if due.id in bundles]
    said: dict[Key, Admitted] = {}
    if left:
        open_ = {key: {channel for channel, way in ways[key].items() if way.is_open} for key, _, _ in left}
        answers = _said([(due, bundle, open_[key]) for key, due, bundle in left])
        said = {key: answer for (key, _, _), answer in zip(left, answers, strict=True) if answer is not None}
        _say(cursor, said)
    return [key for key in sent if key not in said]


def _said(left: Sequence[tuple[Due, Bundle, set[str]]]) -> list[Admitted | None]:
    """Each as closing would word it, but on every channel by which it goes already; None where the one item left has
    expired since this transaction began. What has to be looked up is so once for all, as locks are held."""
    service = PreferencesService()
    categories = service.categories_by_id({due.category_id for due, _, _ in left})
    drafts = [_worded(due, bundle, categories[due.category_id], ways) for due, bundle, ways in left]
    known = service.categories({draft.category for draft in drafts})
    admission = Admission(known, service.reach([draft.recipient for draft in drafts]), drafts)
    said: list[Admitted | None] = []
    for (due, bundle, _), draft in zip(left, drafts, strict=True):
        if draft.expires_at is not None and draft.expires_at <= admission.now:
            said.append(None)
            continue
        answer = admission.admit(draft)
        if isinstance(answer, list):
            answer = admission.admit(draft_of(due, bundle, categories[due.category_id], plain=True))
        if isinstance(answer, list):
            raise DraftsRejected({len(said): answer})
        said.append(answer)
    return said


def _worded(due: Due, bundle: Bundle, category: CategoryInfo, ways: set[str]) -> Draft:
    draft = draft_of(due, bundle, category)
    return draft if ways <= set(draft.channels or ()) else draft_of(due, bundle, category, plain=True)


def _say(cursor: CursorWrapper, said: Mapping[Key, Admitted]) -> None:
    if not said:
        return
    answers = said.values()
    cursor.execute(
        _SAY,
        [
            KeyArray.of(said),
            [one.data.decode() for one in answers],
            [one.metadata.decode() for one in answers],
            [None if one.content is None else one.content.decode() for one in answers],
            [one.terms.template.version_id if one.terms.template else None for one in answers],
            [one.draft.expires_at for one in answers],
            ids.uuid(min(said)),
            ids.uuid(max(said)),
        ],
    )
