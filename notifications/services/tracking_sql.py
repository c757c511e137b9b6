"""The statements of DeliveryTracker, for a direct cursor. Each takes a batch and guards the status it moves from.

A batch is told to PostgreSQL as its ids and as the range they lie in (`within`): by the range it knows the partitions.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.choices import EventType

Row = tuple[Any, ...]

_CLAIMED = (
    "d.id, d.notification_id, d.recipient_id, d.device_token_id, d.attempts, d.holds, d.created_at, clock_timestamp()"
)
#: A restart of PostgreSQL may have kept a worker from recording in time: its lease is good for this long afterwards.
GRACE_SECONDS = 20
_LEASE_ENDS = f"greatest(lease_until, pg_postmaster_start_time() + interval '{GRACE_SECONDS} seconds')"

#: An event is made after its delivery, by a clock that is no further behind than this.
_CLOCK_MARGIN = timedelta(days=1)


def since(deliveries: Iterable[Key]) -> UUID:
    """An id that no event of these deliveries lies before. Without such a bound every week of the record is searched:
    a year of them costs each batch of retries a tenth of a second."""
    return ids.floor(ids.made_at(min(deliveries)) - _CLOCK_MARGIN)


#: The deliveries of a notification are made in one call: milliseconds.
_ONE_CALL = 60_000
_LAST = (1 << 48) - 1


def brothers_range(deliveries: Collection[Key]) -> tuple[UUID, UUID]:
    """The ids between which the other deliveries of these deliveries' notifications lie. For any ids, as a caller may
    name what never was: of most UUIDs the time lies in no year that a datetime knows."""
    first, last = int.from_bytes(min(deliveries)[:6]), int.from_bytes(max(deliveries)[:6])
    return UUID(int=max(first - _ONE_CALL, 0) << 80), UUID(int=min(last + _ONE_CALL, _LAST) << 80 | (1 << 80) - 1)


def within(keys: Collection[Key]) -> tuple[KeyArray, UUID, UUID]:
    """The three parameters that name rows of the record by their ids: the ids, the lowest and the highest."""
    return KeyArray.of(keys), ids.uuid(min(keys)), ids.uuid(max(keys))


def _by_id(first: int, column: str = "id") -> str:
    """The condition for the parameters of `within`, the first of which has this number."""
    return f"{column} = ANY(${first}::uuid[]) AND {column} BETWEEN ${first + 1} AND ${first + 2}"


#: The hot path: queued -> sending, by id. Parameters: lease seconds, `within`.
CLAIM = f"""
    UPDATE notifications_delivery d
       SET status = 'sending', attempts = d.attempts + 1, lease_until = now() + $1::float8 * interval '1 second'
     WHERE {_by_id(2, "d.id")} AND d.status = 'queued'
 RETURNING {_CLAIMED}
"""

#: A lost worker's: sending with a lease that ran out. Parameters as for CLAIM.
RECLAIM = f"""
    UPDATE notifications_delivery d
       SET attempts = d.attempts + 1, lease_until = now() + $1::float8 * interval '1 second'
     WHERE {_by_id(2, "d.id")} AND d.status = 'sending' AND {_LEASE_ENDS} < now()
 RETURNING {_CLAIMED}
"""

#: Those of a lost worker that have been claimed so often. Parameters: `within`, attempts.
SUSPECTS = f"""
    SELECT id FROM notifications_delivery
     WHERE {_by_id(1)} AND status = 'sending' AND {_LEASE_ENDS} < now() AND attempts - holds >= $4
"""

#: What another worker holds, for how many seconds more, and which attempt of its is under way. Parameters: `within`.
HELD = f"""
    SELECT id, extract(epoch FROM {_LEASE_ENDS} - now())::float8, attempts - holds
      FROM notifications_delivery WHERE {_by_id(1)} AND status = 'sending' AND {_LEASE_ENDS} >= now()
"""

#: Earlier attempts whose outcome nobody knows: the provider may have taken the message. In the order they happened.
#: Parameters: ids, `since` of them.
DOUBTS = """
    SELECT delivery_id, provider FROM notifications_deliveryevent
     WHERE delivery_id = ANY($1::uuid[]) AND id >= $2
       AND (type = 'reclaimed' OR (type = 'deferred' AND code IN ('timeout', 'internal')))
     ORDER BY id
"""

#: What was told last of each of these deliveries. Parameters: ids, `since` of them.
LAST_EVENTS = """
    SELECT DISTINCT ON (delivery_id) delivery_id, type, code FROM notifications_deliveryevent
     WHERE delivery_id = ANY($1::uuid[]) AND id >= $2 ORDER BY delivery_id, id DESC
