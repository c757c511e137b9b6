"""Adds each recorded batch to the counters, inside the batch's own transaction."""

from collections.abc import Mapping
from datetime import datetime

from core.postgresql.direct import direct_cursor
from notifications.observers import OutcomeKey

#: Rows a counter may be spread over. More than the transactions that record at once; past that, writers wait in turn.
SHARDS = 64
#: First key of the advisory locks that hand out the shards ("MinC").
LOCK_SPACE = 0x4D696E43

# One statement, whatever the batch. The shard is the first one that no other open transaction holds, so a writer never
# waits for another's row and two can't deadlock, however many batches one transaction records. Under little load all is
# in shard 0, so reading stays cheap too. The lock ends with the transaction.
UPSERT = """
WITH free AS MATERIALIZED (
    SELECT n FROM generate_series(0, $1::int - 1) n WHERE pg_try_advisory_xact_lock($2::int, n) LIMIT 1
)
INSERT INTO analytics_minutecount AS kept
    (minute, source, category_id, channel, provider, outcome, reason, shard, count)
SELECT date_trunc('minute', coalesce($3::timestamptz, now()), 'UTC'),
       k.source, k.category_id, k.channel, k.provider, k.outcome, k.reason,
       COALESCE((SELECT n FROM free), pg_backend_pid() % $1::int), k.count
FROM unnest($4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[])
     AS k (source, category_id, channel, provider, outcome, reason, count)
ON CONFLICT (minute, source, category_id, channel, provider, outcome, reason, shard)
DO UPDATE SET count = kept.count + EXCLUDED.count
"""


class MinuteCounts:
    """A `DeliveryObserver`: counters that commit with the batch or not at all."""

    def record(self, counts: Mapping[OutcomeKey, int], at: datetime | None = None) -> None:
        """Add a batch. The rows go in by key, so that writers who do share a shard lock them in one order."""
        if not counts:
            return
        keys = sorted(counts)
        columns = [[getattr(key, name) for key in keys] for name in OutcomeKey._fields]
        with direct_cursor() as cursor:
            cursor.execute(UPSERT, [SHARDS, LOCK_SPACE, at, *columns, [counts[key] for key in keys]])
