"""Dead letters go back at the rate that was asked for, once each, whoever dies meanwhile; and somebody can say stop."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from notifications.choices import EventType, Status
from notifications.maintenance import Maintenance
from notifications.models import DeadLetter, Delivery, DeliveryEvent, OutboxMessage, ReplayRun
from notifications.services import letters as book
from notifications.services import replays
from notifications.services.letters import LetterFilter
from notifications.services.replays import ReplayRefused
from tests.notifications.dead_letters import later, letters, still_open

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ALL = LetterFilter()


def begin(wanted: LetterFilter = ALL, *, per_minute: int = 600, **more: object) -> ReplayRun:
    return replays.start(wanted, per_minute=per_minute, by="grace", via="admin", **more)


def _die(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt


def scheduled() -> int:
    """Deliveries in the outbox."""
    return sum(len(row.delivery_ids) for row in OutboxMessage.objects.all())


class TestRate:
    @pytest.mark.parametrize("per_minute", [1, 7, 59, 60, 600, 6_001, 250_000])
    @pytest.mark.parametrize("every", [0.37, 1.0, 2.9])
    def test_over_minutes_it_is_met_whatever_the_rhythm_of_the_passes(self, per_minute, every):
        since, now, total = START, START, 0
        while now < START + timedelta(minutes=10):
            now += timedelta(seconds=every)
            while (share := replays.due(since, now, per_minute))[0]:
                total, since = total + share[0], share[1]

        minutes = (now - START).total_seconds() / 60
        assert total == pytest.approx(per_minute * minutes, rel=0.001, abs=1)

    def test_it_is_met_smoothly(self):
        shares, since = [], START
        for second in range(1, 61):
            share, since = replays.due(since, START + timedelta(seconds=second), 90)
            shares.append(share)

        assert (sum(shares), max(shares)) == (90, 2)

    def test_an_absence_is_not_made_up_for_in_a_moment(self):
        share, served = replays.due(START, START + timedelta(hours=1), 600)

        assert share == 600 / 60 * replays.CATCH_UP + 1
        assert served == START + timedelta(hours=1)

    def test_one_transaction_stays_small_and_the_rest_is_due_at_once(self):
        share, served = replays.due(START, START + timedelta(seconds=9), 120_000)

        assert share == replays.STEP
        assert served == START + timedelta(seconds=2.5)

    def test_a_clock_set_back_takes_nothing_back(self):
        assert replays.due(START, START - timedelta(seconds=30), 600) == (0, START)


class TestRuns:
    def test_the_first_goes_at_once_and_the_others_as_time_passes(self):
        letters(50)
        run = begin(per_minute=600)

        replays.step()
        assert still_open() == 49
        later(run, 1)
        replays.step()

        run.refresh_from_db()
        assert 10 <= run.replayed <= 13
        assert still_open() == 50 - run.replayed == 50 - scheduled()
        assert run.state == "running"

    def test_it_puts_the_delivery_back_and_says_who_asked(self):
        [letter] = letters()
        begin()
        replays.step()

        letter.refresh_from_db()
        assert (letter.replayed_by, letter.is_closed) == ("grace", False)
        assert Delivery.objects.get().status == Status.QUEUED
        assert OutboxMessage.objects.get().delivery_ids == [letter.delivery_id]
        event = DeliveryEvent.objects.get(delivery_id=letter.delivery_id)
        assert (event.type, event.detail) == (EventType.REPLAYED, "by grace")

    def test_it_ends_when_none_is_left(self):
        letters(30)
        run = begin(per_minute=6000)
        for _ in range(3):
            later(run, 1)
            replays.step()

        run.refresh_from_db()
        assert (run.state, run.matched, run.replayed) == ("done", 30, 30)
        assert run.finished_at is not None
        assert replays.step() is False

    @pytest.mark.parametrize(
        ("wanted", "went"),
        [
            (LetterFilter(channel="sms"), 2),
            (LetterFilter(provider="mailhouse"), 3),
            (LetterFilter(provider=""), 4),
            (LetterFilter(cause="poison"), 4),
            (LetterFilter(code="timeout"), 2),
            (LetterFilter(code=""), 4),
            (LetterFilter(priority="high"), 4),
            (LetterFilter(channel="email", cause="exhausted"), 3),
            (LetterFilter(), 9),
        ],
    )
    def test_a_filter_narrows(self, wanted, went):
        letters(3)
        letters(2, channel="sms", provider="textco", code="timeout")
        letters(4, channel="push", provider="", cause="poison", code="", priority="high")

        run = begin(wanted)
        later(run, 5)
        replays.step()

        run.refresh_from_db()
        assert (run.matched, run.replayed, scheduled()) == (went, went, went)

    def test_a_span_of_time_and_single_letters_narrow_too(self):
        old, new = letters(1)[0], letters(1)[0]
        DeadLetter.objects.filter(pk=old.pk).update(created_at=START)
        noon = START + timedelta(hours=1)

        assert begin(LetterFilter(until=noon)).matched == 1
        assert begin(LetterFilter(since=noon)).matched == 1
        assert begin(LetterFilter(since=START, until=START + timedelta(seconds=1))).matched == 1
        run = begin(LetterFilter(ids=(new.pk, 999_999_999)))
        replays.step()

        assert run.matched == 1
        assert LetterFilter.of(run.filters) == LetterFilter(ids=(new.pk, 999_999_999))

    def test_what_dies_again_is_not_replayed_in_a_circle(self):
        [letter] = letters()
        run = begin()
        again = DeadLetter.objects.create(
            delivery_id=letter.delivery_id, channel="email", priority="normal", cause="exhausted"
        )

        later(run, 5)
        replays.step()

        run.refresh_from_db()
        again.refresh_from_db()
        assert (run.state, run.replayed) == ("done", 1)
        assert again.replayed_at is None

    def test_what_is_gone_or_came_to_another_end_is_closed_and_not_counted(self):
        [dead] = letters()
        [gone, sent] = letters(2, status=Status.SENT)
        Delivery.objects.filter(pk=gone.delivery_id)._raw_delete("default")
        run = begin()
        later(run, 5)
        replays.step()

        run.refresh_from_db()
        for letter in (dead, gone, sent):
            letter.refresh_from_db()
        assert (run.matched, run.replayed, run.state) == (3, 1, "done")
        assert [dead.is_closed, gone.is_closed, sent.is_closed] == [False, True, True]
        assert Delivery.objects.get(pk=sent.delivery_id).status == Status.SENT
        assert still_open() == 0

    def test_a_stopped_run_goes_no_further(self):
        letters(50)
        run = begin()
        replays.step()

        assert replays.stop(run.pk, by="ada") is True
        later(run, 60)
        replays.step()

        run.refresh_from_db()
        assert (run.state, run.stopped_by, run.replayed) == ("stopped", "ada", 1)
        assert still_open() == 49
        assert replays.stop(run.pk, by="eve") is False

    def test_runs_share_the_time_and_no_letter_goes_twice(self):
        letters(40)
        first, second = begin(), begin(LetterFilter(channel="email"))
        for _ in range(6):
            later(first, 1)
            later(second, 1)
            replays.step()

        first.refresh_from_db()
        second.refresh_from_db()
        assert first.replayed + second.replayed == 40 == scheduled()
        assert min(first.replayed, second.replayed) > 10
        assert (first.state, second.state) == ("done", "done")

    def test_maintenance_carries_runs_out(self):
        letters(5)
        run = begin(per_minute=replays.MAX_PER_MINUTE)

        task = next(task for task in Maintenance().tasks if task.name == "replay_dead_letters")
        task.take_turn(lambda: False)

        run.refresh_from_db()
        assert (task.every, run.state) == (1.0, "done")


class TestRefusals:
    @pytest.mark.parametrize("per_minute", [0, -1, replays.MAX_PER_MINUTE + 1])
    def test_a_rate_out_of_bounds(self, per_minute):
        letters()

        with pytest.raises(ReplayRefused, match="between 1 and 1,000,000"):
            begin(per_minute=per_minute)

    def test_nothing_to_do(self):
        with pytest.raises(ReplayRefused, match="No open dead letter"):
            begin()

    def test_too_many_at_a_time(self, monkeypatch):
        monkeypatch.setattr(replays, "MAX_RUNNING", 1)
        letters(2)
        begin()

        with pytest.raises(ReplayRefused, match="1 replays are running"):
            begin()

    def test_a_list_of_ids_without_end(self):
        with pytest.raises(ReplayRefused, match="At most 1,000"):
            begin(LetterFilter(ids=tuple(range(1001))))
        with pytest.raises(ReplayRefused, match="At most 1,000"):
            replays.at_once(range(1001), by="grace", via="admin")


class TestAtOnce:
    def test_a_few_go_back_now_and_leave_their_trace(self):
        two = letters(2)
        letters(1)

        run = replays.at_once([letter.pk for letter in two], by="grace", via="admin")

        assert (run.matched, run.replayed, run.state, run.by) == (2, 2, "done", "grace")
        assert still_open() == 1
        with pytest.raises(ReplayRefused, match="Nothing to put back"):
            replays.at_once([two[0].pk], by="grace", via="admin")


class TestGroups:
    def test_they_agree_on_channel_provider_cause_and_code(self):
        first = letters(3)
        letters(2, code="timeout")
        letters(4, channel="push", provider="", cause="poison", code="", detail="crashed")
        DeadLetter.objects.filter(pk=first[0].pk).update(created_at=START)
        DeadLetter.objects.filter(pk=first[2].pk).update(detail="the last word")

        found = book.groups()

        assert [(g.channel, g.provider, g.cause, g.code, g.count) for g in found] == [
            ("push", "", "poison", "", 4),
            ("email", "mailhouse", "exhausted", "unavailable", 3),
            ("email", "mailhouse", "exhausted", "timeout", 2),
        ]
        assert (found[1].oldest, found[1].newest_detail) == (START, "the last word")
        assert [book.count(group.filter) for group in found] == [4, 3, 2]

    def test_what_was_replayed_is_in_none(self):
        replays.at_once([letter.pk for letter in letters(2)], by="grace", via="admin")

        assert book.groups() == []

    def test_counts_stop_at_a_bound(self, monkeypatch):
        monkeypatch.setattr(book, "_GROUPS", book._GROUPS.replace(str(book.COUNT_CAP), "5"))
        monkeypatch.setattr(book, "COUNT_CAP", 5)
        letters(8)

        assert book.groups()[0].count_words == "5+"


@pytest.mark.django_db(transaction=True)
class TestSeveralProcesses:
    def test_two_at_the_same_run_repeat_nothing(self):
        letters(400)
        run = begin(per_minute=60_000)
        together = threading.Barrier(4)

        def process() -> None:
            together.wait(10)
            for _ in range(20):
                replays.step()
            connection.close()

        threads = [threading.Thread(target=process) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        while ReplayRun.objects.filter(state="running").exists():
            replays.step()

        run.refresh_from_db()
        assert (run.replayed, run.state) == (400, "done")
        assert scheduled() == 400

    def test_one_killed_before_its_commit_leaves_the_letters_to_the_next(self, monkeypatch):
        letters(20)
        run = begin(per_minute=6000)
        later(run, 1)
        monkeypatch.setattr(ReplayRun, "save", _die)
        with pytest.raises(KeyboardInterrupt):
            replays.step()
        monkeypatch.undo()

        run.refresh_from_db()
        assert (run.replayed, still_open(), scheduled()) == (0, 20, 0)
        replays.step()
        assert (still_open(), scheduled()) == (0, 20)

    def test_a_letter_someone_holds_in_passing_is_come_back_to(self):
        held, *_ = letters(3)
        run = begin(per_minute=6000)
        later(run, 1)
        locked, done = threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic():
                DeadLetter.objects.select_for_update().get(pk=held.pk)
                locked.set()
                done.wait(10)
            connection.close()

        holder = threading.Thread(target=hold)
        holder.start()
        locked.wait(10)
        replays.step()
        run.refresh_from_db()
        assert (run.state, run.replayed) == ("running", 2)
        done.set()
        holder.join(10)
        later(run, 1)
        replays.step()

        run.refresh_from_db()
        assert (run.state, run.replayed) == ("done", 3)


def test_what_a_late_worker_says_was_taken_is_closed_and_not_sent_again():
    taken, given_up = letters(2)
    DeliveryEvent.objects.create(delivery_id=taken.delivery_id, type=EventType.SENT, provider="mailhouse")

    run = replays.at_once([taken.pk, given_up.pk], by="grace", via="admin")

    assert (run.matched, run.replayed, still_open()) == (2, 1, 0)
    assert Delivery.objects.get(status=Status.QUEUED).pk == given_up.delivery_id
