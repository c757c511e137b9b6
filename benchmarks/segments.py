"""How long an estimate and a sample take among a million people, of segments as managers build them.

    python -m benchmarks.segments [--recipients 1000000] [--repeat 30]

Fills a database of its own: people of a year with attributes, preferences and devices, a list of a tenth of them, and
two messages to each over the last nine weeks, of which a quarter was opened. Then each definition is estimated and
sampled; every estimate is held against an exact count that may take as long as it takes. A table on stderr, JSON on
stdout. Exits 1 when the p99 of an estimate is a second or more.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from benchmarks.environment import environment

ALLOWED_MS = 1000.0
WARM_UP = 2
#: Weeks over which messages were sent.
WEEKS = 9
#: People of one INSERT.
AT_ONCE = 100_000

#: A UUIDv7 of a moment, as a column.
_UUID7 = """(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7' || substr(md5({salt}), 1, 3)
            || '8' || substr(md5({salt}), 4, 15))::uuid"""

_PEOPLE = """
    INSERT INTO preferences_recipient
           (id, external_id, name, email, phone, locale, timezone, attributes, created_at, updated_at)
    SELECT {id}, 'person-' || n, 'Person ' || n,
           CASE WHEN mod(n, 20) = 0 THEN '' ELSE 'person-' || n || '@example.com' END,
           CASE WHEN mod(n, 3) = 0 THEN '' ELSE '+1202' || lpad(n::text, 7, '0') END,
           (ARRAY['en', 'de-DE', 'pt-BR', 'pt', 'fr'])[1 + mod(n * 7, 5)],
           (ARRAY['Europe/Berlin', 'America/Sao_Paulo', 'Asia/Tokyo', 'UTC'])[1 + mod(n, 4)],
           jsonb_build_object('plan', (ARRAY['free', 'free', 'free', 'pro', 'team'])[1 + floor(random() * 5)::int],
                              'orders', floor(random() * 50), 'city', 'City ' || mod(n, 500),
                              'renews', (date '2026-01-01' + mod(n, 365))::text, 'vip', mod(n, 100) = 0),
           at, at
      FROM (SELECT n, now() - interval '365 days' + n * interval '365 days' / %(recipients)s AS at
              FROM generate_series(%(first)s, %(last)s) n) people
"""
_MESSAGES = """
    INSERT INTO notifications_notification
           (id, recipient_id, category_id, data, priority, source, is_test, dedup_key, metadata, created_at)
    SELECT {id}, r.id, %(category)s, '{{}}', 'low', %(source)s, false, '', '{{}}', %(at)s
      FROM preferences_recipient r WHERE mod(abs(hashtext(r.external_id)), %(weeks)s) IN (%(week)s, %(other)s)
"""
_DELIVERIES = """
    INSERT INTO notifications_delivery
           (id, notification_id, recipient_id, channel, priority, status, skip_reason, attempts, holds, provider,
            error_code, created_at, sent_at, opened_at, clicked_at)
    SELECT overlay(n.id::text placing 'a' from 20 for 1)::uuid, n.id, n.recipient_id, 'email', 'low', 'sent', '', 1, 0,
           'simulated', '', n.created_at, n.created_at,
           CASE WHEN mod(abs(hashtext(n.id::text)), 4) = 0 THEN n.created_at + interval '2 hours' END,
           CASE WHEN mod(abs(hashtext(n.id::text)), 40) = 0 THEN n.created_at + interval '2 hours' END
      FROM notifications_notification n WHERE n.id >= %s AND n.id < %s
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.segments", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    with environment("database"):
        import django

        django.setup()
        began = time.monotonic()
        names = fill(options.recipients)
        stored = describe()
        print(f"Filled in {time.monotonic() - began:.0f} s: {stored}", file=sys.stderr)
        found = [measure(what, asked, options.repeat) for what, asked in definitions(names).items()]
    worst = max(found, key=lambda took: took["estimate"]["p99_ms"])
    print(json.dumps({"stored": stored, "definitions": found, "worst": worst["what"]}))
    return 0 if worst["estimate"]["p99_ms"] < ALLOWED_MS else 1


def fill(recipients: int) -> dict[str, Any]:
    """Everybody and everything. The list and the campaign that definitions name."""
    from django.db import connection

    from campaigns.models import Campaign, RecipientList
    from notifications.models import MessageTemplate
    from preferences.models import Category

    news, orders = (Category.objects.create(slug=slug, name=slug.title()) for slug in ("news", "orders"))
    template = MessageTemplate.objects.create(slug="news", name="News")
    campaign = Campaign.objects.create(name="News", template=template, category=news)
    list_ = RecipientList.objects.create(name="Readers", size=recipients // 10)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET jit = off; SET synchronous_commit = off; SELECT setseed(0.5)")
        people = _PEOPLE.format(id=_UUID7.format(at="at", salt="n::text || 'person'"))
        for first in range(1, recipients + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, recipients)
            cursor.execute(people, {"recipients": recipients, "first": first, "last": last})
        cursor.execute(
            "INSERT INTO preferences_preference (recipient_id, category_id, channel, enabled)"
            " SELECT id, CASE WHEN mod(abs(hashtext(external_id)), 3) = 0 THEN NULL ELSE %s END, 'email', false"
            "   FROM preferences_recipient WHERE mod(abs(hashtext(external_id)), 7) = 0",
            [news.pk],
        )
        cursor.execute(
            "INSERT INTO preferences_devicetoken (id, recipient_id, platform, token, token_hash, label, retired_reason)"
            " SELECT gen_random_uuid(), id, (ARRAY['apns', 'fcm'])[1 + mod(abs(hashtext(external_id)) / 2, 2)],"
            " external_id, md5(external_id), '', '' FROM preferences_recipient"
            "  WHERE mod(abs(hashtext(external_id)), 2) = 0"
        )
        cursor.execute(
            "INSERT INTO campaigns_recipientlistmember (list_id, recipient_id)"
            " SELECT %s, id FROM preferences_recipient WHERE mod(abs(hashtext(external_id)), 10) = 0",
            [list_.pk],
        )
        _fill_messages(cursor, {0: news.pk, 1: orders.pk}, campaign.source)
        tables = ("recipient", "preference", "devicetoken")
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(f'preferences_{table}' for table in tables)}")
        cursor.execute("VACUUM (ANALYZE) campaigns_recipientlistmember, notifications_notification")
        cursor.execute("VACUUM (ANALYZE) notifications_delivery")
    return {"list": list_.pk, "campaign": campaign.pk}


