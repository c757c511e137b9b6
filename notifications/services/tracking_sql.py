"""The statements of DeliveryTracker. Each takes a batch and guards the status it moves from."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from core import ids
from notifications.choices import EventType

_CLAIMED = (
    "d.id, d.notification_id, d.recipient_id, d.device_token_id, d.attempts, d.holds, d.created_at, clock_timestamp()"
)
#: A restart of PostgreSQL may have kept a worker from recording in time: its lease is good for this long afterwards.
GRACE_SECONDS = 20
_LEASE_ENDS = f"greatest(lease_until, pg_postmaster_start_time() + interval '{GRACE_SECONDS} seconds')"

#: An event is made after its delivery, by a clock that is no further behind than this.
_CLOCK_MARGIN = timedelta(days=1)


def since(deliveries: Iterable[UUID]) -> str:
    """An id that no event of these deliveries lies before. Without such a bound every week of the record is searched:
    a year of them costs each batch of retries a tenth of a second."""
    return str(ids.floor(ids.made_at(min(deliveries)) - _CLOCK_MARGIN))


#: The hot path: queued -> sending, by id. Parameters: lease seconds, uuid[].
CLAIM = f"""
    UPDATE notifications_delivery d
       SET status = 'sending', attempts = d.attempts + 1, lease_until = now() + %s * interval '1 second'
     WHERE d.id = ANY(%s::uuid[]) AND d.status = 'queued'
 RETURNING {_CLAIMED}
"""

#: A lost worker's: sending with a lease that ran out.
RECLAIM = f"""
    UPDATE notifications_delivery d
       SET attempts = d.attempts + 1, lease_until = now() + %s * interval '1 second'
     WHERE d.id = ANY(%s::uuid[]) AND d.status = 'sending' AND {_LEASE_ENDS} < now()
 RETURNING {_CLAIMED}
"""

#: What another worker holds, for how many seconds more, and which attempt of its is under way.
HELD = f"""
    SELECT id, extract(epoch FROM {_LEASE_ENDS} - now())::float8, attempts - holds
      FROM notifications_delivery WHERE id = ANY(%s::uuid[]) AND status = 'sending' AND {_LEASE_ENDS} >= now()
"""

#: Earlier attempts whose outcome nobody knows: the provider may have taken the message. In the order they happened.
#: Parameters: ids, `since` of them.
DOUBTS = """
    SELECT delivery_id, provider FROM notifications_deliveryevent
     WHERE delivery_id = ANY(%s::uuid[]) AND id >= %s
       AND (type = 'reclaimed' OR (type = 'deferred' AND code IN ('timeout', 'internal')))
     ORDER BY id
"""

NOTIFICATIONS = """
    SELECT id, source, category_id, template_version_id, content, data, metadata, is_test,
           cancelled_at IS NOT NULL, expires_at IS NOT NULL AND expires_at <= now()
      FROM notifications_notification WHERE id = ANY(%s::uuid[])
"""

RECIPIENTS = """
    SELECT id, external_id, name, email, phone, locale, timezone, attributes, preferences_changed_at
      FROM preferences_recipient WHERE id = ANY(%s::uuid[])
"""

DEVICES = """
    SELECT id, platform, token FROM preferences_devicetoken WHERE id = ANY(%s::uuid[]) AND retired_at IS NULL
"""

OWNERS = "SELECT id, notification_id FROM notifications_delivery WHERE id = ANY(%s::uuid[])"

TESTS = "SELECT id FROM notifications_notification WHERE id = ANY(%s::uuid[]) AND is_test"

ORIGINS = "SELECT id, source, category_id FROM notifications_notification WHERE id = ANY(%s::uuid[])"

#: What ends or defers a claim. One statement per kind of result and cause, so that the ids are all that varies: a plain
#: list of ids is always found through the primary key, where a join with a list of rows may be planned as a scan.
#:
#: A provider's yes is a fact, whoever brings it; every other word counts only from the worker whose claim it was.
_MINE = "id = ANY(%s::uuid[]) AND status = 'sending' AND attempts = %s RETURNING id"

#: Parameters: provider, ids.
SENT = """
    UPDATE notifications_delivery
       SET status = 'sent', sent_at = now(), lease_until = NULL, error_code = '', provider = %s
     WHERE id = ANY(%s::uuid[]) AND status IN ('queued', 'sending')
"""

#: Attempts that already have their SENT event. Parameters: ids, `since` of them.
SENT_EVENTS = """
    SELECT delivery_id, attempt FROM notifications_deliveryevent
     WHERE delivery_id = ANY(%s::uuid[]) AND id >= %s AND type = 'sent'
"""

#: Parameters: SkipReason, ids, claim.
SKIPPED = f"""
    UPDATE notifications_delivery
       SET status = 'skipped', lease_until = NULL, skip_reason = %s, holds = holds + 1
     WHERE {_MINE}
