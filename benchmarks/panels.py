"""How long the figures of a panel take when a year of a hundred million deliveries has been counted.

    python -m benchmarks.panels [--deliveries 100000000] [--repeat 30]

Fills the tables of counters as the pipeline and its roll-ups would have left them: forty categories of twenty services,
three thousand campaigns that carry most of the traffic, a rhythm of day and night and a busy last hour. Then every
function of `analytics.rollups.reading` is asked over spans of an hour to a year, for everything and narrowed in each
way. A table on stderr, JSON on stdout. Exits 1 when a p99 is 100 ms or more.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from benchmarks.environment import environment

#: What a panel may take, in milliseconds.
ALLOWED_MS = 100.0
WARM_UP = 3

SPANS = {
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
    "30 d": timedelta(days=30),
    "365 d": timedelta(days=365),
}
#: Days of each size that are filled; what is older is there in larger cells alone.
KEPT = {1: 3, 10: 15, 60: 62, 1440: 365}
#: Days that are filled by one statement.
AT_ONCE = {1: 1, 10: 5, 60: 16, 1440: 64}

TABLES = ("analytics_minutecount", "analytics_totalcell", "analytics_categorycell", "analytics_sourcecell")

#: What becomes of a message, as a share of those queued: outcome, reason, whether the provider is known, share.
_OUTCOMES = """
    VALUES ('queued', '', false, 1.0), ('sent', '', true, 0.97), ('delivered', '', true, 0.93),
           ('opened', '', true, 0.3), ('clicked', '', true, 0.06), ('bounced', '', true, 0.01),
           ('complained', '', true, 0.001), ('skipped', 'opted_out', false, 0.05),
           ('skipped', 'no_address', false, 0.03), ('skipped', 'suppressed', false, 0.01),
           ('skipped', 'duplicate', false, 0.004), ('deferred', 'unavailable', true, 0.02),
           ('deferred', 'timeout', true, 0.01), ('deferred', 'throttled', true, 0.01),
           ('held', 'rate_limit', true, 0.01), ('failed', 'rejected', true, 0.005),
           ('failed', 'invalid_address', true, 0.002), ('dead', 'unavailable', true, 0.0005)
     UNION ALL
    SELECT 'latency', lpad(n::text, 2, '0'), true, 0.97 * exp(-((n - 26) / 5.0) ^ 2 / 2) / 12.5
      FROM generate_series(14, 38) n
"""
#: Who sends what on which channel through whom, and its share of the traffic. A category has one service, every third
#: a second; the provider that stands second takes a tenth.
_SERVICES = """
    WITH ways (channel, provider, share) AS (
        VALUES ('email', 'simulated_email', 0.45), ('email', 'simulated_email_backup', 0.05),
               ('push', 'simulated_push', 0.27), ('push', 'simulated_push_backup', 0.03),
               ('sms', 'simulated_sms', 0.09), ('sms', 'simulated_sms_backup', 0.01), ('in_app', 'feed', 0.1)),
    pairs (source, category_id) AS (
        SELECT 'api:key' || c % 20, c FROM generate_series(1, 40) c
         UNION SELECT 'api:key' || (c + 7) % 20, c FROM generate_series(3, 40, 3) c)
    SELECT source, category_id, channel, provider, share / (SELECT count(*) FROM pairs) AS share FROM pairs, ways
"""
#: The lines that counters are of, each with its share of the messages queued. "accepted" has no channel.
_LINES = """
    CREATE TEMP TABLE lines AS
    SELECT *, row_number() OVER (ORDER BY random())::int AS no FROM (
        SELECT source, category_id, channel, CASE WHEN known THEN provider ELSE '' END AS provider, outcome, reason,
               sum(w.share * o.share)::float8 AS share
          FROM ways w, ({outcomes}) o (outcome, reason, known, share) GROUP BY 1, 2, 3, 4, 5, 6
         UNION ALL
        SELECT source, category_id, '', '', 'accepted', '', sum(share)::float8 * 0.6 FROM ways GROUP BY 1, 2) every
