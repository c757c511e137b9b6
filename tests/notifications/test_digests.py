"""Digests: what is gathered, what leaves, and that nothing is lost or said twice."""

import threading
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import errors

from core import ids
from notifications.digests import closing, upkeep
from notifications.digests.moments import closes_at
from notifications.drafts import Draft
from notifications.errors import AlreadyLeft
from notifications.models import Delivery, Digest, DigestItem, HoldKind, Notification
from notifications.models.digest import DigestState
from notifications.services import notify
from notifications.services.holds import hold, holds, release
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker
from preferences.digesting import DigestRule
from preferences.models import Category
from preferences.services import DigestChange, PreferenceChange, PreferencesService
from tests import factories

HERE = {"title": "{n}", "body": "Comment {n}", "link": "https://example.com/{n}"}
NAMES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
BY_EMAIL = {"channels": ["email"]}
zones = st.sampled_from(NAMES).map(ZoneInfo)
#: Six years, by the second.
moments = st.integers(0, 6 * 366 * 86_400).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=n))
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


class TestMoments:
    @given(zones, moments, times, st.lists(st.integers(0, 6), unique=True))
    @example(ZoneInfo("Europe/Berlin"), datetime(2026, 3, 29, 0, 30, tzinfo=UTC), time(2, 30), [])
    @example(ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 0, 30, tzinfo=UTC), time(2, 30), [])
    def test_a_local_time_is_the_next_one_on_a_day_of_the_rule(self, zone, now, at, days):
        rule = DigestRule("local_time", at=at, weekdays=tuple(sorted(days)))

        moment, latest = closes_at(rule, now, zone)

        assert latest is None
        assert now < moment <= now + timedelta(days=8)
        shown = moment.astimezone(zone)
        exists = datetime.combine(shown.date(), at, tzinfo=zone).astimezone(UTC).astimezone(zone).time() == at
        if exists:
            assert (shown.hour, shown.minute) == (at.hour, at.minute)
            assert not days or shown.weekday() in days

    def test_what_the_clock_jumps_over_comes_an_hour_later_and_what_it_repeats_comes_once(self):
        berlin, rule = ZoneInfo("Europe/Berlin"), DigestRule("local_time", at=time(2, 30))

        assert closes_at(rule, datetime(2026, 3, 29, 0, 0, tzinfo=UTC), berlin)[0] == datetime(
            2026, 3, 29, 1, 30, tzinfo=UTC
        )
        assert closes_at(rule, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), berlin)[0] == datetime(
            2026, 10, 26, 1, 30, tzinfo=UTC
        )

    @given(moments, st.integers(1, 604_800), st.integers(1, 604_800))
    def test_a_sliding_window_never_outlasts_its_cap(self, now, seconds, cap):
        moment, latest = closes_at(DigestRule("sliding", seconds, cap), now, ZoneInfo("UTC"))

        assert now < moment <= latest == now + timedelta(seconds=cap)


@pytest.fixture
def comments(db) -> Category:
    return factories.category("comments", digest_mode="fixed", digest_window_seconds=600)


def draft(n: int, recipient: str = "ann", **fields) -> Draft:
    content = {name: text.format(n=n) for name, text in HERE.items()}
    return Draft(**{"recipient": recipient, "category": "comments", "content": content, **fields})


def send(*drafts: Draft, **options):
    return NotificationService().send(list(drafts), source="test", **options)


def send_as(source: str, one: Draft):
    return NotificationService().send([one], source=source)[0]


def come_due() -> None:
    Digest.objects.filter(state="open").update(closes_at=timezone.now() - timedelta(seconds=1))


def reasons(id) -> dict[str, str]:
    return {one.channel: one.skip_reason or one.status for one in Delivery.objects.filter(notification_id=id)}


def sent() -> list[Notification]:
    return list(Notification.objects.filter(source="digest:comments").order_by("id"))


