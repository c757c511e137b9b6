"""Many rows at once: the outbox insert."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import ids
from notifications import bulk
from notifications.models import OutboxMessage

pytestmark = pytest.mark.django_db


def test_a_schedule_is_written_in_one_statement_each_row_with_its_own_ids():
    one, two, later, alone = (ids.keys(n) for n in (5, 1, 2, 2))
    due = timezone.now() + timedelta(hours=1)
    schedule = bulk.Schedule(max_deliveries=2)
    schedule.extend("email", "normal", one)
    schedule.add("sms", "high", two[0], delay=60)
    schedule.extend("email", "normal", later, due_at=due)
    for key in alone:
        schedule.add_alone("push", "low", key, delay=5)

    with CaptureQueriesContext(connection) as queries:
        schedule.write()

    rows = [
        (row.channel, row.priority, [id.bytes for id in row.delivery_ids], row.takes)
        for row in OutboxMessage.objects.all()
    ]
    assert sorted(rows) == sorted(
        [
            ("email", "normal", one[:2], 0),
            ("email", "normal", one[2:4], 0),
            ("email", "normal", one[4:], 0),
            ("sms", "high", two, 0),
            ("email", "normal", later, 0),
            ("push", "low", alone[:1], 1),
            ("push", "low", alone[1:], 1),
        ]
    )
    assert OutboxMessage.objects.get(due_at=due).delivery_ids[0].bytes == later[0]
    assert OutboxMessage.objects.get(channel="sms").due_at > timezone.now() + timedelta(seconds=50)
    assert len(queries) == 1


def test_an_empty_schedule_asks_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        bulk.Schedule(max_deliveries=2).write()
