"""What a pause or a cancel does to digests that are closed and have not left, and what it counts as."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from analytics.models import MinuteCount
from analytics.rollups import proof
from core.ids import key
from notifications.choices import EventType, HoldReason, SkipReason, Status
from notifications.digests import closing
from notifications.drafts import Draft
from notifications.errors import AlreadyLeft
from notifications.models import Delivery, DeliveryEvent, Digest, DigestItem, HoldKind, Notification, OutboxMessage
from notifications.models.dead_letter import DeadCause
from notifications.services.claims import Claim, Result
from notifications.services.holds import hold, holds, release
from notifications.services.notification import NotificationService
from notifications.services.tracking import MAYBE_GONE, DeliveryTracker
from preferences.models import Recipient
from preferences.services.service import reach_cache
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.strategies.harness import work

pytestmark = pytest.mark.django_db
SALE, OTHER = "campaign:7", "campaign:8"
EVERYTHING = UUID(int=0), UUID(int=(1 << 128) - 1)


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    holds.forget()
    yield
    holds.forget()


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))


@pytest.fixture(autouse=True)
def ann(db: None) -> None:
    gathers()
    factories.recipient("ann")


def gathers(**fields: Any) -> None:
    factories.category("comments", digest_mode="fixed", **{"channels": ["email", "push"], **fields})


def pushes_to_two_devices() -> None:
    gathers(channels=["push"])
    factories.device(Recipient.objects.get(external_id="ann"), token="her-other")
    reach_cache.drop(["ann"])


def say(title: str, source: str = "test", **fields: Any) -> UUID:
    draft = {"recipient": "ann", "category": "comments", "content": {"title": title, "body": title}, **fields}
    return UUID(bytes=NotificationService().send([Draft(**draft)], source=source)[0].id.bytes)


def come_due() -> None:
    """Due since before this test began: to PostgreSQL, in its one transaction, no time has passed."""
    Digest.objects.filter(state="open").update(closes_at=timezone.now() - timedelta(seconds=20))
    closing.close_some()


def close() -> Notification:
    come_due()
    return Notification.objects.filter(source="digest:comments").latest("id")


def cancel(source: str = SALE) -> int:
    return DeliveryTracker().cancel_range(source, *EVERYTHING)[0]


def titles(digest: Notification) -> list[str]:
    digest.refresh_from_db()
    return [item["title"] for item in digest.data["items"]]


def in_hand(digest: Notification) -> None:
    """A worker has its email."""
    emails = Delivery.objects.filter(notification=digest, channel="email")
    DeliveryTracker().claim([one.pk.bytes for one in emails], channel="email", priority=emails[0].priority)


def back(digest: Notification) -> None:
    """The worker could not send it, and it is to be tried again."""
    Delivery.objects.filter(notification=digest, status=Status.SENDING).update(status=Status.QUEUED, lease_until=None)


def ends(notification: UUID) -> Counter[tuple[str, str]]:
    found = Delivery.objects.filter(notification_id=notification)
    return Counter((one.channel, one.skip_reason or one.status) for one in found)


def subjects(provider: FakeProvider) -> list[str]:
    return [message.content["subject"] for message in provider.calls if message.channel == "email"]


class TestCancelled:
    def test_a_closed_digest_is_written_anew_without_the_items_of_the_campaign(self, provider):
        say("a"), say("sale", SALE), say("b")
        digest = close()
        assert titles(digest) == ["b", "sale", "a"]

        assert cancel() == 2
        work()

        assert titles(digest) == ["b", "a"]
        assert digest.data["count"] == 2
        assert subjects(provider) == ["2 new: comments"]
        assert all("sale" not in str(message.content) for message in provider.calls)

    def test_one_of_a_template_keeps_it(self, provider):
        body = "{{ count }}:{% for item in items %} {{ item.title }}{% endfor %}"
        channels = {"email": {"subject": body, "text": body}, "push": {"title": "New", "body": body}}
        factories.template("gathered", {"en": channels}, variables={"count": 1, "items": []})
        gathers(digest_template="gathered")
        say("a"), say("sale", SALE), say("b")
        digest = close()
        assert digest.content is None

        cancel()
        work()

        assert subjects(provider) == ["2: b a"]

    def test_what_is_left_alone_goes_as_itself(self, provider):
        say("alone"), say("sale", SALE)
        close()

        cancel()
        work()

        assert subjects(provider) == ["alone"]

    def test_one_of_which_nothing_is_left_is_cancelled(self, provider):
        items = [say("sale", SALE), say("more", SALE)]
        digest = close()

        assert cancel() == 4
        work()

        assert provider.calls == []
        cancelled = {("email", "cancelled"): 1, ("push", "cancelled"): 1}
        assert [ends(id) for id in (digest.pk, *items)] == [cancelled] * 3
        digest.refresh_from_db()
        assert digest.cancelled_at is not None

    def test_what_is_left_alone_and_expires_while_the_cancel_waits_is_nothing(self, provider):
        """By the clock of the transaction, which stands still, it has not."""
        alone, item = say("alone", expires_at=timezone.now() + timedelta(hours=1)), say("sale", SALE)
        digest = close()
        Notification.objects.filter(pk=alone).update(expires_at=timezone.now())

        assert NotificationService().cancel(item) == 2
        work()

        assert provider.calls == []
        assert ends(digest.pk) == {("email", "cancelled"): 1, ("push", "cancelled"): 1}

    @pytest.mark.parametrize("others", [[], ["a", "b"]])
    def test_one_that_comes_due_before_it_is_reached_waits_until_the_campaigns_items_are_out(self, provider, others):
        """Closed without them, it would leave them behind: as waiting for it, for ever."""
        item = say("sale", SALE)
        for title in others:
            say(title)
        hold(SALE, HoldKind.CANCELLED)
        holds.forget()
        come_due()
        assert ends(item) == {("email", "digested"): 1, ("push", "digested"): 1}
        waiting = Digest.objects.get()
        assert waiting.state == "open"
        assert waiting.closes_at <= timezone.now() + timedelta(seconds=closing.TAKING_BACK_SECONDS)

        assert cancel() == 2
        come_due()
        work()

        assert ends(item) == {("email", "cancelled"): 1, ("push", "cancelled"): 1}
        assert Counter(told(item)) == {("skipped", SkipReason.DIGESTED): 2, ("withdrawn", SkipReason.CANCELLED): 2}
        assert Notification.objects.get(pk=item).cancelled_at is not None
        assert Digest.objects.get().state == ("sent" if others else "empty")
        assert subjects(provider) == (["2 new: comments"] if others else [])
        now = timezone.now()
        assert proof.verify(now - timedelta(minutes=2), now + timedelta(minutes=1)) == []

    def test_of_two_campaigns_that_are_cancelled_at_once_each_takes_out_its_own(self, provider):
        items = [say("sale", SALE), say("other", OTHER)]
        digest = close()
        hold(SALE, HoldKind.CANCELLED), hold(OTHER, HoldKind.CANCELLED)
        holds.forget()

        assert [cancel(SALE), cancel(OTHER)] == [2, 2]

        cancelled = {("email", "cancelled"): 1, ("push", "cancelled"): 1}
        assert [ends(id) for id in (digest.pk, *items)] == [cancelled] * 3
        assert [Counter(told(id))["withdrawn", SkipReason.CANCELLED] for id in items] == [2, 2]

    def test_a_worker_waits_until_it_is_taken_out(self, provider):
        say("a"), say("sale", SALE)
        digest = close()
        hold(SALE, HoldKind.CANCELLED)
        holds.forget()

        work()

        assert provider.calls == []
        assert ends(digest.pk) == {("email", "queued"): 1, ("push", "queued"): 1}
        assert set(told(digest.pk)) == {("held", HoldReason.TAKING_BACK)}
        cancel()
        release(SALE)
        holds.forget()
        OutboxMessage.objects.update(due_at=timezone.now())
        work()
        assert subjects(provider) == ["a"]

    def test_what_one_channel_has_sent_stays_sent_and_the_other_is_written_anew(self, provider):
        item, _ = say("sale", SALE), say("a")
        digest = close()
        row = OutboxMessage.objects.get(channel="push")
        row.delete()
        work()

        assert cancel() == 1

        assert ends(item) == {("email", "digested"): 1, ("push", "cancelled"): 1}
        assert subjects(provider) == ["2 new: comments"]
        digest.refresh_from_db()
        assert digest.content["push"]["title"] == "a"

    def test_what_has_left_stays_as_it_was(self, provider):
        item, _ = say("sale", SALE), say("a")
        digest = close()
        work()

        assert cancel() == 0

        assert titles(digest) == ["a", "sale"]
        assert ends(item) == {("email", "digested"): 1, ("push", "digested"): 1}

    def test_what_comes_back_from_a_worker_says_what_is_left(self, provider):
        say("a"), say("sale", SALE)
        close()
        provider.fail_temporarily(times=2)
        work()

        cancel()
        OutboxMessage.objects.update(due_at=timezone.now())
        work()

        assert subjects(provider) == ["a"]

    def test_what_a_worker_has_in_hand_leaves_with_it_and_counts_as_gone(self, provider):
        gathers(channels=["email"])
        say("a")
        item = say("sale", SALE)
        digest = close()
        in_hand(digest)

        assert cancel() == 0

        assert ends(item) == {("email", "digested"): 1}
        assert EventType.WITHDRAWN not in dict(told(item))
        assert counted(EventType.WITHDRAWN) is None
        back(digest)
        work()
        assert subjects(provider) == ["a"]

    def test_what_one_channel_has_in_hand_leaves_with_it_and_what_waits_on_the_other_does_not(self):
        say("a")
        item = say("sale", SALE)
        in_hand(close())

        assert cancel() == 1

        assert ends(item) == {("email", "digested"): 1, ("push", "cancelled"): 1}

    def test_one_in_hand_of_which_nothing_is_left_is_not_sent_when_it_comes_back(self, provider):
        gathers(channels=["email"])
        item = say("sale", SALE)
        digest = close()
        in_hand(digest)

        assert cancel() == 0
        back(digest)
        work()

        assert provider.calls == []
        assert ends(digest.pk) == {("email", "cancelled"): 1}
        assert ends(item) == {("email", "digested"): 1}

    def test_a_single_message_in_hand_is_too_late_to_cancel_and_not_said_when_it_comes_back(self, provider):
        gathers(channels=["email"])
        say("a")
        item = say("mistake")
        digest = close()
        in_hand(digest)

        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(item)

        assert ends(item) == {("email", "digested"): 1}
        back(digest)
        work()
        assert subjects(provider) == ["a"]

    def test_a_single_message_is_taken_out_of_a_closed_digest(self, provider):
        say("a"), say("b")
        item = say("mistake")
        close()

        assert NotificationService().cancel(item) == 2
        work()

        assert all("mistake" not in str(message.content) for message in provider.calls)
        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(item)

    def test_every_digest_of_a_page_in_a_constant_number_of_statements(self, django_assert_max_num_queries):
        people = factories.recipients(30)
        for person in people:
            say("sale", SALE, recipient=person.external_id), say("a", recipient=person.external_id)
        close()
        reach_cache.drop([person.external_id for person in people])

        with django_assert_max_num_queries(40):
            assert cancel() == 30

        left = Notification.objects.filter(source="digest:comments")
        assert [one.content["email"]["subject"] for one in left] == ["a"] * 30


class TestComingBack:
    """A cancel finds the digest in a worker's hands, and then it comes back."""

    @pytest.fixture(autouse=True)
    def _(self, provider: FakeProvider) -> None:
        gathers(channels=["email"])

    def claimed(self, channel: str = "email") -> list[Claim]:
        waiting = Delivery.objects.filter(notification__source="digest:comments", channel=channel).order_by("id")
        return DeliveryTracker().claim([key(one.pk) for one in waiting], channel=channel, priority=waiting[0].priority)

    def record(self, claims: list[Claim], type: EventType = EventType.DEFERRED, code: str = "unavailable") -> None:
        DeliveryTracker().record([Result(claim, type, "fake", code, retry_in=0.0) for claim in claims])

    @pytest.mark.parametrize("type", [EventType.DEFERRED, EventType.HELD, EventType.DEAD])
    def test_the_items_end_as_cancelled_and_it_leaves_without_them(self, provider, type):
        kept, item = say("a"), say("sale", SALE)
        digest = close()
        claims = self.claimed()
        assert cancel() == 0

        self.record(claims, type)

        assert ends(item) == {("email", "cancelled"): 1}
        assert ends(kept) == {("email", "digested"): 1}
        assert told(item)[-1] == ("withdrawn", SkipReason.CANCELLED)
        assert counted(EventType.WITHDRAWN) == 1
        assert details(item) == ""
        if type is not EventType.DEAD:
            assert ends(digest.pk) == {("email", "queued"): 1}
            OutboxMessage.objects.update(due_at=timezone.now())
            work()
            assert subjects(provider) == ["a"]
        assert Counter(told(item))["withdrawn", SkipReason.CANCELLED] == 1

    def test_a_single_message_that_was_too_late_to_cancel_is_cancelled_in_the_end(self):
        say("a")
        item = say("mistake")
        close()
        claims = self.claimed()
        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(item)

        self.record(claims)

        assert ends(item) == {("email", "cancelled"): 1}

    def test_of_one_of_which_nothing_is_left_everything_ends_as_cancelled(self):
        item = say("sale", SALE)
        digest = close()
        claims = self.claimed()
        cancel()

        self.record(claims)
        OutboxMessage.objects.update(due_at=timezone.now())
        work()

        assert [ends(digest.pk), ends(item)] == [{("email", "cancelled"): 1}] * 2

    def test_one_that_was_sent_took_its_items_with_it(self):
        say("a")
        item = say("sale", SALE)
        close()
        claims = self.claimed()
        cancel()

        self.record(claims, EventType.SENT, "")

        assert ends(item) == {("email", "digested"): 1}

    @pytest.mark.parametrize("code", ["timeout", "internal"])
    def test_where_nobody_knows_whether_it_left_the_last_event_says_so(self, code):
        say("a")
        item = say("sale", SALE)
        close()
        claims = self.claimed()
        cancel()

        self.record(claims, code=code)

        assert ends(item) == {("email", "cancelled"): 1}
        assert details(item) == MAYBE_GONE

    @pytest.mark.parametrize("type", [EventType.DEFERRED, EventType.DEAD])
    @pytest.mark.parametrize(("code", "detail"), [("timeout", MAYBE_GONE), ("unavailable", "")])
    def test_so_when_the_cancel_comes_after_it(self, type, code, detail):
        say("a")
        item = say("sale", SALE)
        close()
        self.record(self.claimed(), type, code)

        assert cancel() == 1

        assert ends(item) == {("email", "cancelled"): 1}
        assert details(item) == detail

    def test_so_with_an_attempt_long_before(self, provider):
        say("a")
        item = say("sale", SALE)
        close()
        self.record(self.claimed(), code="timeout")
        self.record(self.claimed(), EventType.HELD, HoldReason.UNAVAILABLE)

        assert cancel() == 1

        assert details(item) == MAYBE_GONE

    def test_so_with_another_device_that_came_back_before(self):
        pushes_to_two_devices()
        say("a")
        item = say("sale", SALE)
        close()
        first, second = self.claimed("push")
        cancel()

        self.record([first], code="timeout")
        self.record([second])

        assert ends(item) == {("push", "cancelled"): 2}
        assert details(item) == MAYBE_GONE

    def test_so_with_a_worker_that_was_lost(self, provider):
        say("a")
        item = say("sale", SALE)
        close()
        self.claimed()
        cancel()
        Delivery.objects.filter(status=Status.SENDING).update(lease_until=timezone.now() - timedelta(days=1))

        again = self.claimed()
        self.record(again)

        assert len(again) == 1
        assert ends(item) == {("email", "cancelled"): 1}
        assert Counter(told(item))["withdrawn", SkipReason.CANCELLED] == 1
        assert details(item) == MAYBE_GONE

    def test_so_with_one_that_is_buried(self):
        say("a")
        item = say("sale", SALE)
        close()
        claims = self.claimed()
        cancel()

        DeliveryTracker().bury([one.id for one in claims], cause=DeadCause.POISON, detail="")

        assert ends(item) == {("email", "cancelled"): 1}

    def test_what_has_reached_another_device_stays(self):
        pushes_to_two_devices()
        say("a")
        item = say("sale", SALE)
        close()
        first, second = self.claimed("push")
        cancel()

        self.record([second])
        assert ends(item) == {("push", "digested"): 2}
        self.record([first], EventType.SENT, "")

        assert ends(item) == {("push", "digested"): 2}

    @pytest.mark.parametrize("type", [EventType.DEFERRED, EventType.DEAD])
    def test_so_when_the_cancel_comes_last_and_its_words_are_written_anew_all_the_same(self, type):
        pushes_to_two_devices()
        say("a")
        item, single = say("sale", SALE), say("mistake")
        digest = close()
        first, second = self.claimed("push")
        self.record([first], EventType.SENT, "")
        self.record([second], type)

        assert cancel() == 0
        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(single)

        assert [ends(one) for one in (item, single)] == [{("push", "digested"): 2}] * 2
        digest.refresh_from_db()
        assert digest.content["push"]["title"] == "a"

    def test_all_devices_that_came_back_take_it_out(self):
        pushes_to_two_devices()
        say("a")
        item = say("sale", SALE)
        close()
        claims = self.claimed("push")
        cancel()

        for claim in claims:
            self.record([claim])

        assert ends(item) == {("push", "cancelled"): 2}

    def test_a_batch_that_comes_back_costs_a_constant_number_of_statements(self, django_assert_max_num_queries):
        people = factories.recipients(30)
        for person in people:
            say("sale", SALE, recipient=person.external_id), say("a", recipient=person.external_id)
        close()
        claims = self.claimed()
        cancel()

        with django_assert_max_num_queries(30):
            self.record(claims)

        assert Delivery.objects.filter(skip_reason=SkipReason.CANCELLED).count() == 30

    @pytest.mark.parametrize("type", [EventType.DEFERRED, EventType.HELD])
    def test_where_nothing_was_cancelled_no_item_is_looked_at(self, type):
        say("a"), say("b")
        close()
        claims = self.claimed()

        asked: list[str] = []

        def note(execute: Any, sql: str, *rest: Any) -> Any:
            asked.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(note):
            self.record(claims, type)

        assert len([one for one in asked if "notifications_digest" in one]) == 1
        assert not any("digestitem" in one or "digest_items" in one for one in asked)

    def test_a_wish_is_looked_for_until_it_is_fulfilled(self):
        say("a")
        item = say("sale", SALE)
        close()
        claims = self.claimed()
        assert not Digest.objects.get().has_wish
        cancel()
        assert Digest.objects.get().has_wish

        self.record(claims)

        assert ends(item) == {("email", "cancelled"): 1}
        assert not Digest.objects.get().has_wish

    def test_so_by_each_channel(self):
        gathers(channels=["email", "push"])
        say("a")
        item = say("sale", SALE)
        close()
        emails, pushes = self.claimed(), self.claimed("push")
        cancel()

        self.record(emails)
        assert ends(item) == {("email", "cancelled"): 1, ("push", "digested"): 1}
        assert Digest.objects.get().has_wish
        self.record(pushes)

        assert ends(item) == {("email", "cancelled"): 1, ("push", "cancelled"): 1}
        assert not Digest.objects.get().has_wish


