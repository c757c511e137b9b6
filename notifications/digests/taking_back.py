"""What a cancel takes out of digests: of those that still gather, and of those that are closed and have not left.

Its locks are those of every transaction that changes digests or stops what is on the record, and come in this order:

1. digests: by person, category, key and id, as acceptance opens them;
2. deliveries that may go out yet, by id and all at once: the cancelled ones' own and those of their digests. Workers
   claim and record them by id, several notifications' in one batch;
3. deliveries that wait in these digests: nobody changes them without the digest, or what that is sent as;
4. notifications.

So whoever waits for one of these holds nothing that another with the same digests wants first. One transaction goes
through this once: two pages of a source in one would come back to the digests. A worker records its batch once per kind
of outcome, to which there is no order; should it come to a deadlock all the same, both sides begin anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.choices import Status
from notifications.digests.bundles import draft_of
from notifications.digests.reading import Bundle, Due, bundles_of
from notifications.digests.sources import digests_of, pages
from notifications.drafts import Draft
from notifications.errors import DraftsRejected
from notifications.services import tracking_sql as sql
from notifications.services.admission import Admission, Admitted
from notifications.services.claims import Back
from notifications.services.tracking_sql import brothers_range, of_record, within
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
_WAITING = """
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
#: What of these has left, or is leaving. Locked, so that of two that come back at once the second sees the first.
_GONE = """
    SELECT notification_id, channel FROM notifications_delivery
     WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
       AND status IN ('sending', 'sent', 'delivered', 'bounced') AND NOT id = ANY($4::uuid[])
     ORDER BY id FOR UPDATE
"""
_CANCELLED = """
    SELECT id FROM notifications_notification
     WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3 AND cancelled_at IS NOT NULL
"""
#: Parameters: `within`.
_CANCEL_WAITING = """
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
#: Of what a digest goes out as: the channels by which it may yet, and whether a worker has one in hand.
_Ways = Mapping[Key, Mapping[str, bool]]


class Taken(NamedTuple):
    """`unfinished`: the (delivery, notification, channel, status) that may go out yet, locked. `items`: the (delivery,
    notification, channel) that waited in a digest, and do not any more. `empty`: what digests go out as of which
    nothing is left by that. `is_wished`: a closed digest says nothing of them should it come back from a worker, who
    may have it in hand with them; what leaves so is none of `items`."""

    unfinished: Sequence[tuple[Key, Key, str, str]]
    items: Sequence[tuple[Key, Key, str]] = ()
    empty: Sequence[Key] = ()
    is_wished: bool = False


def take_out(cursor: CursorWrapper, notifications: Collection[Key]) -> Taken:
    """Take these out of the digests in which they wait. One that is closed already is written anew without them, on the
    channels by which it has not left. What a worker has in hand leaves with them."""
    cursor.execute(_ITEMS, [KeyArray.of(notifications)])
    held = {item: (digest, sent) for item, digest, sent in cursor.fetchall()}
    unfinished, ways = _on_their_way(cursor, notifications, {sent for _, sent in held.values() if sent is not None})
    if not held:
        return Taken(unfinished)
    cursor.execute(_WAITING, _brothers(held))
    items: list[tuple[Key, Key, str]] = []
    closed: set[Key] = set()
    for delivery, item, channel in cursor.fetchall():
        sent = held[item][1]
        is_in_hand = None if sent is None else ways.get(sent, {}).get(channel)
        if is_in_hand is not None:
            closed.add(item)
        if sent is None or is_in_hand is False:
            items.append((delivery, item, channel))
    if items:
        cursor.execute(_CANCEL_WAITING, within([delivery for delivery, _, _ in items]))
    if gathering := [item for item in {item for _, item, _ in items} if held[item][1] is None]:
        cursor.execute(_DROP_ITEMS, [KeyArray.of(gathering)])
        cursor.execute(_LESS, [KeyArray.of([held[item][0] for item in gathering])])
    if not closed:
        return Taken(unfinished, items)
    cursor.execute(sql.CANCEL_NOTIFICATIONS, within(closed))
    empty = _write_anew(cursor, {held[item][0] for item in closed}, ways)
    return Taken(unfinished, items, empty, is_wished=True)


def take_out_late(cursor: CursorWrapper, back: Collection[Back]) -> list[tuple[Key, Key, str, bool]]:
    """Of deliveries that came back, those of digests: the (delivery, notification, channel, may have left) of what was
    cancelled while they were in a worker's hands. They say nothing of it any more, so it is taken out of them at last;
    on a channel by which a digest has left, to another device, it stays. Costs a look at the items of these digests."""
    digests = digests_of(cursor, {one.notification for one in back})
    cancelled: dict[Key, Key] = {}
    for page in pages(cursor, digests):
        found = of_record(cursor, _CANCELLED, [item for _, item in page])
        cancelled.update((item, digests[digest]) for digest, item in page if item in found)
    if not cancelled:
        return []
    cursor.execute(_GONE, [*_brothers(cancelled.values()), KeyArray.of([one.delivery for one in back])])
    gone = set(cursor.fetchall())
    came: dict[tuple[Key, str], bool] = {}
    for one in back:
        if (one.notification, one.channel) not in gone:
            came[one.notification, one.channel] = one.may_have_left or came.get((one.notification, one.channel), False)
    cursor.execute(_WAITING, _brothers(cancelled))
    late = [
        (delivery, item, channel, came[cancelled[item], channel])
        for delivery, item, channel in cursor.fetchall()
        if (cancelled[item], channel) in came
    ]
    if late:
        cursor.execute(_CANCEL_WAITING, within([row[0] for row in late]))
    return late


def _brothers(notifications: Iterable[Key]) -> list[KeyArray | UUID]:
    """The parameters that name the deliveries of these."""
    named = set(notifications)
    return [KeyArray.of(named), *brothers_range(named)]


def _on_their_way(
    cursor: CursorWrapper, notifications: Collection[Key], sent: Collection[Key]
) -> tuple[list[tuple[Key, Key, str, str]], _Ways]:
    """What of these may go out yet, locked; and the same of what their digests are `sent` as, by channel."""
    cursor.execute(_ON_THEIR_WAY, _brothers([*notifications, *sent]))
    rows: list[tuple[Key, Key, str, str]] = cursor.fetchall()
    ways: dict[Key, dict[str, bool]] = {}
    for _, notification, channel, status in rows:
        if notification in sent:
            found = ways.setdefault(notification, {})
            found[channel] = found.get(channel, False) or status == Status.SENDING
    wanted = set(notifications)
    return [row for row in rows if row[1] in wanted], ways


def _write_anew(cursor: CursorWrapper, digests: Collection[Key], ways: _Ways) -> list[Key]:
    """Have each of these closed digests say what is left of it; the notifications of those of which nothing is."""
    cursor.execute(_CLOSED, [KeyArray.of(digests)])
    sent: dict[Key, Due] = {}
    for id, recipient, category, is_test, channels, closes_at, notification in cursor.fetchall():
        sent[notification] = Due(ids.uuid(id), ids.uuid(recipient), category, is_test, tuple(channels), closes_at)
    bundles = bundles_of(cursor, list(sent.values()))
    left = [(key, due, bundles[due.id]) for key, due in sent.items() if due.id in bundles]
    if left:
        said = _said([(due, bundle, set(ways[key])) for key, due, bundle in left])
        _say(cursor, [key for key, _, _ in left], said)
    return [key for key, due in sent.items() if due.id not in bundles]


def _said(left: Sequence[tuple[Due, Bundle, set[str]]]) -> list[Admitted]:
    """Each as closing would word it, but on every channel by which it goes already. What has to be looked up is so
    once for all, as locks are held."""
    service = PreferencesService()
    categories = service.categories_by_id({due.category_id for due, _, _ in left})
    drafts = [_worded(due, bundle, categories[due.category_id], ways) for due, bundle, ways in left]
    known = service.categories({draft.category for draft in drafts})
    admission = Admission(known, service.reach([draft.recipient for draft in drafts]), drafts)
    said: list[Admitted] = []
    for (due, bundle, _), draft in zip(left, drafts, strict=True):
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


def _say(cursor: CursorWrapper, notifications: Sequence[Key], said: Sequence[Admitted]) -> None:
    versions = [one.terms.template.version_id if one.terms.template else None for one in said]
    cursor.execute(
        _SAY,
        [
            KeyArray.of(notifications),
            [one.data.decode() for one in said],
            [one.metadata.decode() for one in said],
            [None if one.content is None else one.content.decode() for one in said],
            versions,
            [one.draft.expires_at for one in said],
            ids.uuid(min(notifications)),
            ids.uuid(max(notifications)),
        ],
    )