"""
#: A campaign sends within an hour from its start; what people do follows for two days.
_CAMPAIGNS = """
    CREATE TEMP TABLE campaigns AS
    SELECT n, 'campaign:' || n AS source, (n %% 40 + 1)::smallint AS category_id,
           date_trunc('hour', %(now)s - (n - 0.5) / %(campaigns)s * interval '365 days') AS start
      FROM generate_series(1, %(campaigns)s) n
"""
#: The counters of a span of cells. What is counted less than once a cell is one in every so many cells.
_FILL = """
    CREATE TEMP TABLE filled ON COMMIT DROP AS
    WITH paced AS (
        SELECT *, share * %(services)s * %(hours)s AS n,
               greatest(1, round(1 / (share * %(services)s * %(hours)s)))::int AS pace FROM lines),
    services AS (
        SELECT at, source, category_id, channel, provider, outcome, reason,
               CASE WHEN pace > 1 THEN 1 WHEN %(hours)s >= 24 THEN n
                    ELSE n * (1 - 0.7 * cos(extract(hour FROM at) / 12 * pi())) END AS n
          FROM paced, generate_series(%(since)s + no %% pace * %(width)s, %(until)s - %(width)s, pace * %(width)s) at),
    moments AS (
        SELECT date_bin(%(width)s, hour, %(origin)s) AS at, source, category_id,
               hour < start + interval '1 hour' AS first
          FROM campaigns, generate_series(start, start + interval '47 hours', least(%(width)s, interval '1 hour')) hour
         WHERE hour >= %(since)s AND hour < %(until)s AND start BETWEEN %(since)s - interval '2 days' AND %(until)s),
    mailings AS (
        SELECT at, source, category_id, channel, provider, outcome, reason,
               sum(share * %(each)s * least(1, %(hours)s)
                   * CASE WHEN outcome IN ('opened', 'clicked', 'delivered')
                          THEN CASE WHEN first THEN 0.8 ELSE 0.2 / 47 END
                          WHEN first THEN 1 ELSE 0 END) AS n
          FROM moments, campaign_lines GROUP BY 1, 2, 3, 4, 5, 6, 7),
    counted AS MATERIALIZED (
        SELECT at, source, category_id, channel, provider, outcome, reason, floor(n + random())::bigint AS count
          FROM (SELECT * FROM services UNION ALL SELECT * FROM mailings) expected)
    SELECT * FROM counted WHERE count > 0
