"""Whatever row of the outbox hands a delivery out: it leaves at its own time, and not before."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications import explain
from notifications.choices import EventType, HoldReason, SkipReason, Status
from notifications.drafts import Draft
from notifications.models import Delivery, DeliveryEvent, Digest, Notification, OutboxMessage
from notifications.reconciler import Reconciler
from preferences.models import Recipient
from tests import factories
from tests.notifications.strategies.harness import CONTENT, delivery, send, waits, went, work

pytestmark = pytest.mark.django_db

HOUR = 3600
STEPS = [{"channel": "push"}, {"channel": "sms", "after": 60}]


@pytest.fixture
def lost(settings, ann, provider):
    """Have the reconciler find that the outbox lost all of its rows, and put others in their place."""
    settings.RECONCILE_AFTER_SECONDS = -60  # also what was made in this transaction, in which it is always `now`

    def lose(*, due_now: bool = False) -> int:
        OutboxMessage.objects.all().delete()
        rescued = Reconciler().step().rescued
        if due_now:
            OutboxMessage.objects.update(due_at=timezone.now())
        return rescued

    return lose


def in_an_hour():
    return timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize("due_now", [False, True])
@pytest.mark.parametrize("strategy", ["all", {"first": 120}, {"escalate": STEPS}])
def test_a_time_to_be_sent_outlives_a_lost_row(lost, provider, strategy, due_now):
    send(send_at=in_an_hour(), strategy=strategy, channels=None if "escalate" in strategy else ["push", "sms"])

    assert lost(due_now=due_now) == 2
    work()

    assert went(provider) == []
    assert waits("push") == HOUR
    assert waits("sms") >= HOUR
    assert {one.status for one in Delivery.objects.all()} == {Status.QUEUED}


def test_a_row_that_is_due_too_soon_uses_up_no_attempt_and_says_why(lost, provider):
    send(send_at=in_an_hour(), channels=["sms"])

    lost(due_now=True)
    work()

    assert delivery("sms").tries == 0
    assert DeliveryEvent.objects.latest("id").code == HoldReason.NOT_YET


def test_what_expires_before_its_time_is_skipped_all_the_same(lost, provider):
    send(send_at=in_an_hour(), channels=["sms"])
    Notification.objects.update(expires_at=timezone.now())

    lost(due_now=True)
    work()

    assert delivery("sms").skip_reason == SkipReason.EXPIRED


def test_a_send_whose_time_has_come_goes_at_once(lost, provider):
    send(send_at=in_an_hour(), channels=["sms"])
    Notification.objects.update(send_at=timezone.now())

    assert lost() == 1
    work()

    assert went(provider) == ["sms"]


def test_quiet_hours_outlive_a_lost_row(lost, provider):
    now = timezone.now()
    Recipient.objects.update(
        quiet_start=(now - timedelta(hours=1)).time().replace(second=0, microsecond=0),
        quiet_end=(now + timedelta(hours=2)).time().replace(second=0, microsecond=0),
    )
    send(channels=["sms"])

    assert lost() == 1
    work()

    assert went(provider) == []
    assert waits("sms") > HOUR
    assert DeliveryEvent.objects.latest("id").code == HoldReason.QUIET_HOURS


def test_a_later_step_outlives_a_lost_row(lost, provider):
    send(strategy={"first": 120}, channels=["push", "sms"])
    work()

    assert lost() == 1
    work()

    assert went(provider) == ["push"]
    assert waits("sms") == 120


def test_what_waits_in_a_digest_has_no_row_to_lose(lost, provider):
    factories.category("orders", digest_mode="fixed", digest_window_seconds=HOUR)
    send(channels=["sms"])

    assert lost() == 0
    work()

    assert went(provider) == []
    assert Digest.objects.get().state == "open"
    assert EventType.RESCUED not in DeliveryEvent.objects.values_list("type", flat=True)


def test_a_dry_run_of_a_scheduled_send_asks_the_other_gates(ann, provider):
    found = explain.explain(
        Draft(recipient="ann", category="orders", content=CONTENT, send_at=in_an_hour(), channels=["sms"]), source=""
    )

    assert {check.gate: str(check.verdict) for check in found.ways[0].checks}["recipient_limit"] == "pass"
