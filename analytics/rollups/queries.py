"""The one query behind every figure: counters of a span, added up by what is asked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from analytics.rollups import spans
from analytics.rollups.figures import Where
from notifications import latency

#: What may be asked for -> how a counter says it. The empty name is the same for all.
_COLUMNS = {
    "": "''",
    "source": "source",
    "category": "category_id::text",
    "channel": "channel",
    "provider": "provider",
    "outcome": "outcome",
    "reason": "reason",
}


def sums(
    columns: Sequence[str],
    since: datetime,
    until: datetime | None,
    where: Where,
    outcomes: Sequence[str] = (),
    *,
    step: timedelta | None = None,
) -> list[tuple[Any, ...]]:
    """Rows of (*columns, count) over the whole minutes of [since, until); with `step`, of (when it begins, *columns,
    count). `outcomes`: these alone; none: all but latencies, which are no outcome of their own."""
    bins = [] if step is None else ["date_bin(%(step)s, minute, %(origin)s)"]
    chosen = bins + [_COLUMNS[name] for name in columns]
    groups = ", ".join(str(n) for n in range(1, len(chosen) + 1))
    params: dict[str, Any] = {"step": step, "origin": spans.ORIGIN}
    query = f"""
        SELECT {", ".join([*chosen, "sum(count)::bigint"])}
          FROM analytics_minutecount
         WHERE {" AND ".join(_conditions(since, until, where, outcomes, params))}
         {f"GROUP BY {groups}" if groups else "HAVING count(*) > 0"}
    """
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _conditions(
    since: datetime, until: datetime | None, where: Where, outcomes: Sequence[str], params: dict[str, Any]
) -> list[str]:
    """What a counter must be to be added up; its parameters go into `params`."""
    params |= {"since": spans.floor(since), "latency": latency.OUTCOME}
    found = ["minute >= %(since)s"]
    if until is not None:
        params["until"] = spans.floor(until)
        found.append("minute < %(until)s")
    if outcomes:
        params["outcomes"] = list(outcomes)
        found.append("outcome = ANY(%(outcomes)s)")
    else:
        found.append("outcome <> %(latency)s")
    for name in ("source", "category_id", "channel", "provider"):
        if (wanted := getattr(where, name)) not in ("", None):
            params[name] = wanted
            found.append(f"{name} = %({name})s")
    return found