"""

#: Read by `of_record`, as the next but two; JSON comes as text.
NOTIFICATIONS = f"""
    SELECT id, source, category_id, template_version_id, content::text, data::text, metadata::text, is_test, send_at,
           cancelled_at IS NOT NULL, expires_at, plan::text
      FROM notifications_notification WHERE {_by_id(1)}
"""

#: Which of these notifications have a time to be sent that is yet to come. Read by `of_record`.
TO_COME = f"SELECT id, send_at FROM notifications_notification WHERE {_by_id(1)} AND send_at > now()"

#: Read by `by_id`, as the next.
RECIPIENTS = """
    SELECT id, external_id, name, email, phone, locale, timezone, attributes::text, preferences_changed_at,
           quiet_start, quiet_end, quiet_never
      FROM preferences_recipient WHERE id = ANY($1::uuid[])
"""

DEVICES = """
    SELECT id, platform, token FROM preferences_devicetoken WHERE id = ANY($1::uuid[]) AND retired_at IS NULL
"""

#: The moment of this transaction: of its events, and of what it counts.
NOW = "SELECT now()"

OWNERS = f"SELECT id, notification_id FROM notifications_delivery WHERE {_by_id(1)}"

TESTS = f"SELECT id FROM notifications_notification WHERE {_by_id(1)} AND is_test"

SOURCES = f"SELECT id, source FROM notifications_notification WHERE {_by_id(1)}"

ORIGINS = f"SELECT id, source, category_id, plan IS NOT NULL FROM notifications_notification WHERE {_by_id(1)}"

#: What ends or defers a claim. One statement per kind of result and cause, so that the ids are all that varies: a plain
#: list of ids is always found through the primary key, where a join with a list of rows may be planned as a scan.
#:
#: A provider's yes is a fact, whoever brings it; every other word counts only from the worker whose claim it was.
#: Parameters of each: claim, `within`, and what it says.
_MINE = f"{_by_id(2)} AND status = 'sending' AND attempts = $1 RETURNING id"

#: Parameters: provider, `within`.
SENT = f"""
    UPDATE notifications_delivery
       SET status = 'sent', sent_at = now(), lease_until = NULL, error_code = '', provider = $1
     WHERE {_by_id(2)} AND status IN ('queued', 'sending')
"""

#: Attempts that already have their SENT event. Parameters: ids, `since` of them.
SENT_EVENTS = """
    SELECT delivery_id, attempt FROM notifications_deliveryevent
     WHERE delivery_id = ANY($1::uuid[]) AND id >= $2 AND type = 'sent'
"""

#: Parameters: claim, `within`, SkipReason.
SKIPPED = f"""
    UPDATE notifications_delivery
       SET status = 'skipped', lease_until = NULL, skip_reason = $5, holds = holds + 1
     WHERE {_MINE}
"""

#: Nobody was asked: back to where it was, but for the number of the claim. Parameters: claim, `within`.
PUT_BACK = f"""
    UPDATE notifications_delivery SET status = 'queued', lease_until = NULL, holds = holds + 1 WHERE {_MINE}
"""

#: Parameters: claim, `within`, status ('failed', 'dead' or 'queued' for another try), FailureCode, provider.
UNSENT = f"""
    UPDATE notifications_delivery SET status = $5, lease_until = NULL, error_code = $6, provider = $7 WHERE {_MINE}
"""

#: From here on, where nothing else is said, the parameters are `within`.
BURY = f"""
    UPDATE notifications_delivery SET status = 'dead', lease_until = NULL, error_code = 'internal'
     WHERE {_by_id(1)} AND status IN ('queued', 'sending')
 RETURNING id, notification_id, channel, priority, attempts - holds
"""

REPLAY = f"""
    UPDATE notifications_delivery SET status = 'queued', holds = attempts, error_code = ''
     WHERE {_by_id(1)} AND status = 'dead'
 RETURNING id, notification_id, channel, priority
"""

#: Parameter: the notification.
CANCEL_NOTIFICATION = """
    UPDATE notifications_notification SET cancelled_at = coalesce(cancelled_at, now()) WHERE id = $1
"""

#: A page of a source's notifications, by id. Parameters: low, high, source, limit.
SOURCE_PAGE = """
    SELECT id FROM notifications_notification WHERE id >= $1 AND id < $2 AND source = $3 ORDER BY id LIMIT $4
"""

#: Deliveries of these notifications that may go out yet: those that have not ended, and the dead, which may be
#: put back. Parameter: their ids.
UNFINISHED = """
    SELECT id, notification_id, status FROM notifications_delivery
     WHERE notification_id = ANY($1::uuid[]) AND status IN ('queued', 'sending', 'dead')
"""

CANCEL_NOTIFICATIONS = f"""
    UPDATE notifications_notification SET cancelled_at = now() WHERE {_by_id(1)} AND cancelled_at IS NULL
