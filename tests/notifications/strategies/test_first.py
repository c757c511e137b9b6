"""One channel after the other, until one has delivered."""

import pytest
from django.db.models import Sum
from django.utils import timezone

from analytics.models import MinuteCount
from notifications.choices import EventType, HoldReason, SkipReason, Status
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, DeliveryEvent, OutboxMessage
from notifications.models.dead_letter import DeadCause
from notifications.services.claims import Result
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from notifications.worker import Worker
from tests import factories
from tests.notifications.strategies.harness import delivery, pass_time, send, waits, went, work

pytestmark = pytest.mark.django_db

ORDER = ["push", "sms", "email"]
FIRST = {"first": 120}


def counted(channel: str, reason: str) -> int:
    return MinuteCount.objects.filter(channel=channel, reason=reason).aggregate(n=Sum("count"))["n"]


def receipt(channel: str, type: EventType) -> None:
    DeliveryTracker().receipts(
        [ProviderReceipt(one.pk, type, "fake") for one in Delivery.objects.filter(channel=channel)]
    )


class TestOrder:
    def test_only_the_first_channel_is_due(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)

        work()

        assert went(provider) == ["push"]
        assert (waits("sms"), waits("email")) == (120, 240)

    def test_channels_that_do_not_reach_the_person_take_no_time(self, ann, provider):
        ann.device_tokens.all().delete()

        send(strategy=FIRST, channels=ORDER)
        work()

        assert went(provider) == ["sms"]
        assert waits("email") == 120

    def test_what_is_delivered_in_time_ends_it(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        work()
        receipt("push", EventType.DELIVERED)

        pass_time(240)
        work()

        assert went(provider) == ["push"]
        assert {delivery(c).skip_reason for c in ("sms", "email")} == {SkipReason.NOT_NEEDED}
        assert DeliveryEvent.objects.get(delivery=delivery("sms")).detail.startswith("Delivered by Push on ")

    def test_without_a_word_the_next_goes_out_when_the_wait_is_over(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        work()

        pass_time(120)
        work()

        assert went(provider) == ["push", "sms"]

    def test_the_wait_counts_from_when_the_one_before_was_sent(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        work()
        pass_time(100)
        receipt("push", EventType.BOUNCED)
        work()  # brought forward

        pass_time(140)  # when the email would have been due
        work()
        assert went(provider) == ["push", "sms", "email"]

    def test_a_step_that_comes_too_soon_after_the_one_before_waits(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        work()
        pass_time(235)
        work()  # only now the second, which was due at 120

        pass_time(5)
        work()

        assert went(provider) == ["push", "sms"]
        assert 110 <= waits("email") <= 120

    def test_a_provider_that_never_reports_has_delivered_when_it_took_it(self, ann, provider, settings):
        settings.PROVIDERS = {
            **settings.PROVIDERS, "fake": {k: v for k, v in settings.PROVIDERS["fake"].items() if k != "receiver"}
        }  # fmt: skip
        send(strategy=FIRST, channels=ORDER)
        work()

        pass_time(240)
        work()

        assert went(provider) == ["push"]
        assert DeliveryEvent.objects.get(delivery=delivery("email")).detail.startswith("Sent by Push on ")


class TestBroughtForward:
    def test_a_bounce_brings_the_next_channel_at_once(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        work()

        receipt("push", EventType.BOUNCED)
        work()

        assert went(provider) == ["push", "sms"]

    def test_a_refusal_brings_them_one_after_the_other(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        provider.refuse_address()

        work()

        assert {delivery(c).status for c in ORDER} == {Status.FAILED}

    def test_a_message_given_up_as_poison_brings_the_next(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)

        DeliveryTracker().bury([delivery("push").pk.bytes], cause=DeadCause.POISON, detail="")
        work()

        assert went(provider) == ["sms"]

    def test_one_device_of_two_that_fails_brings_nothing(self, ann, provider):
        factories.device(ann)
        send(strategy=FIRST, channels=ORDER)
        work()
        one = Delivery.objects.filter(channel="push").first()

        DeliveryTracker().receipts([ProviderReceipt(one.pk, EventType.BOUNCED, "fake")])
        work()

        assert went(provider) == ["push", "push"]

    def test_the_record_of_a_failure_and_the_next_step_stand_or_fall_together(self, ann, provider, monkeypatch):
        send(strategy=FIRST, channels=ORDER)
        provider.refuse_address()
        monkeypatch.setattr("notifications.strategies.turns._next", _die)
        row = OutboxMessage.objects.get(channel="push")

        with pytest.raises(KeyboardInterrupt):
            Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))

        assert delivery("push").status == Status.SENDING  # its lease ends, and another worker takes it over
        assert not DeliveryEvent.objects.filter(delivery=delivery("push")).exists()

    def test_a_batch_without_plans_asks_nothing_more(self, ann, provider, monkeypatch):
        monkeypatch.setattr("notifications.strategies.standing.of", _die)
        send(channels=["sms"])
        provider.refuse_address()

        work()

        assert delivery("sms").status == Status.FAILED


def _die(*_: object) -> None:
    raise KeyboardInterrupt


class TestOneAfterTheOther:
    def test_the_next_waits_while_the_one_before_is_held_back(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        OutboxMessage.objects.filter(channel="push").delete()  # in a backlog

        pass_time(120)
        work()

        assert went(provider) == []
        assert waits("sms") == 15

    def test_in_the_end_it_goes_out_and_the_one_before_does_not_any_more(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        OutboxMessage.objects.filter(channel="push").delete()
        pass_time(120)
        work()
        pass_time(125)
        work()
        assert went(provider) == ["sms"]

        push = delivery("push")
        Worker().process(WorkMessage.of("push", "normal", [push.pk]))

        assert went(provider) == ["sms"]
        assert delivery("push").skip_reason == SkipReason.NOT_NEEDED

    def test_behind_a_channel_that_is_stuck_it_looks_less_and_less_often_and_says_so_once(self, ann, provider):
        send(strategy={"first": 3600}, channels=ORDER)
        OutboxMessage.objects.filter(channel="push").delete()  # its circuit is open
        pass_time(3600)
        gaps = []
        work()

        while went(provider) == []:
            gaps.append((OutboxMessage.objects.get(channel="sms").due_at - timezone.now()).total_seconds())
            pass_time(gaps[-1] + 1)
            work()

        assert went(provider) == ["sms"]
        assert 10 < gaps[0] < 20
        assert max(gaps) > 500
        assert len(gaps) < 12
        assert sum(gaps) == pytest.approx(3600, rel=0.05)
        assert delivery("sms").holds == len(gaps)
        told = DeliveryEvent.objects.filter(delivery=delivery("sms"))
        assert list(told.values_list("type", "code")) == [("held", "its_turn"), ("sent", "")]
        assert counted("sms", "its_turn") == 1

    def test_a_short_wait_is_looked_at_as_often_as_it_is_long(self, ann, provider):
        send(strategy={"first": 20}, channels=ORDER)
        OutboxMessage.objects.filter(channel="push").delete()
        pass_time(20 + 60)

        work()

        assert waits("sms") == 20

    def test_what_came_between_is_told_and_then_its_turn_again(self, ann, provider):
        send(strategy={"first": 3600}, channels=ORDER)
        OutboxMessage.objects.filter(channel="push").delete()
        pass_time(3600)
        work()
        [claim] = DeliveryTracker().claim([delivery("sms").pk.bytes], channel="sms", priority="normal")
        DeliveryTracker().record([Result(claim, EventType.HELD, code=HoldReason.REDIS_AWAY.value)])

        work()

        told = DeliveryEvent.objects.filter(delivery=delivery("sms"), type="held")
        assert list(told.order_by("id").values_list("code", flat=True)) == ["its_turn", "redis_away", "its_turn"]

    def test_one_that_comes_late_waits_for_the_one_that_is_being_sent(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        push, sms = delivery("push"), delivery("sms")
        DeliveryTracker().claim([sms.pk.bytes], channel="sms", priority="normal")

        Worker().process(WorkMessage.of("push", "normal", [push.pk]))

        assert went(provider) == []
        assert delivery("push").status == Status.QUEUED

    def test_one_whose_later_channel_was_lost_with_its_worker_asks_less_and_less_often(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        push, sms = delivery("push"), delivery("sms")
        DeliveryTracker().claim([sms.pk.bytes], channel="sms", priority="normal")

        for _ in range(8):
            Worker().process(WorkMessage.of("push", "normal", [push.pk]))

        assert went(provider) == []
        assert waits("push") == 60
        assert DeliveryEvent.objects.filter(delivery=push).count() == 1

    def test_a_lost_outbox_row_is_not_sent_early(self, ann, provider):
        send(strategy=FIRST, channels=ORDER)
        work()
        OutboxMessage.objects.all().delete()

        Worker().process(WorkMessage.of("sms", "normal", [delivery("sms").pk]))

        assert went(provider) == ["push"]
        assert waits("sms") == 120


def test_a_batch_is_looked_up_at_once(ann, provider, django_assert_max_num_queries):
    people = factories.recipients(20)
    for person in people:
        send(person.external_id, strategy=FIRST, channels=["sms", "email"])
    work()
    pass_time(120)
    emails = list(Delivery.objects.filter(channel="email").values_list("pk", flat=True))

    with django_assert_max_num_queries(22):
        Worker().process(WorkMessage.of("email", "normal", emails))

    assert went(provider).count("email") == 20
