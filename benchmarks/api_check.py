"""Every answer of `benchmarks.api` against the record."""

from typing import Any

import orjson

#: One row per notification that was answered with 202: what was asked and what was answered.
_ANSWERED = (
    "CREATE TEMP TABLE answered (id uuid, recipient text, data jsonb, queued int, skipped int, duplicate boolean)"
)
_COLUMNS = "id, recipient, data, queued, skipped, duplicate"
#: In joins of whole tables: looked up row by row, a minute of bulk calls took a quarter of an hour to check.
_WRONG = """
WITH waiting AS MATERIALIZED (
    SELECT DISTINCT unnest(delivery_ids) AS id FROM notifications_outbox
), told AS MATERIALIZED (
    SELECT d.notification_id AS id,
           count(*) FILTER (WHERE d.status = 'queued' AND waiting.id IS NOT NULL) AS waiting,
           count(*) FILTER (WHERE d.status = 'skipped') AS skipped
      FROM notifications_delivery d LEFT JOIN waiting ON waiting.id = d.id GROUP BY d.notification_id)
SELECT count(*) FILTER (WHERE n.id IS NULL),
       count(*) FILTER (WHERE r.external_id <> a.recipient OR n.data::jsonb <> a.data
                           OR told.waiting <> a.queued OR told.skipped <> a.skipped)
  FROM answered a
  LEFT JOIN notifications_notification n ON n.id = a.id
  LEFT JOIN preferences_recipient r ON r.id = n.recipient_id
  LEFT JOIN told ON told.id = a.id
"""


class Check:
    """Gathers what was asked and answered; `verdict` compares it with the rows."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self._rows: list[tuple[Any, ...]] = []

    def add(self, documents: list[dict[str, Any]], answers: bytes) -> None:
        """`answers` as the client leaves them: `<number of the document> <status> <document>` a line."""
        for line in answers.splitlines():
            number, status, raw = line.split(b" ", 2)
            if status != b"202":
                self.refused[status.decode()] = self.refused.get(status.decode(), 0) + 1
                continue
            asked, answered = documents[int(number)], orjson.loads(raw)
            if "notifications" not in asked:
                self._rows.append(_row(asked, answered))
                continue
            for item, one in zip(asked["notifications"], answered["notifications"], strict=True):
                self._rows.append(_row(item, one))

    def verdict(self) -> dict[str, Any]:
        """`lost`: answered, and not on the record. `checked` is false when a row says otherwise than the answer, when
        there are rows that nobody was told of, or when a call was refused."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET work_mem = '256MB'")
            cursor.execute(_ANSWERED)
            with cursor.copy(f"COPY answered ({_COLUMNS}) FROM STDIN") as copy:
                for row in self._rows:
                    copy.write_row(row)
            cursor.execute("ANALYZE answered, notifications_notification, notifications_delivery, notifications_outbox")
            cursor.execute(_WRONG)
            lost, different = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM notifications_notification")
            recorded = cursor.fetchone()[0]
        distinct = len({row[0] for row in self._rows})
        return {
            "answered": len(self._rows),
            "lost": lost + len(self._rows) - distinct,
            "different": different,
            "unanswered_rows": recorded - distinct,
            "duplicates": sum(row[5] for row in self._rows),
            "refused": self.refused,
            "checked": not different and recorded == distinct and not self.refused,
        }


def _row(asked: dict[str, Any], answered: dict[str, Any]) -> tuple[Any, ...]:
    data = orjson.dumps(asked["data"]).decode()
    duplicate = answered["duplicate_of"] is not None
    return answered["id"], asked["recipient"], data, answered["deliveries"], answered["skipped"], duplicate