"""

CANCEL_QUEUED = f"""
    UPDATE notifications_delivery SET status = 'skipped', skip_reason = 'cancelled'
     WHERE {_by_id(1)} AND status = 'queued'
 RETURNING id, notification_id, channel
"""

#: How often each delivery outlived its worker. Parameters: ids, `since` of them.
RECLAIMS = """
    SELECT delivery_id, count(*) FROM notifications_deliveryevent
     WHERE delivery_id = ANY($1::uuid[]) AND id >= $2 AND type = 'reclaimed' GROUP BY delivery_id
"""

#: Taken before anything is changed, in one order everywhere, so that two batches of receipts cannot deadlock.
LOCK = f"""
    SELECT id, recipient_id FROM notifications_delivery WHERE {_by_id(1)} ORDER BY id FOR UPDATE
"""

#: Read by `by_id`.
ADDRESSES = "SELECT id, email, phone FROM preferences_recipient WHERE id = ANY($1::uuid[])"

_CHANGED = "RETURNING id, notification_id, channel"

#: What each kind of receipt moves, and from where; a complaint moves nothing and is heard once, and takes `since` as
#: well. Opens and clicks have their own, below.
RECEIPTS = {
    EventType.DELIVERED: f"""
        UPDATE notifications_delivery
           SET status = 'delivered', delivered_at = now(), sent_at = coalesce(sent_at, now()), lease_until = NULL
         WHERE {_by_id(1)} AND status IN ('queued', 'sending', 'sent') {_CHANGED}
    """,
    EventType.BOUNCED: f"""
        UPDATE notifications_delivery
           SET status = 'bounced', sent_at = coalesce(sent_at, now()), lease_until = NULL
         WHERE {_by_id(1)} AND status IN ('queued', 'sending', 'sent', 'delivered') {_CHANGED}
    """,
    EventType.COMPLAINED: f"""
        SELECT id, notification_id, channel FROM notifications_delivery
         WHERE {_by_id(1)} AND NOT id = ANY(ARRAY(
               SELECT delivery_id FROM notifications_deliveryevent
                WHERE delivery_id = ANY($1::uuid[]) AND id >= $4 AND type = 'complained'))
    """,
}

#: Opens and clicks stand beside the status. Which of these deliveries were not both opened and clicked yet.
UNREAD = f"""
    SELECT notification_id FROM notifications_delivery WHERE {_by_id(1)} AND (opened_at IS NULL OR clicked_at IS NULL)
"""

#: All deliveries of these notifications. Parameters: their ids, `brothers_range`.
BROTHERS = """
    SELECT id FROM notifications_delivery WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
"""

STANDING = f"""
    SELECT id, notification_id, channel, status, sent_at, opened_at, clicked_at
      FROM notifications_delivery WHERE {_by_id(1)}
"""

READ = {
    EventType.OPENED: f"UPDATE notifications_delivery SET opened_at = now() WHERE {_by_id(1)} AND opened_at IS NULL",
    EventType.CLICKED: f"UPDATE notifications_delivery SET clicked_at = now() WHERE {_by_id(1)} AND clicked_at IS NULL",
}

#: How many opens and clicks each delivery has kept, and the links followed lately. Parameters: ids, `since`, seconds.
ENGAGED = """
    SELECT delivery_id, count(*), array_agg(detail) FILTER (
           WHERE (type IN ('clicked', 'reclicked') OR code LIKE 'click:%') AND provider = ''
             AND at > now() - $3::float8 * interval '1 second'),
           array_agg(provider || ' ' || code) FILTER (WHERE type = 'machine' AND provider <> '')
      FROM notifications_deliveryevent
     WHERE delivery_id = ANY($1::uuid[]) AND id >= $2
       AND type IN ('opened', 'clicked', 'reopened', 'reclicked', 'machine')
     GROUP BY delivery_id
"""

#: Clicks that are not to be applied yet. Parameters: ids, the seconds that a click waits.
FOLLOWING = """
    SELECT delivery_id, detail FROM notifications_receivedevent
     WHERE due_at > now() - interval '10 seconds' AND due_at <= now() + $2::float8 * interval '1 second'
       AND origin = 'link' AND type = 'clicked' AND delivery_id = ANY($1::uuid[])
"""


def of_record(cursor: CursorWrapper, query: str, wanted: Collection[Key]) -> dict[Key, Row]:
    """Rows of the record by id: of a query that takes `within` and selects the id first."""
    if not wanted:
        return {}
    cursor.execute(query, within(wanted))
    return {row[0]: row for row in cursor.fetchall()}


def by_id(cursor: CursorWrapper, query: str, wanted: Collection[Key]) -> dict[Key, Row]:
    """The same of another table: the query takes the ids alone."""
    if not wanted:
        return {}
    cursor.execute(query, [KeyArray.of(wanted)])
    return {row[0]: row for row in cursor.fetchall()}
