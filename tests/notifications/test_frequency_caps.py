"""Frequency caps: nobody gets more than so many in a day and a week, on whatever road, whatever Redis forgets."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from core import ids, redis
from notifications.choices import SkipReason, Status
from notifications.drafts import Draft
from notifications.explain import explain
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, DeliveryEvent, OutboxMessage, RateLimit
from notifications.services.caps import DAY, WEEK, Cap, CapAsk, FrequencyCaps
from notifications.services.embedding import notify
from notifications.services.notification import NotificationService
from notifications.services.rate_limiter import RateLimiter
from notifications.worker import Worker
from preferences.services import PreferencesService
from tests import factories
from tests.notifications.conftest import ComingAndGoing
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.rate_limiter.harness import Clock
from tests.notifications.test_failover import work

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings) -> FakeProvider:
    only = FakeProvider("first")
    use_provider(settings, only)
    return only


@pytest.fixture
def offers():
    factories.template("order-shipped")
    factories.recipient("ann", devices=0)
    return factories.category("offers", purpose="marketing", cap_per_day=2)


def accept(n: int = 1, *, category: str = "offers", source: str = "api:test", **fields: Any) -> None:
    draft = {"recipient": "ann", "category": category, "template": "order-shipped", "channels": ["email"]}
    NotificationService().send([Draft(**{**draft, **fields}) for _ in range(n)], source=source)


def outcomes() -> Counter[str]:
    return Counter(one.skip_reason or one.status for one in Delivery.objects.all())


def flush() -> None:
    client = redis.client()
    for key in client.scan_iter(match=f"{redis.key('cap', '')}*"):
        client.delete(key)


class TestAtTheClaim:
    def test_what_is_beyond_a_cap_is_skipped_and_says_which(self, provider, offers):
        accept(3)

        work(Worker())

        assert outcomes() == {"sent": 2, SkipReason.FREQUENCY_CAPPED: 1}
        assert len(provider.calls) == 2
        assert DeliveryEvent.objects.get(code="frequency_capped").detail == "At most 2 in a day"

    def test_a_notification_counts_once_for_all_its_channels(self, provider, offers):
        accept(2, channels=["email", "sms"])

        work(Worker())

        assert outcomes() == {"sent": 4}

    def test_every_road_counts_together(self, provider, offers):
        accept(1, source="campaign:7")
        notify(recipient="ann", category="offers", template="order-shipped", channels=["email"])
        accept(1)

        work(Worker())

        assert outcomes() == {"sent": 2, SkipReason.FREQUENCY_CAPPED: 1}

    def test_a_retry_is_no_second_one(self, provider, offers):
        accept(2)
        provider.fail_temporarily(times=1)
        work(Worker())

        work(Worker())

        assert outcomes() == {"sent": 2}

    def test_critical_ones_required_categories_and_tests_pass_and_do_not_count(self, provider, offers):
        accept(3, priority="critical")
        factories.category("codes", purpose="marketing", is_required=True, cap_per_day=1)
        accept(2, category="codes")
        draft = Draft(recipient="ann", category="offers", template="order-shipped", channels=["email"])
        NotificationService().send([draft] * 3, source="api:test", is_test=True)
        accept(2)

        work(Worker())

        assert outcomes()[SkipReason.FREQUENCY_CAPPED] == 0

    def test_a_week_holds_what_a_day_lets_through(self, provider, offers):
        offers.cap_per_week = 3
        offers.save()
        clock = Clock()
        caps, asked = FrequencyCaps(RateLimiter(clock)), []
        categories = PreferencesService().categories_by_id({offers.pk})
        person = factories.recipient("bob")
        for _ in range(3):
            ask = [CapAsk(person.pk.bytes, offers.pk, key) for key in ids.keys(2)]
            asked += caps.refusals(ask, categories, ids.made_at(ask[0].notification_id))
            clock.pass_(DAY + 1)

        assert asked == [False, False, False, Cap(offers.pk, 3, WEEK), Cap(offers.pk, 3, WEEK), Cap(offers.pk, 3, WEEK)]

    def test_all_marketing_together_has_a_cap_and_transactional_has_none(self, provider, offers):
        factories.category("news", purpose="marketing")
        factories.category("orders")
        RateLimit.objects.create(scope="cap", target="week", max=1, per_seconds=WEEK)
        for category in ("offers", "news", "orders", "orders"):
            accept(1, category=category)

        work(Worker())

        assert outcomes() == {"sent": 3, SkipReason.FREQUENCY_CAPPED: 1}
        assert DeliveryEvent.objects.get(code="frequency_capped").detail == "At most 1 in a week of all marketing"

    def test_without_any_cap_nobody_is_asked(self, provider, offers, monkeypatch):
        offers.cap_per_day = None
        offers.save()
        monkeypatch.setattr(FrequencyCaps, "refusals", lambda *_: pytest.fail("asked"))
        accept(1)

        work(Worker())

        assert outcomes() == {"sent": 1}


class TestRedis:
    def test_a_flush_forgets_nothing_that_was_sent(self, provider, offers):
        accept(1)
        work(Worker())
        flush()
        accept(2)

        work(Worker())

        assert outcomes() == {"sent": 2, SkipReason.FREQUENCY_CAPPED: 1}

    def test_a_new_cap_counts_what_went_before_it(self, provider, offers):
        offers.cap_per_day = None
        offers.save()
        accept(3)
        work(Worker())
        offers.cap_per_week = 3
        offers.save()
        accept(1)

        work(Worker())

        assert outcomes() == {"sent": 3, SkipReason.FREQUENCY_CAPPED: 1}

    def test_what_left_before_the_span_does_not_count(self, provider, offers):
        accept(2)
        work(Worker())
        Delivery.objects.update(sent_at=Delivery.objects.first().sent_at - timedelta(days=1, minutes=1))
        flush()
        accept(1)

        work(Worker())

        assert outcomes() == {"sent": 3}

    def test_a_batch_of_many_people_is_one_query(self, provider, offers, django_assert_num_queries):
        people = factories.recipients(50)
        categories = PreferencesService().categories_by_id({offers.pk})
        asks = [CapAsk(one.pk.bytes, offers.pk, key) for one, key in zip(people, ids.keys(50), strict=True)]
        caps, now = FrequencyCaps(RateLimiter()), ids.made_at(asks[0].notification_id)
        caps.exist(categories.values())

        with django_assert_num_queries(1):
            assert caps.refusals(asks, categories, now) == [False] * 50
        with django_assert_num_queries(0):
            assert caps.refusals(asks, categories, now) == [False] * 50

    def test_marketing_waits_without_redis_and_the_rest_goes(self, provider, offers, redis_away: ComingAndGoing):
        factories.category("orders", cap_per_day=1)
        accept(1)
        accept(1, category="orders")
        redis_away.leave()

        work(Worker())

        assert outcomes() == {"sent": 1, "queued": 1}
        redis_away.come_back()
        work(Worker())
        assert outcomes() == {"sent": 2}

    def test_of_many_in_hand_at_once_one_gets_the_only_place(self, provider, offers):
        offers.cap_per_day = 1
        offers.save()
        accept(4)
        worker = Worker()
        claims = [
            worker.tracker.claim([row.pk.bytes], channel="email", priority="normal")[0]
            for row in Delivery.objects.all()
        ]

        assert [len(worker.gates.check([one])[1]) for one in claims] == [0, 0, 0, 1]
        assert [len(worker.gates.check([one])[1]) for one in claims] == [0, 0, 0, 1]

    def test_one_that_is_in_another_s_hands_keeps_its_place_and_not_its_own_out(self, provider, offers):
        offers.cap_per_day = 1
        offers.save()
        accept(2)
        one, other = (
            Worker().tracker.claim([row.pk.bytes], channel="email", priority="normal")[0]
            for row in Delivery.objects.all()
        )
        worker = Worker()

        assert worker.gates.check([one])[1] == []  # the other may be leaving
        assert worker.gates.check([other])[1] == [other]


class TestLookingAtIt:
    @pytest.mark.parametrize("known", [True, False])
    def test_explaining_names_the_cap_and_what_was_had_and_uses_nothing_up(self, provider, offers, known):
        accept(2)
        work(Worker())
        if not known:
            flush()
        draft = Draft(recipient="ann", category="offers", template="order-shipped", channels=["email"])

        told = explain(draft, source="api:test")

        gate = next(check for check in told.ways[0].checks if check.gate == "frequency_cap")
        assert (told.outcome, gate.code, gate.seen) == ("skip", "frequency_capped", {"At most 2 in a day": "2 of 2"})
        assert gate.says == "They have had enough: at most 2 in a day."
        assert timedelta(hours=23) < gate.until - told.at <= timedelta(hours=24, minutes=1)
        assert bool(redis.client().keys(f"{redis.key('cap', '')}*")) is known

    def test_of_two_caps_that_are_full_both_are_named_and_the_later_end(self, provider, offers):
        offers.cap_per_week = 2
        offers.save()
        accept(2)
        work(Worker())
        draft = Draft(recipient="ann", category="offers", template="order-shipped", channels=["email"])

        told = explain(draft, source="api:test")

        gate = next(check for check in told.ways[0].checks if check.gate == "frequency_cap")
        assert gate.says == "They have had enough: at most 2 in a day and 2 in a week."
        assert gate.until - told.at > timedelta(days=6)

    def test_who_has_room_passes(self, provider, offers):
        draft = Draft(recipient="ann", category="offers", template="order-shipped", channels=["email"])

        told = explain(draft, source="api:test")

        gate = next(check for check in told.ways[0].checks if check.gate == "frequency_cap")
        assert (told.outcome, gate.verdict, gate.seen) == ("pass", "pass", {"At most 2 in a day": "0 of 2"})


class TestRows:
    def test_a_cap_of_all_marketing_is_a_day_s_or_a_week_s(self):
        row = RateLimit(scope="cap", target="week", max=3, per_seconds=60)
        row.full_clean()
        assert row.per_seconds == WEEK

        with pytest.raises(ValidationError) as caught:
            RateLimit(scope="cap", target="", max=3).full_clean()
        assert caught.value.message_dict == {"target": ["Say day or week; there may be a cap for each."]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("flushing", [False, True])
def test_workers_side_by_side_never_exceed_a_cap(settings, flushing):
    use_provider(settings, FakeProvider("first"))
    factories.template("order-shipped")
    factories.recipient("ann", devices=0)
    factories.category("offers", purpose="marketing", cap_per_day=5)
    for n in range(12):
        accept(1, source=("campaign:1", "api:test")[n % 2])
    rows = list(OutboxMessage.objects.all())

    def handle(numbered: tuple[int, OutboxMessage]) -> None:
        number, row = numbered
        try:
            if flushing and number in (3, 7):
                flush()
            Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(handle, enumerate(rows)))

    # Whose log went just between being made and being asked waits for a better moment, as marketing does without Redis.
    held = list(Delivery.objects.filter(status=Status.QUEUED))
    assert flushing or held == []
    for delivery in held:
        Worker().process(WorkMessage.of(delivery.channel, delivery.priority, [delivery.id]))
    sent = Delivery.objects.filter(status=Status.SENT).count()
    assert sent <= 5
    assert flushing or sent == 5
    assert Delivery.objects.filter(skip_reason=SkipReason.FREQUENCY_CAPPED).count() == 12 - sent
