"""A record that has grown: millions of notifications of the last weeks, made inside PostgreSQL.

Each has a delivery and an event, of the sizes and in the mixture that a shop leaves behind; ids are UUIDv7 of evenly
spread moments, so that every row lies in the week it claims to be from. A tenth are in-app messages, and stand in
somebody's feed. Nothing of it is waiting to be sent.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notifications.partitions import Week

#: Weeks, this one and those before it.
WEEKS = 8
#: Backends that add rows at the same time.
BACKENDS = 2

# What is stored comes in rounds, in each of which everybody gets one notification. What is the same in every round
# is made once: who, the data, and the ends of the three ids.
_PEOPLE = """
    CREATE TABLE stored_people AS
    SELECT j, id AS recipient,
           '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15) AS notification,
           '7' || substr(h, 18, 3) || '9' || substr(h, 15, 15) AS delivery,
           '7' || substr(h, 9, 3) || 'a' || substr(h, 12, 15) AS event,
           h AS message,
           ('{"order": "S-' || j || '", "count": 3, "warehouse": "Lyon", "carrier": "Post", "percent": "20%",'
            ' "product": "Blue <kettle>", "amount": "12.50", "currency": "EUR", "due": "2027-01-31", "method": "card"}'
           )::jsonb AS data
      FROM (SELECT row_number() OVER (ORDER BY md5(id::text)) - 1 AS j, id, md5(id::text) AS h
              FROM preferences_recipient) numbered
"""

# Moments are even over the week; OFFSET keeps what is computed here from being computed again at each use. The mixture,
# in thousandths (`part`): 600 delivered, 318 sent, 50 skipped, 15 failed, 15 bounced, 2 dead. Channels: half email, a
# quarter push, 15% SMS, 10% in-app.
_ROUND = """
    SELECT person.*, %(round)s * %(people)s + j AS i, to_timestamp(ms / 1000.0) AS at, lpad(to_hex(ms), 12, '0') AS t,
           CASE WHEN part < 600 THEN 'delivered' WHEN part < 918 THEN 'sent' WHEN part < 968 THEN 'skipped'
                WHEN part < 983 THEN 'failed' WHEN part < 998 THEN 'bounced' ELSE 'dead' END AS status,
           (ARRAY['normal','normal','low','normal','high','normal','low','normal','normal','critical'])
               [(j + %(round)s) %% 10 + 1] AS priority
      FROM (SELECT *, (%(start)s + (%(round)s * %(people)s + j) * %(step)s)::bigint AS ms,
                   ((j * 7919 + %(round)s * 37) %% 1000)::int AS part,
                   (ARRAY['email','email','push','email','sms','email','push','in_app','email','push',
                          'sms','email','push','email','email','push','sms','in_app','email','email'])
                       [(j + %(round)s * 7) %% 20 + 1] AS channel
              FROM stored_people WHERE j < %(rows)s OFFSET 0) person
    OFFSET 0
"""

_INSERTS = {
    "notifications_notification": f"""
        (id, recipient_id, category_id, template_version_id, content, data, priority, source, is_test, dedup_key,
         metadata, created_at)
        SELECT (t || notification)::uuid, recipient, (%(categories)s::int[])[i %% 3 + 1],
               (%(versions)s::int[])[i %% 3 + 1], NULL, data, priority,
               CASE WHEN i %% 5 < 3 THEN %(campaigns)s || i / 50000 ELSE 'api:shop' END, false, '', '{{}}', at
          FROM ({_ROUND}) r
    """,
    "notifications_delivery": f"""
        (id, notification_id, recipient_id, channel, priority, status, skip_reason, attempts, holds, provider,
         error_code, created_at, sent_at, delivered_at)
        SELECT (t || delivery)::uuid, (t || notification)::uuid, recipient, channel, priority, status,
               CASE status WHEN 'skipped' THEN 'opted_out' ELSE '' END, 1, 0, 'simulated_' || channel,
               CASE status WHEN 'failed' THEN 'rejected' WHEN 'dead' THEN 'unavailable' ELSE '' END, at,
               CASE WHEN status IN ('sent', 'delivered', 'bounced') THEN at + interval '1 second' END,
               CASE status WHEN 'delivered' THEN at + interval '3 seconds' END
          FROM ({_ROUND}) r
    """,
    "notifications_deliveryevent": f"""
        (id, delivery_id, type, at, attempt, provider, code, provider_message_id, detail)
        SELECT (t || event)::uuid, (t || delivery)::uuid, status, at + interval '1 second', 1, 'simulated_' || channel,
               CASE status WHEN 'skipped' THEN 'opted_out' ELSE '' END, 'sim-' || message, ''
          FROM ({_ROUND}) r
    """,
}

#: The feeds: what was sent in-app, numbered per person. Read but for the newest two of each, which nobody has seen yet.
_FEED = """
    INSERT INTO channels_app_feeditem (id, recipient_id, seq, category, title, body, link, icon, data, created_at,
                                       seen_at, read_at, delivered_at)
    SELECT id, recipient_id, seq, 'orders', 'Order S-' || seq || ' is on its way', '3 items left Lyon with Post.',
           '/orders/S-' || seq, '', '{}', created_at, seen, seen, seen
      FROM (SELECT id, recipient_id, created_at,
                   row_number() OVER (PARTITION BY recipient_id ORDER BY id) AS seq,
                   CASE WHEN row_number() OVER (PARTITION BY recipient_id ORDER BY id DESC) > 2 THEN sent_at END AS seen
              FROM notifications_delivery
             WHERE channel = 'in_app' AND sent_at IS NOT NULL AND id < %s AND provider = 'simulated_in_app') numbered
