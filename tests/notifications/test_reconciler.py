"""Nothing stays behind: the reconciler."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core import ids
from notifications import messaging, partitions, reconciler
from notifications.choices import Status
from notifications.errors import BrokerUnavailable
from notifications.models import Delivery, MaintenanceState, Notification, OutboxMessage
from notifications.reconciler import Reconciler
from preferences.models import Recipient
from tests import factories
from tests.notifications.test_pipeline import draft, send
from tests.plans import plans

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(settings):
    """Two queued deliveries accepted long enough ago to be looked at, in the outbox no more."""
    settings.RECONCILE_AFTER_SECONDS = 60
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("ann")
    past = timezone.now() - timedelta(minutes=10)
    send(draft("ann", channels=["email", "sms"], id=ids.deterministic(past, ("old",))))
    Delivery.objects.update(created_at=past)
    OutboxMessage.objects.all().delete()
    return Delivery.objects.all()


def time_passes(seconds):
    state = MaintenanceState.objects.get()
    state.done_at -= timedelta(seconds=seconds + 1)
    state.save()


def test_a_delivery_nobody_holds_goes_back_into_the_outbox(old):
    sweep = Reconciler().step()

    assert sweep.rescued == 2
    found = {id for row in OutboxMessage.objects.all() for id in row.delivery_ids}
    assert found == {delivery.id for delivery in old}


def test_a_second_sweep_finds_nothing_more(old):
    Reconciler().step()

    assert Reconciler().step().rescued == 0


def test_a_scheduled_send_whose_row_was_lost_is_due_at_its_time(old):
    at = timezone.now() + timedelta(hours=3)
    Notification.objects.update(send_at=at)

    Reconciler().step()

    assert set(OutboxMessage.objects.values_list("due_at", flat=True)) == {at}


def test_what_waits_in_the_outbox_is_left_alone(old):
    for delivery in old:
        OutboxMessage.objects.create(
            channel=delivery.channel,
            priority="normal",
            delivery_ids=[delivery.id],
            due_at=timezone.now() + timedelta(hours=1),
        )

    assert Reconciler().step().rescued == 0


def test_a_live_lease_is_respected_and_a_dead_one_is_not(old):
    old.filter(channel="email").update(status=Status.SENDING, lease_until=timezone.now() + timedelta(minutes=1))
    old.filter(channel="sms").update(status=Status.SENDING, lease_until=timezone.now() - timedelta(minutes=1))

    assert Reconciler().step().rescued == 1
    assert OutboxMessage.objects.get().channel == "sms"


def test_what_has_ended_is_left_alone(old):
    old.update(status=Status.SENT)

    assert Reconciler().step().rescued == 0


def test_work_waiting_in_the_broker_is_not_published_again(old, settings, monkeypatch):
    settings.BROKER_URL = "amqp://there-is-one"
    depths = {("email", "normal"): 7, ("sms", "normal"): 0}
    monkeypatch.setattr(messaging, "depths", lambda: depths)

    assert Reconciler().step().rescued == 1
    assert set(OutboxMessage.objects.values_list("channel", flat=True)) == {"sms"}


def test_what_waited_in_the_broker_is_looked_at_again_within_minutes(old, settings, monkeypatch):
    settings.BROKER_URL = "amqp://there-is-one"
    depths = {("email", "normal"): 7, ("sms", "normal"): 0}
    monkeypatch.setattr(messaging, "depths", lambda: depths)
    Reconciler().step()
    depths["email", "normal"] = 0

    assert Reconciler().step().rescued == 0
    time_passes(reconciler.RECHECK_SECONDS)
    assert Reconciler().step().rescued == 1


def test_a_lane_nobody_serves_does_not_keep_the_others_waiting(old, settings, monkeypatch):
    # Given a page full of work that waits in the broker, and lost work of another lane on the next page
    settings.BROKER_URL = "amqp://there-is-one"
    first, second = old.order_by("id").values_list("channel", flat=True)
    monkeypatch.setattr(messaging, "depths", lambda: {(first, "normal"): 7})
    monkeypatch.setattr(reconciler, "PAGE", 1)

    steps = [Reconciler().step() for _ in range(2)]

    assert [step.rescued for step in steps] == [0, 1]
    assert OutboxMessage.objects.get().channel == second


def test_a_sweep_gets_to_the_end_even_when_the_next_falls_due_meanwhile(old, settings, monkeypatch):
    settings.RECONCILE_FULL_SECONDS = 3600
    monkeypatch.setattr(reconciler, "PAGE", 1)
    sweep = Reconciler()
    assert sweep.step().rescued == 1
    time_passes(3601)

    assert sweep.step().rescued == 1
    assert Reconciler().step().more  # and the next one begins at the beginning


def test_without_word_from_the_broker_nothing_is_republished(old, settings, monkeypatch):
    def away():
        raise BrokerUnavailable

    settings.BROKER_URL = "amqp://gone"
    monkeypatch.setattr(messaging, "depths", away)

    assert Reconciler().step().rescued == 0
    monkeypatch.setattr(messaging, "depths", dict)
    assert Reconciler().step().rescued == 2


def test_a_delivery_without_its_notification_is_reported(old):
    Notification.objects.all().delete()

    assert Reconciler().step().orphans == 2


def test_what_was_accepted_during_an_erasure_loses_its_words(old):
    # Given a notification whose recipient is gone, all of whose deliveries were skipped: nothing will ever claim it
    factories.recipient("bob")
    send(draft("bob", channels=["email"], data={"order": "B2"}))
    Notification.objects.update(metadata={"who": "secret"}, dedup_key="secret", content={"sms": {"body": "secret"}})
    Recipient.objects.filter(external_id="ann").delete()
    old.update(status=Status.SKIPPED)

    Reconciler().step()

    words = Notification.objects.order_by("id").values_list("data", "metadata", "dedup_key", "content")
    assert list(words) == [
        ({}, {}, "", None),
        ({"order": "B2"}, {"who": "secret"}, "secret", {"sms": {"body": "secret"}}),
    ]


def filled_weeks(count: int, of: int) -> None:
    """A record of `count` weeks with `of` sent deliveries each, analysed."""
    now = datetime.now(UTC)
    for table in partitions.TABLES:
        for week in partitions.weeks(now - timedelta(weeks=count), count - 1):
            partitions.create(table, week)
    person = factories.recipient("zoe").pk
    at = [int((now - timedelta(weeks=n)).timestamp() * 1000) for n in range(1, count + 1)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notifications_notification (id, recipient_id, category_id, data, priority, source, is_test,"
            "       dedup_key, metadata)"
            " SELECT (lpad(to_hex(ms), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, %s, 1, '{}',"
            "        'normal', 'test', false, '', '{}' FROM unnest(%s::bigint[]) ms, generate_series(1, %s) n",
            [person, at, of],
        )
        cursor.execute(
            "INSERT INTO notifications_delivery (id, notification_id, recipient_id, channel, priority, status,"
            "       skip_reason, attempts, provider, error_code, created_at)"
            " SELECT id, id, recipient_id, 'email', 'normal', 'sent', '', 1, '', '', now() - interval '1 day'"
            "   FROM notifications_notification"
        )
        cursor.execute("ANALYZE notifications_notification, notifications_delivery")


def test_checking_the_references_of_a_page_reads_that_page_alone(settings, monkeypatch):
    # Given a record of many weeks, and pages of a part of one
    monkeypatch.setattr(reconciler, "PAGE", 500)
    filled_weeks(6, of=2000)

    with plans("id = ANY", "notifications_notification") as seen:
        assert Reconciler().step() == reconciler.Sweep(more=True)

    assert seen
    for plan in seen:
        assert len(set(re.findall(r" on notifications_notification_(\w+)", plan))) == 1


def test_a_backlog_in_the_outbox_is_looked_through_in_no_time(old):
    # Given 100,000 deliveries accepted a while ago and scheduled for tomorrow
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH made AS ("
            " INSERT INTO notifications_delivery (id, notification_id, recipient_id, channel, priority, status,"
            "        skip_reason, attempts, provider, error_code, created_at)"
            " SELECT (lpad(to_hex(%s::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,"
            "        gen_random_uuid(), gen_random_uuid(), 'email', 'low', 'queued', '', 0, '', '',"
            "        now() - interval '1 hour' FROM generate_series(1, 100000) n RETURNING id"
            "), numbered AS (SELECT id, row_number() OVER () AS n FROM made)"
            " INSERT INTO notifications_outbox (channel, priority, due_at, delivery_ids, takes)"
            " SELECT 'email', 'low', now() + interval '1 day', array_agg(id), 0 FROM numbered GROUP BY n / 500",
            [ids.milliseconds(timezone.now() - timedelta(hours=1))],
        )
        cursor.execute("ANALYZE notifications_delivery, notifications_outbox")
        cursor.execute("SET LOCAL statement_timeout = '3s'")  # once 7 s, now 0.1 s

    sweep = Reconciler().step()

    assert (sweep.rescued, sweep.more) == (0, True)
