"""What the record says happened, counted as the pipeline counts it: the truth that counters are compared with.

`RETOLD` are the outcomes that follow from events, that of the first of a notification's deliveries to be opened or
clicked among them; "accepted", "queued" and what else is counted without an event do not.
"""

from datetime import datetime, timedelta
from typing import Any

from core.ids import floor
from notifications import latency
from notifications.choices import EventType
from notifications.services import engagement

#: An event's id is made by the process that writes it, its time by the database: clocks may differ by this much.
CLOCK_SLACK = timedelta(hours=1)

RETOLD = (*EventType.values, latency.OUTCOME, *engagement.PEOPLE.values())

#: An id just before those of a notification and its deliveries: the front of theirs, which is a time. It says which
#: weeks of the record need not be looked into.
_ABOUT = "(left(first.notification::text, 8) || '-0000-0000-0000-000000000000')::uuid"

#: (minute, source, category, channel, provider, outcome, reason, count) of a span. Parameters: `span`.
HAPPENED = f"""
WITH told AS MATERIALIZED (
    SELECT date_trunc('minute', e.at, 'UTC') AS minute, n.source, n.category_id, d.channel, e.provider, e.type, e.code,
           e.at - greatest(d.created_at, n.send_at) AS age, n.id AS notification, e.id AS event, e.at
      FROM notifications_deliveryevent e
      JOIN notifications_delivery d ON d.id = e.delivery_id
      JOIN notifications_notification n ON n.id = d.notification_id
     WHERE e.id >= %(low)s AND e.id < %(high)s AND e.at >= %(since)s AND e.at < %(until)s
)
SELECT minute, source, category_id, channel, provider, type AS outcome, code AS reason, count(*) AS count
  FROM told GROUP BY 1, 2, 3, 4, 5, 6, 7
 UNION ALL
SELECT minute, source, category_id, channel, provider, %(latency)s,
       lpad(width_bucket(age, %(edges)s::interval[])::text, 2, '0'), count(*)
  FROM told WHERE type = 'sent' GROUP BY 1, 2, 3, 4, 5, 6, 7
 UNION ALL
SELECT minute, source, category_id, channel, provider, type || '_people', '', count(*)
  FROM (SELECT DISTINCT ON (notification, type) * FROM told WHERE type IN ('opened', 'clicked')
         ORDER BY notification, type, at, event) first
 WHERE NOT EXISTS (
       SELECT FROM notifications_delivery d
        WHERE d.notification_id = first.notification AND d.id >= {_ABOUT}
          AND CASE type WHEN 'opened' THEN d.opened_at ELSE d.clicked_at END < first.at)
 GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


def span(since: datetime, until: datetime) -> dict[str, Any]:
    """The parameters of HAPPENED for the minutes of [since, until)."""
    return {
        "since": since,
        "until": until,
        "low": floor(since - CLOCK_SLACK),
        "high": floor(until + CLOCK_SLACK),
        "latency": latency.OUTCOME,
        "edges": list(latency.EDGES),
        "retold": list(RETOLD),
    }
