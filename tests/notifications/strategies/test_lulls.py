"""Quiet hours bring the steps that they held back one after the other, in their order."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from notifications.choices import EventType, HoldReason, SkipReason, Status
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, DeliveryEvent, OutboxMessage
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from notifications.strategies.deciding import Leg, Times, decide
from notifications.strategies.lulls import Lull, lull_between
from notifications.strategies.plan import Plan
from notifications.worker import Worker
from preferences.models import Recipient
from preferences.quiet_hours import QuietHours, quiet_ended, quiet_until
from preferences.strategies import Step
from tests import factories
from tests.notifications.strategies.harness import delivery, pass_time, send, waits, went, work

ORDER = ["push", "sms", "email"]
FIRST = {"first": 120}
STEPS = {"escalate": [{"channel": "push"}, {"channel": "sms", "after": 600}, {"channel": "email", "after": 3600}]}
SPREAD = 300  # the default of QUIET_HOURS_SPREAD_SECONDS
START = datetime(2026, 11, 28, 21, tzinfo=UTC)
STATUSES = st.sampled_from(Status.values)


def night(*, ends: timedelta) -> None:
    """It is quiet for six hours, until so long from now."""
    end = timezone.now() + ends
    Recipient.objects.update(
        quiet_start=(end - timedelta(hours=6)).time().replace(second=0, microsecond=0),
        quiet_end=end.time().replace(second=0, microsecond=0),
    )


def the_night_is_over(channels: list[str]) -> None:
    """The deliveries of these channels are due in the first minute of the morning, after hours of quiet."""
    pass_time(4 * 3600)
    night(ends=timedelta(0))
    OutboxMessage.objects.exclude(channel__in=channels).delete()
    OutboxMessage.objects.update(due_at=timezone.now())


def hand_out(channel: str) -> None:
    Worker().process(WorkMessage.of(channel, "normal", [delivery(channel).pk]))


@pytest.mark.django_db
class TestFirst:
    def test_a_later_channel_does_not_go_before_the_one_that_the_night_held(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        the_night_is_over(["sms", "email"])

        work()

        assert went(provider) == []
        assert SPREAD + 60 <= waits("sms") <= SPREAD + 120
        assert SPREAD + 180 <= waits("email") <= SPREAD + 240

        hand_out("push")
        DeliveryTracker().receipts([ProviderReceipt(delivery("push").pk, EventType.DELIVERED, "fake")])
        OutboxMessage.objects.update(due_at=timezone.now())
        work()

        assert went(provider) == ["push"]
        assert {delivery(one).skip_reason for one in ("sms", "email")} == {SkipReason.NOT_NEEDED}

    def test_without_a_word_they_follow_each_other(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        the_night_is_over(ORDER)
        work()
        assert went(provider) == ["push"]

        pass_time(SPREAD + 121)
        work()
        assert went(provider) == ["push", "sms"]
        pass_time(121)
        work()
        assert went(provider) == ORDER

    def test_one_that_was_sent_before_the_night_is_followed_in_the_morning(self, ann, provider):
        send(strategy=FIRST, channels=["push", "sms"])
        work()
        the_night_is_over(["sms"])

        work()

        assert went(provider) == ["push", "sms"]

    def test_the_inbox_does_not_overtake_at_night_what_waits_for_the_morning(self, ann, provider):
        night(ends=timedelta(hours=3))
        send(strategy=FIRST, channels=["push", "in_app"])
        OutboxMessage.objects.filter(channel="in_app").update(due_at=timezone.now())

        work()

        assert went(provider) == []
        assert waits("in_app") > 2 * 3600

    def test_a_category_that_does_not_wait_for_quiet_hours_has_no_lull(self, ann, provider):
        factories.category("orders", waits_for_quiet_hours=False)
        send(strategy=FIRST, channels=["push", "sms"])
        the_night_is_over(["sms"])
        Delivery.objects.filter(channel="sms").update(holds=1, attempts=1)

        work()

        assert went(provider) == ["sms"]

    def test_what_comes_late_altogether_gives_the_one_before_some_time(self, ann, provider):
        send(strategy=FIRST, channels=["push", "sms"])
        OutboxMessage.objects.filter(channel="push").delete()
        pass_time(4 * 3600)  # held with its campaign, say

        work()

        assert went(provider) == []
        assert waits("sms") == 120
        pass_time(120)
        work()
        assert went(provider) == ["sms"]


@pytest.mark.django_db
class TestEscalate:
    def test_steps_that_fell_into_the_night_keep_their_distance(self, ann, provider):
        send(strategy=STEPS)
        the_night_is_over(ORDER)

        work()
        assert went(provider) == ["push"]

        pass_time(600)
        OutboxMessage.objects.update(due_at=timezone.now())
        work()
        assert went(provider) == ["push", "sms"]
        assert 2900 <= waits("email") <= 3000

    def test_a_later_step_waits_for_the_one_that_the_night_held(self, ann, provider):
        send(strategy=STEPS)
        the_night_is_over(["sms"])

        work()

        assert went(provider) == []
        assert SPREAD + 540 <= waits("sms") <= SPREAD + 600
        assert DeliveryEvent.objects.latest("id").code == HoldReason.ITS_TURN

    def test_after_a_step_from_before_the_night_the_next_goes_in_the_morning(self, ann, provider):
        send(strategy=STEPS)
        work()
        the_night_is_over(["sms"])

        work()

        assert went(provider) == ["push", "sms"]


def leg(channel: str, status: str, sent: float) -> Leg:
    at = START + timedelta(seconds=sent) if status in {"sent", "delivered", "bounced"} else None
    return Leg(channel.encode().ljust(16), channel, status, 0, True, at, None, None, None)


@given(
    push=STATUSES, sms=STATUSES, sent=st.floats(0, 90_000), wait=st.sampled_from([5, 600, 40_000]), holds=st.booleans()
)
def test_whatever_the_night_every_step_comes_to_its_end(push, sms, sent, wait, holds):
    """Nights longer than the days between them, and channels that never answer: within a few days each step goes or is
    not needed."""
    hours = QuietHours(18 * 60, 8 * 60, "UTC")
    legs = [leg("push", push, sent), leg("sms", sms, sent), leg("email", "queued", 0)]
    plans = [
        Plan("first", (Step("push"), Step("sms"), Step("email")), wait),
        Plan("escalate", (Step("push"), Step("sms", wait, "read"), Step("email", 2 * wait, "read"))),
    ]
    if "sending" in (push, sms):
        return  # it ends with its lease
    for plan in plans:
        now, n = START, int(holds)
        while until := decide(plan, "email", legs, {}, Times(START, now, lull_between(hours, START, now), n)).until:
            assert until > now
            now, n = max(until, now + timedelta(minutes=5)), n + 1
            assert now < START + timedelta(days=5)


@given(start=st.integers(0, 1439), length=st.integers(1, 1380), minutes=st.integers(0, 7 * 1440))
def test_quiet_hours_that_ended_are_found(start, length, minutes):
    hours = QuietHours(start, (start + length) % 1440, "Europe/Berlin")
    now = datetime(2026, 3, 26, tzinfo=UTC) + timedelta(minutes=minutes)
    if quiet_until(hours, now) is not None:
        return

    ended = quiet_ended(hours, now)

    if ended is not None:  # a short window may fall into the hour that is left out
        assert ended <= now
        assert quiet_until(hours, ended) is None
        assert quiet_until(hours, ended - timedelta(minutes=1)) is not None
        assert now - ended < timedelta(days=2)
    else:
        assert length < 180


def test_only_a_night_since_the_start_counts():
    hours, now = QuietHours(22 * 60, 6 * 60, "UTC"), datetime(2026, 11, 29, 7, tzinfo=UTC)
    ended = datetime(2026, 11, 29, 6, tzinfo=UTC)

    assert lull_between(hours, START, now) == Lull(ended, ended + timedelta(seconds=SPREAD))
    assert lull_between(hours, ended, now) is None
    assert lull_between(None, START, now) is None