class TestGathering:
    def test_an_item_waits_on_the_gathered_channels_and_shows_in_the_feed_at_once(self, comments):
        factories.recipient("ann")

        [one] = send(draft(1))

        assert reasons(one.id) == {"push": "digested", "email": "digested", "sms": "digested", "in_app": "queued"}
        digest = Digest.objects.get()
        assert (digest.count, digest.channels) == (1, ["email", "push", "sms"])
        assert digest.closes_at - digest.opens_at == timedelta(seconds=600)
        assert DigestItem.objects.get().notification_id == one.id

    def test_items_of_one_batch_and_of_later_ones_meet_in_one_digest_per_key(self, comments):
        factories.recipient("ann")

        send(draft(1), draft(2), draft(3, digest_key="b"))
        send(draft(4))

        assert sorted(Digest.objects.values_list("key", "count")) == [("", 3), ("b", 1)]

    def test_critical_scheduled_and_opted_out_ones_do_not_wait(self, comments):
        factories.recipient("ann")
        PreferencesService().set_preferences("ann", [PreferenceChange("comments", "sms", False)])

        critical, later, plain = send(
            draft(1, priority="critical"), draft(2, send_at=timezone.now() + timedelta(hours=1)), draft(3)
        )

        assert reasons(critical.id)["email"] == reasons(later.id)["email"] == "queued"
        assert reasons(plain.id) == {"push": "digested", "email": "digested", "sms": "opted_out", "in_app": "queued"}
        assert Digest.objects.get().channels == ["email", "push"]

    def test_who_can_be_reached_on_no_gathered_channel_opens_no_digest(self, comments):
        factories.recipient("ann", email="", phone="", devices=0)

        send(draft(1))

        assert not Digest.objects.exists()

    def test_a_duplicate_is_not_gathered_again(self, comments):
        factories.recipient("ann")
        Category.objects.update(dedup_seconds=600)
        PreferencesService().categories_by_id([0])

        _, second = send(draft(1, dedup_key="x"), draft(1, dedup_key="x"))

        assert reasons(second.id)["email"] == "duplicate"
        assert Digest.objects.get().count == 1

    def test_a_sliding_window_moves_with_each_item_up_to_its_cap(self, comments):
        factories.category("comments", digest_mode="sliding", digest_window_seconds=600, digest_cap_seconds=900)
        factories.recipient("ann")
        send(draft(1))
        minutes = timedelta(minutes=8)
        Digest.objects.update(
            opens_at=F("opens_at") - minutes, closes_at=F("closes_at") - minutes, latest_at=F("latest_at") - minutes
        )

        send(draft(2))

        digest = Digest.objects.get()
        assert digest.closes_at == digest.latest_at

    def test_the_first_goes_at_once_if_asked_and_an_empty_digest_says_nothing(self, comments):
        factories.category("comments", digest_mode="fixed", digest_first_at_once=True)
        factories.recipient("ann")

        first, second = send(draft(1), draft(2))
        assert reasons(first.id)["email"] == "queued"
        assert reasons(second.id)["email"] == "digested"
        upkeep_count = Digest.objects.get().count
        NotificationService().cancel(second.id)
        come_due()
        closing.close_some()

        assert upkeep_count == 1
        assert Digest.objects.get().state == DigestState.EMPTY
        assert sent() == []

    def test_a_person_who_wants_it_as_it_comes_or_daily_gets_it_so(self, comments):
        factories.recipient("ann", timezone="Asia/Tokyo")
        factories.recipient("ben")
        PreferencesService().set_digests("ben", [DigestChange(None, "as_it_comes")])
        PreferencesService().set_digests("ann", [DigestChange(None, "daily", time(18, 30))])

        send(draft(1), draft(2, "ben"))

        digest = Digest.objects.get()
        assert digest.closes_at.astimezone(ZoneInfo("Asia/Tokyo")).time() == time(18, 30)

    def test_a_zone_that_this_machine_does_not_know_is_utc(self, comments):
        Category.objects.filter(pk=comments.pk).update(digest_mode="local_time", digest_at=time(9))
        factories.recipient("ann", timezone="Mars/Olympus_Mons")

        send(draft(1))

        assert Digest.objects.get().closes_at.astimezone(UTC).time() == time(9)

    def test_what_was_gathered_leaves_when_its_person_changes_the_rhythm(self, comments):
        factories.recipient("ann")
        send(draft(1), draft(2))

        PreferencesService().set_digests("ann", [DigestChange("comments", "weekly")])

        assert closing.close_some() == 1
        assert len(sent()) == 1

    @pytest.mark.parametrize("people", [1, 300])
    def test_a_batch_costs_the_same_statements_whatever_its_size(self, comments, people, django_assert_max_num_queries):
        names = [one.external_id for one in factories.recipients(people)]
        send(draft(0, names[0]))

        with django_assert_max_num_queries(20):
            send(*(draft(n, name) for n, name in enumerate(names)))