"""

#: Nobody was asked: back to where it was, but for the number of the claim. Parameters: ids, claim.
PUT_BACK = f"""
    UPDATE notifications_delivery SET status = 'queued', lease_until = NULL, holds = holds + 1 WHERE {_MINE}
"""

#: Parameters: status ('failed', 'dead' or 'queued' for another try), FailureCode, provider, ids, claim.
UNSENT = f"""
    UPDATE notifications_delivery SET status = %s, lease_until = NULL, error_code = %s, provider = %s WHERE {_MINE}
"""

BURY = """
    UPDATE notifications_delivery SET status = 'dead', lease_until = NULL, error_code = 'internal'
     WHERE id = ANY(%s::uuid[]) AND status IN ('queued', 'sending')
 RETURNING id, notification_id, channel, priority, attempts - holds
"""

REPLAY = """
    UPDATE notifications_delivery SET status = 'queued', holds = attempts, error_code = ''
     WHERE id = ANY(%s::uuid[]) AND status = 'dead'
 RETURNING id, notification_id, channel, priority
"""

CANCEL_NOTIFICATION = """
    UPDATE notifications_notification SET cancelled_at = coalesce(cancelled_at, now()) WHERE id = %s
"""

CANCEL_DELIVERIES = """
    UPDATE notifications_delivery SET status = 'skipped', skip_reason = 'cancelled'
     WHERE notification_id = %s AND status = 'queued'
 RETURNING id, notification_id, channel
"""

#: A page of a source's notifications, by id. Parameters: low, high, source, limit.
SOURCE_PAGE = """
    SELECT id FROM notifications_notification WHERE id >= %s AND id < %s AND source = %s ORDER BY id LIMIT %s
"""

#: Deliveries of these notifications that have not ended.
UNFINISHED = """
    SELECT id, notification_id, status FROM notifications_delivery
     WHERE notification_id = ANY(%s::uuid[]) AND status IN ('queued', 'sending')
"""

CANCEL_NOTIFICATIONS = """
    UPDATE notifications_notification SET cancelled_at = now() WHERE id = ANY(%s::uuid[]) AND cancelled_at IS NULL
"""

CANCEL_QUEUED = """
    UPDATE notifications_delivery SET status = 'skipped', skip_reason = 'cancelled'
     WHERE id = ANY(%s::uuid[]) AND status = 'queued'
 RETURNING id, notification_id, channel
"""

#: How often each delivery outlived its worker. Parameters: ids, `since` of them.
RECLAIMS = """
    SELECT delivery_id, count(*) FROM notifications_deliveryevent
     WHERE delivery_id = ANY(%s::uuid[]) AND id >= %s AND type = 'reclaimed' GROUP BY delivery_id
"""

#: Taken before anything is changed, in one order everywhere, so that two batches of receipts cannot deadlock.
LOCK = """
    SELECT id, recipient_id FROM notifications_delivery WHERE id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE
"""

ADDRESSES = "SELECT id, email, phone FROM preferences_recipient WHERE id = ANY(%s::uuid[])"

_CHANGED = "RETURNING id, notification_id, channel"

#: What each kind of receipt moves, and from where. Engagement stands beside the status and is kept once.
RECEIPTS = {
    EventType.DELIVERED: f"""
        UPDATE notifications_delivery
           SET status = 'delivered', delivered_at = now(), sent_at = coalesce(sent_at, now()), lease_until = NULL
         WHERE id = ANY(%s::uuid[]) AND status IN ('queued', 'sending', 'sent') {_CHANGED}
    """,
    EventType.BOUNCED: f"""
        UPDATE notifications_delivery
           SET status = 'bounced', sent_at = coalesce(sent_at, now()), lease_until = NULL
         WHERE id = ANY(%s::uuid[]) AND status IN ('queued', 'sending', 'sent', 'delivered') {_CHANGED}
    """,
    EventType.COMPLAINED: """
        SELECT id, notification_id, channel FROM notifications_delivery
         WHERE id = ANY(%s::uuid[]) AND NOT id = ANY(ARRAY(
               SELECT delivery_id FROM notifications_deliveryevent
                WHERE delivery_id = ANY(%s::uuid[]) AND type = 'complained'))
    """,
    EventType.OPENED: f"""
        UPDATE notifications_delivery SET opened_at = now()
         WHERE id = ANY(%s::uuid[]) AND opened_at IS NULL AND status NOT IN ('skipped', 'failed', 'dead') {_CHANGED}
    """,
    EventType.CLICKED: f"""
        UPDATE notifications_delivery SET clicked_at = now(), opened_at = coalesce(opened_at, now())
         WHERE id = ANY(%s::uuid[]) AND clicked_at IS NULL AND status NOT IN ('skipped', 'failed', 'dead') {_CHANGED}
    """,
}
