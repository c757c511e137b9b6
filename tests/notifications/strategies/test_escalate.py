"""In-app first, then push if unseen, then email if unread; read anywhere stops the rest."""

import pytest

from channels_app import state
from channels_app.models import FeedCursor, FeedItem
from core.ids import uuid7
from notifications.choices import EventType, SkipReason, Status
from notifications.models import Delivery, DeliveryEvent, Notification, OutboxMessage
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from preferences.services import PreferenceChange, PreferencesService
from tests import factories
from tests.notifications.strategies.harness import ESCALATE, delivery, pass_time, send, waits, went, work

pytestmark = pytest.mark.django_db


def stored(person) -> FeedItem:
    """What the feed's provider would have kept of the in-app delivery."""
    FeedCursor.objects.get_or_create(recipient=person, defaults={"last_seq": 1, "version": 1})
    return FeedItem.objects.create(id=delivery("in_app").pk, recipient=person, seq=1, category="orders", title="Hello")


def opened(channel: str) -> None:
    DeliveryTracker().receipts([ProviderReceipt(delivery(channel).pk, EventType.OPENED, "fake")])


class TestSteps:
    def test_only_the_first_step_goes_out_at_once(self, ann, provider):
        send(strategy=ESCALATE)

        work()

        assert went(provider) == ["in_app"]
        assert (waits("push"), waits("email")) == (600, 3600)

    def test_what_nobody_looks_at_goes_out_step_by_step(self, ann, provider):
        send(strategy=ESCALATE)
        work()

        pass_time(600)
        work()
        assert went(provider) == ["in_app", "push"]

        pass_time(3000)
        work()
        assert went(provider) == ["in_app", "push", "email"]

    @pytest.mark.parametrize("reason", ["hard_bounce", "complaint", "stop_keyword"])
    def test_a_suppression_before_a_later_step_is_honoured_by_it(self, ann, provider, reason):
        steps = [{"channel": "in_app"}, {"channel": "sms", "after": 600, "unless": "read"}]
        send(strategy={"escalate": steps})
        work()

        PreferencesService().suppress("sms", ann.phone, reason)
        pass_time(600)
        work()

        assert went(provider) == ["in_app"]
        assert delivery("sms").skip_reason == SkipReason.SUPPRESSED

    def test_without_a_strategy_every_channel_is_due_now_and_nothing_is_planned(self, ann, provider):
        send()

        work()

        assert sorted(went(provider)) == ["email", "in_app", "push", "sms"]
        assert Notification.objects.get().plan is None

    def test_the_steps_follow_the_time_of_a_scheduled_send(self, ann, provider):
        from django.utils import timezone

        send(strategy=ESCALATE, send_at=timezone.now() + timezone.timedelta(hours=1))

        assert (waits("in_app"), waits("push")) == (3600, 4200)


class TestSeenAndRead:
    def test_an_item_in_sight_stops_the_push_but_not_the_email(self, ann, provider):
        send(strategy=ESCALATE)
        work()
        state.change(ann.pk, "seen", [stored(ann).pk])

        pass_time(3600)
        work()

        assert went(provider) == ["in_app", "email"]
        assert (delivery("push").status, delivery("push").skip_reason) == (Status.SKIPPED, SkipReason.NOT_NEEDED)

    def test_an_item_that_was_merely_fetched_was_not_seen(self, ann, provider):
        send(strategy=ESCALATE)
        work()
        state.mark_delivered(ann.pk, [stored(ann)])

        pass_time(600)
        work()

        assert went(provider) == ["in_app", "push"]

    @pytest.mark.parametrize("action", ["read", "archive"])
    def test_an_item_read_or_put_away_stops_the_rest(self, ann, provider, action):
        send(strategy=ESCALATE)
        work()
        state.change(ann.pk, action, [stored(ann).pk])

        pass_time(3600)
        work()

        assert went(provider) == ["in_app"]
        event = DeliveryEvent.objects.get(delivery=delivery("email"))
        assert event.detail.startswith("Read in the inbox on ")

    def test_marking_everything_as_read_stops_the_rest_though_nothing_was_opened(self, ann, provider):
        send(strategy=ESCALATE)
        work()
        stored(ann)
        state.read_all(ann.pk)

        pass_time(3600)
        work()

        assert went(provider) == ["in_app"]
        assert delivery("in_app").opened_at is None

    def test_a_push_that_was_opened_stops_the_email(self, ann, provider):
        send(strategy=ESCALATE)
        work()
        pass_time(600)
        work()
        opened("push")

        pass_time(3000)
        work()

        assert went(provider) == ["in_app", "push"]
        assert DeliveryEvent.objects.get(delivery=delivery("email")).detail.startswith("Opened in the Push message on ")