class TestClosing:
    def test_one_message_says_how_many_and_which(self, comments):
        factories.recipient("ann")
        factories.template(
            "gathered",
            variables={
                "count": 3,
                "items": [{"title": "Ada", "link": "https://example.com/1"}],
                "more": 0,
                "since": "",
            },
            content={
                "en": {
                    channel: {**fields, body: "{{ count }}:{% for item in items %} {{ item.title }}{% endfor %}"}
                    for channel, fields, body in (
                        ("email", {"subject": "New"}, "text"),
                        ("push", {"title": "New"}, "body"),
                        ("sms", {}, "body"),
                    )
                }
            },
        )
        factories.category("comments", digest_mode="fixed", digest_template="gathered")
        send(draft(1), draft(2), draft(3))
        come_due()

        assert closing.close_some() == 1

        [one] = sent()
        assert one.template_version_id
        assert (one.data["count"], one.data["more"]) == (3, 0)
        assert [item["title"] for item in one.data["items"]] == ["3", "2", "1"]
        assert reasons(one.id) == {"email": "queued", "push": "queued", "sms": "queued"}
        digest = Digest.objects.get()
        assert (digest.state, digest.notification_id) == ("sent", one.id)
        assert closing.close_some() == 0

    def test_without_a_template_there_is_a_wording(self, comments):
        factories.recipient("ann")
        send(*(draft(n) for n in range(30)))
        come_due()

        closing.close_some()

        [one] = sent()
        assert one.content["email"]["subject"].startswith("30 new")
        assert (len(one.data["items"]), one.data["more"]) == (20, 10)

    @pytest.mark.parametrize("reason", ["hard_bounce", "complaint"])
    def test_a_bounce_or_complaint_while_it_gathers_keeps_the_digest_from_the_address(self, comments, reason):
        person = factories.recipient("ann")
        send(draft(1), draft(2))
        PreferencesService().suppress("email", person.email, reason)
        come_due()

        closing.close_some()

        [one] = sent()
        assert reasons(one.id).get("email", "suppressed") == "suppressed"
        assert reasons(one.id)["sms"] == "queued"

    def test_one_item_goes_as_itself(self, comments):
        factories.recipient("ann")
        factories.template("order-shipped")
        send(draft(1, content=None, template="order-shipped", data={"order": "A-1"}))
        come_due()

        closing.close_some()

        [one] = sent()
        assert (one.data, one.content) == ({"order": "A-1"}, None)
        assert one.template_version_id == Notification.objects.exclude(pk=one.pk).get().template_version_id

    def test_big_items_fit(self, comments):
        factories.recipient("ann")
        long = {"title": "t" * 190, "body": "b" * 900}
        send(*(draft(n, content=long, data={"blob": "x" * 30_000}) for n in range(40)))
        come_due()

        closing.close_some()

        [one] = sent()
        assert one.data["count"] == 40
        assert len(one.data["items"]) + one.data["more"] == 40

    def test_cancelled_expired_and_erased_ones_are_left_out(self, comments):
        factories.recipient("ann")
        kept, also, cancelled, expired = send(
            draft(1), draft(2), draft(3), draft(4, expires_at=timezone.now() + timedelta(hours=1))
        )
        assert NotificationService().cancel(cancelled.id) == 4
        Notification.objects.filter(pk=expired.id).update(expires_at=timezone.now() - timedelta(seconds=1))
        come_due()

        closing.close_some()

        [one] = sent()
        assert one.data["count"] == 2
        assert reasons(cancelled.id)["email"] == "cancelled"
        assert {kept.id, also.id} <= set(DigestItem.objects.values_list("notification_id", flat=True))

    def test_what_its_source_takes_back_is_left_out_for_good(self, comments):
        factories.recipient("ann")
        [kept], back = send(draft(1, **BY_EMAIL)), send_as("campaign:7", draft(2, **BY_EMAIL))

        stopped, _ = DeliveryTracker().cancel_range("campaign:7", UUID(int=0), UUID(int=(1 << 128) - 1))

        assert stopped == 1
        assert reasons(back.id) == {"email": "cancelled"}
        assert Notification.objects.get(pk=back.id).cancelled_at is not None
        assert Digest.objects.get().count == 1
        come_due()
        closing.close_some()
        assert [one.content["email"]["subject"] for one in sent()] == ["1"]
        assert [one.notification_id for one in DigestItem.objects.all()] == [kept.id]

    def test_a_digest_waits_while_the_source_of_an_item_is_held(self, comments):
        factories.recipient("ann")
        factories.recipient("ben")
        send_as("campaign:7", draft(1))
        send_as("campaign:8", draft(2, "ben"))
        hold("campaign:7", HoldKind.HELD)
        holds.forget()
        come_due()

        closing.close_some()

        assert [one.content["email"]["subject"] for one in sent()] == ["2"]
        [waiting] = Digest.objects.filter(state="open")
        assert waiting.closes_at > timezone.now()
        release("campaign:7")
        holds.forget()
        come_due()
        closing.close_some()
        assert [one.content["email"]["subject"] for one in sent()] == ["2", "1"]

    def test_what_expires_while_its_digest_is_late_is_left_out(self, comments):
        factories.recipient("ann")
        now = timezone.now()
        send(draft(1, expires_at=now + timedelta(hours=1)))
        Digest.objects.update(closes_at=now - timedelta(hours=1))
        Notification.objects.update(expires_at=now - timedelta(minutes=1))

        closing.close_some()

        assert sent() == []

    def test_an_item_that_goes_as_itself_still_expires(self, comments):
        factories.recipient("ann")
        expires_at = timezone.now() + timedelta(hours=1)
        send(draft(1, expires_at=expires_at))
        come_due()

        closing.close_some()

        assert [one.expires_at for one in sent()] == [expires_at]

    def test_what_went_with_a_digest_cannot_be_cancelled(self, comments):
        factories.recipient("ann")
        factories.category("comments", digest_mode="fixed", channels=["email"])
        one, _ = send(draft(1), draft(2))
        come_due()
        closing.close_some()
        Delivery.objects.filter(status="queued").update(status="sent")

        with pytest.raises(AlreadyLeft):
            NotificationService().cancel(one.id)

    def test_an_opt_out_while_it_waits_is_honoured(self, comments):
        factories.recipient("ann")
        send(draft(1), draft(2))
        PreferencesService().set_preferences("ann", [PreferenceChange("comments", "email", False)])
        come_due()

        closing.close_some()

        assert reasons(sent()[0].id)["email"] == "opted_out"

    def test_an_erasure_leaves_no_digest(self, comments):
        factories.recipient("ann")
        send(draft(1))

        PreferencesService().erase("ann")

        assert not Digest.objects.exists()
        assert not DigestItem.objects.exists()

    def test_a_digest_whose_template_is_gone_goes_in_the_built_in_wording(self, comments):
        factories.recipient("ann")
        factories.category("comments", digest_mode="fixed", digest_template="no-such-thing")
        send(draft(1), draft(2))
        come_due()

        closing.close_some()

        assert sent()[0].content is not None

    def test_one_that_cannot_be_closed_does_not_hold_up_the_others(self, comments, monkeypatch):
        factories.recipient("ann"), factories.recipient("ben")
        send(draft(1), draft(2), draft(3, "ben"), draft(4, "ben"))
        come_due()
        real = closing.draft_of

        def bad(due, bundle, category, **options):
            if bundle.newest[0].external_id == "ann":
                raise RuntimeError
            return real(due, bundle, category, **options)

        monkeypatch.setattr(closing, "draft_of", bad)
        closing.close_some()

        assert len(sent()) == 1
        assert Digest.objects.get(state="open").closes_at > timezone.now()

    def test_test_traffic_has_digests_of_its_own(self, comments):
        factories.recipient("ann")
        send(draft(1), draft(2), is_test=True)
        send(draft(3))
        come_due()

        closing.close_some()

        assert sorted((one.is_test, one.data.get("count")) for one in sent()) == [(False, None), (True, 2)]

    def test_closed_ones_are_removed_in_time(self, comments, settings):
        factories.recipient("ann")
        send(draft(1))
        come_due()
        closing.close_some()

        upkeep.purge()
        assert Digest.objects.count() == 1
        Digest.objects.update(closed_at=timezone.now() - timedelta(days=settings.DIGEST_RETENTION_DAYS + 1))
        upkeep.purge()

        assert not Digest.objects.exists()
        assert not DigestItem.objects.exists()