"""
_CURSORS = """
    INSERT INTO channels_app_feedcursor (recipient_id, last_seq, version)
    SELECT recipient_id, max(seq), max(seq) FROM channels_app_feeditem GROUP BY recipient_id
"""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a week, and how many notifications lie in it."""

    week: "Week"
    seconds: float
    rows: int


def fill(total: int, before: datetime) -> dict[str, Any]:
    """Add `total` notifications made before a moment, over WEEKS weeks, and the feeds; what it took. Then everything is
    vacuumed and analysed, as autovacuum would have done it over those weeks."""
    from django.db import connection

    began = time.monotonic()
    spans = spans_of(total, before)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS stored_people")
        cursor.execute(_PEOPLE)
    shared = _catalogue()
    with ThreadPoolExecutor(BACKENDS) as pool:
        try:
            for span in pool.map(lambda span: _store(span, before, shared), reversed(spans)):
                print(f"stored {span.rows} of {span.week.suffix}, {time.monotonic() - began:.0f} s", file=sys.stderr)
        except BaseException:  # Ctrl-C too: nobody wants to wait for a week to be filled
            pool.shutdown(wait=False, cancel_futures=True)
            _cancel()
            raise
    _settle(before)
    weeks = [span.week.suffix for span in spans]
    return {"stored": total, "weeks": weeks, "fill_s": round(time.monotonic() - began)}


def spans_of(total: int, before: datetime) -> list[Span]:
    """From the oldest: as many for each hour of the weeks, the present one as far as it has come."""
    from notifications.partitions import Week

    this = Week.of(before)
    spans = [(this.next(-n), 7 * 86400.0) for n in range(WEEKS - 1, 0, -1)]
    spans.append((this, max(1.0, (before - this.start).total_seconds() - 1.0)))
    seconds = sum(length for _, length in spans)
    rows = [int(total * length / seconds) for _, length in spans]
    rows[0] += total - sum(rows)
    return [Span(week, length, n) for (week, length), n in zip(spans, rows, strict=True)]


def _catalogue() -> dict[str, Any]:
    from notifications.models import TemplateVersion
    from preferences.models import Category, Recipient

    return {
        "categories": list(Category.objects.order_by("id").values_list("id", flat=True)[:3]),
        "versions": list(TemplateVersion.objects.order_by("id").values_list("id", flat=True)[:3]),
        "people": Recipient.objects.count(),
    }


def _store(span: Span, before: datetime, shared: dict[str, Any]) -> Span:
    """One week in all tables. A week of the past is filled first and gets its indexes and its place as a partition
    afterwards, which takes half the time; the present one has both."""
    from django.db import connection, transaction

    from notifications.partitions import TABLES, Week, existing

    low, high = span.week.bounds
    try:
        for table, insert in _INSERTS.items():
            name = f"{table}_{span.week.suffix}"
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
                cursor.execute("SET LOCAL synchronize_seqscans = off")  # always from the first row: ids in order
                cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
                apart = span.week != Week.of(before)
                if apart:
                    if span.week.suffix in existing(table):
                        cursor.execute(f"DROP TABLE {name}")  # last week's, empty
                    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
                    cursor.execute(f"ALTER TABLE {name} SET (fillfactor = {TABLES[table]})")
                for values in _rounds(span, shared):
                    cursor.execute(f"INSERT INTO {name} {insert}", values)
                if apart:
                    cursor.execute(
                        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')"
                    )
    finally:
        connection.close()
    return span


def _rounds(span: Span, shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    people = shared["people"]
    for number, first in enumerate(range(0, span.rows, people)):
        yield {
            **shared, "round": number, "rows": span.rows - first, "start": int(span.week.start.timestamp() * 1000),
            "step": span.seconds * 1000 / span.rows, "campaigns": f"campaign:{span.week.suffix[-2:]}0",
        }  # fmt: skip


def _settle(before: datetime) -> None:
    from django.db import connection, transaction

    from core.ids import floor

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(_FEED, [str(floor(before))])
        cursor.execute(_CURSORS)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for table in vacuumed():
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        cursor.execute("CHECKPOINT")
        cursor.execute("RESET statement_timeout")


def _cancel() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
        )


def vacuumed() -> Sequence[str]:
    from notifications.partitions import TABLES

    return [*TABLES, "channels_app_feeditem", "channels_app_feedcursor"]
