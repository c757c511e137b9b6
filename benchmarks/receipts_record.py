"""The record of `benchmarks.receipts`: messages that were sent, what is said of them, and what became of it."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

PROVIDER = "simulated_email"


class Told(NamedTuple):
    """One receipt: the vendor's word on a delivery."""

    delivery: UUID
    word: str


# One notification with one delivery for each id, to somebody of their own, as a worker would have left them.
_SENT = """
    INSERT INTO preferences_recipient (id, external_id, name, email, phone, locale, timezone, attributes)
    SELECT id, id::text, '', id || '@example.com', '', '', 'UTC', '{}' FROM unnest(%(ids)s::uuid[]) id;
    INSERT INTO notifications_notification
           (id, recipient_id, category_id, priority, source, is_test, data, metadata, dedup_key)
    SELECT id, id, 1, 'normal', 'campaign:' || %(seed)s, false, '{}', '{}', '' FROM unnest(%(ids)s::uuid[]) id;
    INSERT INTO notifications_delivery (id, notification_id, recipient_id, channel, priority, status, skip_reason,
           attempts, provider, error_code, sent_at)
    SELECT id, id, id, 'email', 'normal', 'sent', '', 1, %(provider)s, '', now() FROM unnest(%(ids)s::uuid[]) id;
"""


def sent(receipts: int, *, seed: int) -> list[Told]:
    """At least so many receipts of messages that are made for them: of a hundred, 99 are delivered, 40 opened, 10
    clicked, one bounces, and one in two thousand is marked as spam. In the order of the messages."""
    from django.db import connection

    from core import ids
    from notifications.bulk import uuid_array

    rng, told, made = random.Random(seed), list[Told](), list[bytes]()
    while len(told) < receipts:
        for key in ids.keys(1_000):
            made.append(key)
            told += [Told(ids.uuid(key), word) for word in _fate(rng.random())]
            if len(told) >= receipts:
                break
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for start in range(0, len(made), 20_000):
            part = uuid_array(made[start : start + 20_000])
            cursor.execute(_SENT, {"ids": part, "seed": str(seed), "provider": PROVIDER})
        cursor.execute("ANALYZE notifications_notification, notifications_delivery, preferences_recipient")
    return told


def _fate(draw: float) -> tuple[str, ...]:
    if draw < 0.01:
        return ("bounce",)
    if draw < 0.0105:
        return ("delivered", "spam_report")
    if draw < 0.11:
        return ("delivered", "open", "click")
    return ("delivered", "open") if draw < 0.41 else ("delivered",)


def webhooks(told: Sequence[Told], batch: int) -> list[bytes]:
    """Signed webhooks, a line each: the headers' three values and the body, separated by tabs. Good for nine minutes,
    for their vendor's clock is four minutes fast."""
    import msgspec
    from django.conf import settings

    from core import standard_webhooks
    from notifications.receivers import simulated

    secret, now = simulated.secret(PROVIDER, settings.SECRET_KEY), int(time.time()) + 240
    lines = []
    for number, start in enumerate(range(0, len(told), batch)):
        events = [
            simulated.Event(f"{one.delivery.hex}-{one.word}", one.word, f"{simulated.MESSAGE_PREFIX}{one.delivery.hex}")
            for one in told[start : start + batch]
        ]
        body = msgspec.json.encode(simulated.Webhook(events))
        signed = standard_webhooks.sign([secret], id=f"msg_{number}", timestamp=now, body=body)
        lines.append(b"\t".join((*(value.encode() for value in signed.values()), body)))
    return lines


def receipts() -> dict[str, int]:
    """What became of receipts, as it was counted."""
    from analytics.models import MinuteCount

    counted: Counter[str] = Counter()
    for reason, count in MinuteCount.objects.filter(outcome="receipt").values_list("reason", "count"):
        counted[reason] += count
    return dict(counted)


_STATES = """
    SELECT id, status, delivered_at IS NOT NULL, opened_at IS NOT NULL, clicked_at IS NOT NULL
      FROM notifications_delivery WHERE id BETWEEN %s AND %s
"""


def wrong(told: Sequence[Told]) -> int:
    """Deliveries that are not what they were told to be."""
    from django.db import connection

    words: dict[UUID, set[str]] = {}
    for one in told:
        words.setdefault(one.delivery, set()).add(one.word)
    with connection.cursor() as cursor:
        cursor.execute(_STATES, [min(words), max(words)])
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    return sum(found.get(id) != _state(said) for id, said in words.items())


def _state(said: set[str]) -> tuple[str, bool, bool, bool]:
    status = "bounced" if "bounce" in said else "delivered"
    return status, "delivered" in said, "open" in said, "click" in said


#: Of every delivery as it stands one number; their sum.
_STAND = """
    SELECT sum(hashtextextended(
               concat_ws(' ', id, status, sent_at, coalesce(delivered_at, 'epoch'), coalesce(opened_at, 'epoch'),
                         coalesce(clicked_at, 'epoch')), 0))
      FROM notifications_delivery
"""


def figures() -> dict[tuple[Any, ...], int]:
    """Every counter but those of receipts themselves, the numbers of events and suppressions, and the sum of all
    deliveries as they stand."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source, category_id, channel, provider, outcome, reason, sum(count)::bigint"
            " FROM analytics_minutecount WHERE outcome <> 'receipt' GROUP BY 1, 2, 3, 4, 5, 6"
        )
        found: dict[tuple[Any, ...], int] = {row[:6]: row[6] for row in cursor.fetchall()}
        cursor.execute("SELECT type, count(*) FROM notifications_deliveryevent GROUP BY 1")
        found |= {("events", type): count for type, count in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM preferences_suppression")
        found["suppressions",] = cursor.fetchone()[0]
        cursor.execute(_STAND)
        found["deliveries",] = int(cursor.fetchone()[0])
    return found