def _fill_messages(cursor: Any, categories: dict[int, int], campaign: str) -> None:
    """Two messages to each person, in two of the weeks; the last week's are of the campaign."""
    from core.ids import floor
    from core.moments import database_now
    from notifications import partitions

    now = database_now()
    partitions.ensure(now - timedelta(weeks=WEEKS + 1), WEEKS + 2)
    message = _MESSAGES.format(id=_UUID7.format(at="%(at)s::timestamptz", salt="r.external_id || %(at)s"))
    for week in range(WEEKS):
        at = now - timedelta(weeks=week, hours=3)
        cursor.execute(
            message,
            {
                "at": at,
                "category": categories[week % 2],
                "source": campaign if week == 0 else f"campaign:{1000 + week}",
                "weeks": WEEKS,
                "week": week,
                "other": (week + 3) % WEEKS,
            },
        )
        cursor.execute(_DELIVERIES, [str(floor(at)), str(floor(at + timedelta(milliseconds=2)))])
        print(f"{week + 1} of {WEEKS} weeks", end="\r", file=sys.stderr, flush=True)


def describe() -> dict[str, int]:
    from django.db import connection

    tables = {
        "recipients": "preferences_recipient",
        "preferences": "preferences_preference",
        "devices": "preferences_devicetoken",
        "members": "campaigns_recipientlistmember",
        "notifications": "notifications_notification",
        "deliveries": "notifications_delivery",
    }
    found = {}
    with connection.cursor() as cursor:
        for name, table in tables.items():
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[name] = int(cursor.fetchone()[0])
    return found


def definitions(names: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """As managers would build them, from the cheapest to the dearest."""

    def asked(field: str, op: str, value: Any = None) -> dict[str, Any]:
        return {"field": field, "op": op, **({} if value is None else {"value": value})}

    pro, email = asked("attributes.plan", "in", ["pro", "team"]), asked("email", "is_set")
    quiet = asked("sent", "not_within_days", {"days": 30})
    return {
        "everyone": {},
        "language is pt": {"all": [asked("language", "is", "pt")]},
        "plan is pro or team, has an email address": {"all": [pro, email]},
        "more than 40 orders or VIP": {
            "any": [asked("attributes.orders", "more_than", 40), asked("attributes.vip", "is_true")]
        },
        "known since less than 30 days": {"all": [asked("created_at", "within_days", 30)]},
        "name contains 99 (rare)": {"all": [asked("name", "contains", "n 9999")]},
        "not opted out of news by email": {
            "all": [asked("preference", "opted_in", {"channel": "email", "category": "news"})]
        },
        "has an iPhone, is not on a list": {
            "all": [asked("device", "has", "apns"), asked("list", "not_in", names["list"])]
        },
        "opened in the last 30 days": {"all": [asked("opened", "within_days", {"days": 30})]},
        "not notified for 30 days": {"all": [quiet]},
        "was sent the campaign, did not open it": {
            "all": [
                asked("sent", "within_days", {"days": 14, "campaign": names["campaign"]}),
                asked("opened", "not_within_days", {"days": 14, "campaign": names["campaign"]}),
            ]
        },
        "pro and (clicked in 60 days or quiet for 30)": {
            "all": [pro, {"any": [asked("clicked", "within_days", {"days": 60}), quiet]}]
        },
    }


def measure(what: str, definition: dict[str, Any], repeat: int) -> dict[str, Any]:
    """One definition: its estimate, its sample, and the truth."""
    from django.db import connection, transaction

    from campaigns.segments import WORK_MEM, estimate, sample, where

    guess, shown = estimate(definition), len(sample(definition))
    sql, parameters = where(definition)
    began = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
        cursor.execute(f"SELECT count(*) FROM preferences_recipient r WHERE {sql}", parameters)
        people = cursor.fetchone()[0]
    took: dict[str, Any] = {
        "what": what,
        "people": people,
        "count_ms": round((time.perf_counter() - began) * 1000),
        "estimated": guess.people,
        "is_exact": guess.is_exact,
        "shown": shown,
        "estimate": _times(lambda: estimate(definition), repeat),
        "sample": _times(lambda: sample(definition), repeat),
    }
    print(
        f"{what:<46}{people:>9} {'=' if guess.is_exact else '~'} {guess.people:<9}"
        f"count {took['count_ms']} ms  estimate {took['estimate']}  sample {took['sample']}  {shown} shown",
        file=sys.stderr,
    )
    return took


def _times(ask: Callable[[], object], repeat: int) -> dict[str, float]:
    times = []
    for n in range(WARM_UP + repeat):
        began = time.perf_counter()
        ask()
        if n >= WARM_UP:
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {
        "p50_ms": round(times[len(times) // 2], 1),
        "p99_ms": round(times[min(len(times) - 1, int(len(times) * 0.99))], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
