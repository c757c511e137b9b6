"""Overload: beyond a bound of work that is due and not sent, the API takes critical notifications alone.

What is accepted beyond that would only be late, and the record would grow without end. Critical ones are few and have
lanes of their own. Callers inside the process (`notify`, campaigns) keep a pace of their own and are not asked.
"""

import random
from collections.abc import Mapping, Sequence

from django.conf import settings
from django.db import connection

from notifications.choices import Channel, Priority
from notifications.drafts import Draft
from notifications.errors import CarillonError
from notifications.services.gauge import Gauge
from preferences.services import CategoryInfo, PreferencesService

#: When a refused caller may come back; drawn, so that they do not all come in the same second.
RETRY_AFTER_SECONDS = (5, 15)

# Lane by lane, because that is how the index goes; rows for later, of which there may be millions, are not read.
_DUE = """
SELECT count(*) FROM (
    SELECT 1
      FROM unnest(%(channels)s::text[]) AS channel(name)
     CROSS JOIN unnest(%(priorities)s::text[]) AS priority(name)
     CROSS JOIN LATERAL (
           SELECT 1 FROM notifications_outbox o
            WHERE o.channel = channel.name AND o.priority = priority.name AND o.due_at <= statement_timestamp()
            ORDER BY o.due_at LIMIT %(most)s) due
     LIMIT %(most)s) found
"""


class Overloaded(CarillonError):
    """More is due than may be; nothing was taken. `retry_after` in seconds."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.retry_after = random.randint(*RETRY_AFTER_SECONDS)


def count_due(most: int) -> int:
    """How many outbox rows are due, of `most` at most."""
    with connection.cursor() as cursor:
        lanes = {"channels": list(Channel.values), "priorities": list(Priority.values)}
        cursor.execute(_DUE, {**lanes, "most": most})
        found: int = cursor.fetchone()[0]
    return found


def new_gauge() -> Gauge:
    """Whether more than settings.OUTBOX_MAX_ROWS are due."""
    return Gauge("outbox", count_due, lambda: int(settings.OUTBOX_MAX_ROWS))


#: Shared by every caller of the process.
outbox_gauge = new_gauge()


def admit(drafts: Sequence[Draft], preferences: PreferencesService) -> None:
    """Raises Overloaded unless there is room, or every draft is critical, by itself or by its category."""
    if not outbox_gauge.is_full():
        return
    categories = preferences.categories({draft.category for draft in drafts})
    critical = sum(_is_critical(draft, categories) for draft in drafts)
    if critical == len(drafts):
        return
    reason = "More notifications wait to be sent than this installation takes on, so only critical ones are accepted."
    if critical:
        reason += f" {critical:,} of these {len(drafts):,} are critical: send those in a call of their own."
    raise Overloaded(f"{reason} Nothing was accepted; try again later.")


def _is_critical(draft: Draft, categories: Mapping[str, CategoryInfo]) -> bool:
    category = categories.get(draft.category)
    return (draft.priority or (category.default_priority if category else "")) == Priority.CRITICAL