class TestWhoCannotBeReached:
    def test_nobody_waits_for_an_inbox_they_do_not_want(self, ann, provider):
        factories.preference(ann, "in_app", enabled=False)

        send(strategy=ESCALATE)
        work()

        assert went(provider) == ["push"]
        assert waits("email") == 3600

    def test_without_a_device_the_email_keeps_its_own_time(self, ann, provider):
        ann.device_tokens.all().delete()

        send(strategy=ESCALATE)
        work()

        assert went(provider) == ["in_app"]
        assert waits("email") == 3600

    def test_a_first_step_that_is_refused_brings_the_next_forward(self, ann, provider):
        factories.preference(ann, "in_app", enabled=False)
        send(strategy=ESCALATE)
        provider.refuse_address()
        work()

        assert OutboxMessage.objects.filter(channel="email").count() == 1  # the one brought forward is used up
        assert delivery("email").status == Status.FAILED


class TestAfterAcceptance:
    def test_a_cancel_stops_the_steps_that_wait(self, ann, provider):
        sent = send(strategy=ESCALATE)
        work()

        assert NotificationService().cancel(sent.id) == 2

        pass_time(3600)
        work()
        assert went(provider) == ["in_app"]
        assert delivery("email").skip_reason == SkipReason.CANCELLED

    def test_an_opt_out_stops_the_step_it_is_about(self, ann, provider):
        send(strategy=ESCALATE)
        work()
        PreferencesService().set_preferences("ann", [PreferenceChange("orders", "email", False)])

        pass_time(3600)
        work()

        assert went(provider) == ["in_app", "push"]
        assert delivery("email").skip_reason == SkipReason.OPTED_OUT

    def test_what_expired_is_not_told_again(self, ann, provider):
        from django.utils import timezone

        send(strategy=ESCALATE, expires_at=timezone.now() + timezone.timedelta(minutes=5))
        work()
        Notification.objects.update(expires_at=timezone.now())

        pass_time(3600)
        work()

        assert went(provider) == ["in_app"]
        assert delivery("email").skip_reason == SkipReason.EXPIRED

    def test_a_step_that_is_handed_out_too_soon_is_held_until_its_time(self, ann, provider):
        send(strategy=ESCALATE)
        OutboxMessage.objects.exclude(channel="in_app").update(due_at="2020-01-01T00:00Z")

        work()

        assert went(provider) == ["in_app"]
        assert delivery("push").status == Status.QUEUED
        assert (waits("push"), waits("email")) == (600, 3600)


class TestCategory:
    def test_its_steps_hold_where_the_sender_says_nothing(self, ann, provider):
        factories.category(
            "orders", strategy="escalate", escalation=[{"channel": "sms"}, {"channel": "push", "after": 60}]
        )

        send()
        work()

        assert went(provider) == ["sms"]
        assert waits("push") == 60
        assert not Delivery.objects.filter(channel__in=["email", "in_app"]).exists()

    def test_a_sender_may_choose_all_at_once(self, ann, provider):
        factories.category("orders", strategy="escalate")

        send(strategy="all")
        work()

        assert len(went(provider)) == 4

    def test_a_channel_that_the_sender_names_and_that_has_no_step_goes_with_the_last(self, ann, provider):
        factories.category("orders", strategy="escalate")

        send(channels=["in_app", "email", "sms"])

        assert (waits("email"), waits("sms")) == (3600, 3600)

    def test_a_step_without_words_is_left_out_and_the_next_is_the_first(self, ann, provider):
        factories.category("orders", strategy="escalate")

        send(content={"push": {"title": "A", "body": "B"}, "email": {"subject": "A", "text": "B"}})
        work()

        assert went(provider) == ["push"]
        assert waits("email") == 3600


def test_an_item_of_somebody_else_says_nothing(ann, provider):
    send(strategy=ESCALATE)
    work()
    FeedCursor.objects.create(recipient=ann, last_seq=1, version=1)
    other = FeedItem.objects.create(id=uuid7(), recipient=ann, seq=1, category="orders")
    state.change(ann.pk, "read", [other.pk])

    pass_time(600)
    work()

    assert went(provider) == ["in_app", "push"]