class TestPaused:
    def test_a_closed_digest_waits_with_the_campaign_of_an_item(self, provider):
        say("a"), say("sale", SALE)
        digest = close()
        hold(SALE, HoldKind.HELD)
        holds.forget()

        work()

        assert provider.calls == []
        assert {row.held_for for row in OutboxMessage.objects.all()} == {SALE}
        assert told(digest.pk) == []
        release(SALE)
        holds.forget()
        work()
        assert subjects(provider) == ["2 new: comments"]

    def test_one_without_anything_of_it_goes(self, provider):
        factories.recipient("ben")
        say("a"), say("b"), say("sale", SALE, recipient="ben"), say("c", recipient="ben")
        close()
        hold(SALE, HoldKind.HELD)
        holds.forget()

        work()

        assert [message.content["subject"] for message in provider.calls if message.channel == "email"] == [
            "2 new: comments"
        ]
        assert {message.recipient_key for message in provider.calls} == {
            Notification.objects.filter(source="test").earliest("id").recipient_id.bytes
        }


class TestCounted:
    @pytest.mark.parametrize("is_closed", [False, True])
    def test_what_is_taken_out_was_skipped_once(self, is_closed):
        item = say("sale", SALE)
        say("a")
        if is_closed:
            close()

        cancel()

        assert counted(EventType.SKIPPED) == 2
        assert counted(EventType.WITHDRAWN) == 2
        assert Counter(told(item)) == {("skipped", SkipReason.DIGESTED): 2, ("withdrawn", SkipReason.CANCELLED): 2}
        assert ends(item) == {("email", "cancelled"): 1, ("push", "cancelled"): 1}
        now = timezone.now()
        assert proof.verify(now - timedelta(minutes=2), now + timedelta(minutes=1)) == []

    def test_what_goes_without_waiting_is_skipped_as_ever(self):
        gathers(channels=["email", "in_app"])
        item = say("sale", SALE)

        assert cancel() == 2

        assert Counter(told(item))["skipped", SkipReason.CANCELLED] == 1  # in the feed
        assert DigestItem.objects.count() == 0
        assert ends(item)["in_app", "cancelled"] == 1
        assert Delivery.objects.filter(status=Status.SKIPPED).count() == 2


def told(notification: UUID) -> list[tuple[str, str]]:
    events = DeliveryEvent.objects.filter(delivery__notification_id=notification).order_by("id")
    return list(events.values_list("type", "code"))


def details(notification: UUID) -> str:
    """What the last event of its delivery says in words."""
    return DeliveryEvent.objects.filter(delivery__notification_id=notification).latest("id").detail


def counted(outcome: str) -> int:
    return MinuteCount.objects.filter(source=SALE, outcome=outcome).aggregate(n=Sum("count"))["n"]