def together(*functions) -> None:
    """Run these at once, each on a connection of its own; whatever one raises is raised here."""
    faults: list[BaseException] = []

    def run(function) -> None:
        try:
            function()
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in functions]
    [one.start() for one in threads], [one.join() for one in threads]
    if faults:
        raise faults[0]


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_batches_for_the_same_people_in_any_order_do_not_deadlock(self, transactional_db):
        factories.category("comments", digest_mode="fixed", digest_window_seconds=600)
        names = [one.external_id for one in factories.recipients(40)]
        PreferencesService().reach(names)

        def accept(order: list[str]) -> None:
            for n in range(10):
                send(*(draft(n, name) for name in order))

        together(*(lambda order=order: accept(order) for order in (names, names[::-1], names[20:] + names[:20])))

        assert set(Digest.objects.values_list("count", flat=True)) == {30}
        assert DigestItem.objects.count() == 1200

    def test_hosts_that_tell_two_people_in_opposite_orders_and_try_again_lose_nothing(self, transactional_db):
        # Given transactions that each call notify() twice, so that each waits for the other
        factories.category("comments", digest_mode="fixed", digest_window_seconds=600)
        names = [one.external_id for one in factories.recipients(2)]
        PreferencesService().reach(names)
        meeting, ended = threading.Barrier(2), []

        def tell(order: list[str]) -> None:
            first = True
            while True:
                try:
                    with transaction.atomic():
                        for n, name in enumerate(order):
                            notify(recipient=name, category="comments", content={"title": "x", "body": f"{n}{order}"})
                            if first and n == 0:
                                meeting.wait(20)
                except OperationalError as error:
                    ended.append(error.__cause__)
                    first = False
                else:
                    return

        together(lambda: tell(names), lambda: tell(names[::-1]))

        assert {type(one) for one in ended} == {errors.DeadlockDetected}  # begun anew, they may meet once more
        assert set(Digest.objects.values_list("count", flat=True)) == {2}
        assert DigestItem.objects.count() == 4

    def test_closers_and_batches_at_once_put_every_item_into_exactly_one_digest(self, transactional_db):
        factories.category("comments", digest_mode="fixed", digest_window_seconds=1)
        names = [one.external_id for one in factories.recipients(20)]
        done = threading.Event()

        def accept() -> None:
            try:
                for n in range(30):
                    send(*(draft(n, name) for name in names))
            finally:
                done.set()

        def close() -> None:
            while not done.is_set():
                upkeep.send_now(Q(count__gt=2))
                closing.close_some()

        together(accept, close, close)
        come_due()
        while closing.close_some():
            pass

        closed = Digest.objects.filter(state="sent")
        assert DigestItem.objects.count() == 600 == sum(closed.values_list("count", flat=True))
        assert Notification.objects.filter(source="digest:comments").count() == closed.count()
        assert closed.count() > 20

    def test_two_closers_send_each_digest_once(self, transactional_db):
        factories.category("comments", digest_mode="fixed", digest_window_seconds=600)
        names = [one.external_id for one in factories.recipients(250)]
        send(*(draft(n, name) for name in names for n in range(2)))
        come_due()

        def close() -> None:
            while closing.close_some():
                pass

        together(close, close)

        assert Digest.objects.filter(state="sent").count() == 250
        assert Notification.objects.filter(source="digest:comments").count() == 250

    def test_a_closer_that_dies_leaves_everything_as_it_was(self, transactional_db):
        factories.category("comments", digest_mode="fixed", digest_window_seconds=600)
        factories.recipient("ann")
        send(draft(1), draft(2))
        come_due()

        def dies() -> None:
            with transaction.atomic():
                closing.close_some()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            dies()

        assert sent() == []
        assert closing.close_some() == 1
        assert len(sent()) == 1
        assert ids.made_at(sent()[0].id) <= timezone.now()