"""


@dataclass(frozen=True, slots=True)
class Took:
    """One question: the function, what it was narrowed by, the span, and milliseconds of each time it was asked."""

    what: str
    where: str
    span: str
    times: list[float]

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.times)
        return {
            "p50_ms": round(ordered[len(ordered) // 2], 1),
            "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.panels", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--deliveries", type=int, default=100_000_000)
    parser.add_argument("--campaigns", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    with environment("database"):
        import django

        django.setup()
        began = time.monotonic()
        fill(options.deliveries, options.campaigns)
        stored = describe()
        print(f"Filled in {time.monotonic() - began:.0f} s: {stored}", file=sys.stderr)
        found = list(measure(options.repeat))
    worst = max(found, key=lambda took: took.figures()["p99_ms"])
    report = {
        "stored": stored,
        "questions": [{"what": t.what, "where": t.where, "span": t.span, **t.figures()} for t in found],
        "worst": {"what": worst.what, "where": worst.where, "span": worst.span, **worst.figures()},
    }
    print(json.dumps(report))
    return 0 if worst.figures()["p99_ms"] < ALLOWED_MS else 1


def fill(deliveries: int, campaigns: int) -> None:
    """Counters of so many deliveries over a year up to now: two fifths by services, the rest by campaigns."""
    from django.db import connection

    from analytics.models import RollupMark
    from analytics.rollups import rolling, spans
    from core.moments import database_now

    now = spans.floor(database_now())
    facts: dict[str, Any] = {
        "now": now,
        "campaigns": campaigns,
        "each": deliveries * 0.6 / campaigns,
        "origin": spans.ORIGIN,
    }
    busy = spans.floor(now - timedelta(hours=1), 60)
    begins = {size: spans.floor(now - timedelta(days=days), 1440) for size, days in KEPT.items()}
    ends = {1: now} | {size: spans.floor(now, size) for size in (10, 60, 1440)}
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET jit = off; SET work_mem = '512MB'; SELECT setseed(0.5)")
        cursor.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        cursor.execute(f"CREATE TEMP TABLE ways AS {_SERVICES}")
        cursor.execute(_LINES.format(outcomes=_OUTCOMES))
        cursor.execute(_CAMPAIGNS, facts)
        cursor.execute("""
            CREATE TEMP TABLE campaign_lines AS
            SELECT channel, provider, outcome, reason,
                   sum(share) / (SELECT sum(share) FROM ways WHERE channel IN ('email', 'push')) AS share
              FROM lines WHERE channel IN ('', 'email', 'push') GROUP BY 1, 2, 3, 4
        """)
        cursor.execute("ANALYZE lines; ANALYZE campaigns; ANALYZE campaign_lines")
        indexes = _without_indexes(cursor)
        for size in (1, 10, 60, 1440):
            at, end = begins[size], begins[60] if size == 1440 else ends[size]
            while at < end:
                until = min(at + timedelta(days=AT_ONCE[size]), end)
                if size < 1440 and at < busy < until:
                    until = busy
                rate = deliveries * 0.4 / (365 * 24) * (5 if at >= busy else 1)
                _fill(cursor, size, at, until, facts | {"services": rate})
                print(f"{size} min up to {until:%Y-%m-%d %H:%M}", end="\r", file=sys.stderr, flush=True)
                at = until
        for index in indexes:  # before the roll-up, which looks for its rows
            cursor.execute(index)
        rolling.make(cursor, 1440, begins[60], ends[1440])
        week = spans.floor(now, 10_080)
        rolling.make(cursor, 10_080, spans.floor(begins[1440], 10_080), week)
        for table in TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")
    for size, at in ends.items():
        RollupMark.objects.create(step=size, rolled_until=at if size > 1 else None, kept_since=begins[size])
    RollupMark.objects.create(step=10_080, rolled_until=week)


def _without_indexes(cursor: Any) -> list[str]:
    """Drop the indexes of the counters and return what makes them again: sorting once is quicker than 28 million
    descents."""
    cursor.execute(
        """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), conrelid::regclass::text, conname,
               pg_get_constraintdef(c.oid)
          FROM pg_index LEFT JOIN pg_constraint c ON conindid = indexrelid
         WHERE indrelid = ANY (%s::regclass[])
    """,
        [list(TABLES)],
    )
    again = []
    for index, definition, table, constraint, of_constraint in cursor.fetchall():
        if constraint:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
            again.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {of_constraint}")
        else:
            cursor.execute(f"DROP INDEX {index}")
            again.append(definition)
    return again


def _fill(cursor: Any, size: int, since: datetime, until: datetime, facts: Mapping[str, Any]) -> None:
    """The cells of one size of a span, into every table that has them."""
    from django.db import transaction

    width = timedelta(minutes=size)
    with transaction.atomic():
        cursor.execute(_FILL, {**facts, "since": since, "until": until, "width": width, "hours": size / 60})
        keys = "category_id, channel, provider, outcome, reason"
        if size == 1:
            cursor.execute(f"""
                INSERT INTO analytics_minutecount (minute, source, {keys}, shard, count)
                SELECT at, source, {keys}, 0, count FROM filled ORDER BY 1, 2
            """)
            return
        if size != 10:
            cursor.execute(f"""
                INSERT INTO analytics_sourcecell (step, at, source, {keys}, count)
                SELECT {size}, at, source, {keys}, count FROM filled
            """)
        for table, left in (("categorycell", keys), ("totalcell", keys.removeprefix("category_id, "))):
            cursor.execute(f"""
                INSERT INTO analytics_{table} (step, at, {left}, count)
                SELECT {size}, at, {left}, sum(count) FROM filled GROUP BY at, {left}
            """)


def describe() -> dict[str, Any]:
    """What was counted, in how many rows and bytes."""
    from django.db import connection

    from analytics.rollups import reading
    from core.moments import database_now

    sent = reading.tallies(since=database_now() - timedelta(days=365)).total("queued")
    rows = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}")
            count, size = cursor.fetchone()
            rows[table.removeprefix("analytics_")] = {"rows": count, "mb": round(size / 1e6)}
    return {"deliveries": sent, **rows}


def measure(repeat: int) -> Iterator[Took]:
    """Every question over every span."""
    from core.moments import database_now

    for (what, where), ask in questions().items():
        for name, length in SPANS.items():
            times = []
            for n in range(WARM_UP + repeat):
                since = database_now() - length
                began = time.perf_counter()
                ask(since)
                if n >= WARM_UP:
                    times.append((time.perf_counter() - began) * 1000)
            took = Took(what, where, name, times)
            print(f"{what:<28}{where:<12}{name:<8}{took.figures()}", file=sys.stderr)
            yield took


def questions() -> dict[tuple[str, str], Callable[[datetime], object]]:
    """What panels ask: (function, narrowed by) -> ask from a moment up to now."""
    from analytics.dashboard.charts import POINTS
    from analytics.rollups import reading
    from analytics.rollups.reading import Where

    wheres = {
        "all": Where(), "channel": Where(channel="email"), "category": Where(category_id=7),
        "provider": Where(provider="simulated_sms_backup"), "service": Where(source="api:key7"),
        "campaign": Where(source="campaign:2"),
    }  # fmt: skip
    found: dict[tuple[str, str], Callable[[datetime], object]] = {}
    for name, where in wheres.items():
        found |= {
            ("tallies", name): lambda at, w=where: reading.tallies(since=at, where=w),  # type: ignore[misc]  # bound early
            ("series by channel", name): lambda at, w=where: reading.series(["sent"], since=at, where=w, points=POINTS),  # type: ignore[misc]  # bound early
            ("latency", name): lambda at, w=where: reading.latency(since=at, where=w),  # type: ignore[misc]  # bound early
            ("latency series", name): lambda at, w=where: reading.latency_series(since=at, where=w, points=POINTS),  # type: ignore[misc]  # bound early
        }
    lost = ["failed", "bounced", "dead", "deferred"]
    of_category, of_provider = ["sent", "opened", "skipped", *lost[:3]], ["sent", *lost]
    for name in ("all", "channel", "category"):
        where = wheres[name]
        found |= {
            ("top sources", name): lambda at, w=where: reading.top("source", ["sent"], since=at, where=w),  # type: ignore[misc]  # bound early
            ("top categories", name): lambda at, w=where: reading.top("category", ["sent"], since=at, where=w),  # type: ignore[misc]  # bound early
            ("top reasons", name): lambda at, w=where: reading.top("reason", lost, since=at, where=w),  # type: ignore[misc]  # bound early
            ("series by outcome", name): lambda at, w=where: reading.series(  # type: ignore[misc]  # bound early
                ["sent", "skipped", *lost], by="outcome", since=at, where=w, points=POINTS
            ),
            ("by category", name): lambda at, w=where: reading.totals("category", of_category, since=at, where=w),  # type: ignore[misc]  # bound early
            ("by provider", name): lambda at, w=where: reading.totals("provider", of_provider, since=at, where=w),  # type: ignore[misc]  # bound early
            ("latency by provider", name): lambda at, w=where: reading.latency(by="provider", since=at, where=w),  # type: ignore[misc]  # bound early
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
