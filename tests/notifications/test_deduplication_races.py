"""Marks are set before PostgreSQL commits: whatever happens in between, nothing is lost and nothing goes out twice."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from core import redis
from core.ids import uuid7
from notifications.drafts import Accepted, Draft
from notifications.models import Delivery, Notification
from notifications.services import deduplication
from notifications.services.notification import NotificationService
from tests import factories
from tests.api import Api
from tests.servers import wait

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
ORDER = {"recipient": "ann", "category": "orders", "template": "order-shipped", "data": {"order": "A1"}}


@pytest.fixture(autouse=True)
def shop() -> None:
    factories.category("orders", dedup_seconds=300)
    factories.template("order-shipped")
    factories.recipient("ann")
    factories.recipient("ben")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(24) as pool:
        yield pool


def send(*recipients: str, **fields: Any) -> Accepted:
    drafts = [Draft(**{**ORDER, "recipient": name, **fields}) for name in recipients or ["ann"]]
    return NotificationService().send(drafts, source="api:test")[0]


def apart(act: Callable[[], Any]) -> Callable[[], Any]:
    """To be run in a thread: its connection is closed behind it."""

    def run() -> Any:
        try:
            return act()
        finally:
            connection.close()

    return run


def undone(*recipients: str) -> None:
    """An acceptance whose transaction, or part of one, is rolled back."""
    with transaction.atomic():
        send(*recipients)
        transaction.set_rollback(True)


@contextmanager
def open_transaction(pool: ThreadPoolExecutor, act: Callable[[], Any], *, commit: bool) -> Iterator[Callable[[], None]]:
    """Another transaction that has done `act` and stands open until what is given is called, or the block ends."""
    done, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic():
            try:
                act()
            finally:
                done.set()
            go_on.wait(20)
            transaction.set_rollback(not commit)

    other = pool.submit(apart(work))
    assert done.wait(10)

    def end() -> None:
        go_on.set()
        other.result(10)

    yield end
    end()


def waiting() -> int:
    """How many sessions of this database wait for a lock of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return int(cursor.fetchone()[0])


def accepted_once(answers: list[Accepted]) -> None:
    (first,) = [answer for answer in answers if answer.duplicate_of is None]
    assert first.deliveries == 4
    assert {answer.duplicate_of for answer in answers} == {None, first.id}
    assert Delivery.objects.exclude(status="skipped").count() == 4


def test_twenty_at_once_are_sent_once(threads: ThreadPoolExecutor) -> None:
    barrier = threading.Barrier(20)

    def at_once() -> Accepted:
        connection.ensure_connection()
        barrier.wait(20)
        return send()

    answers = [future.result(20) for future in [threads.submit(apart(at_once)) for _ in range(20)]]

    accepted_once(answers)
    assert Notification.objects.count() == 20


class TestATransactionThatIsUndone:
    def test_leaves_nothing_that_holds_the_retry_back(self) -> None:
        undone()

        assert redis.client().keys(redis.key("dedup:*"))  # the ghost
        retried = send()
        assert (retried.deliveries, retried.duplicate_of) == (4, None)
        assert send().duplicate_of == retried.id

    def test_inside_a_batch_with_others(self) -> None:
        undone("ann", "ben")

        first, again, other = NotificationService().send(
            [Draft(**ORDER), Draft(**ORDER), Draft(**{**ORDER, "recipient": "ben"})], source="api:test"
        )

        assert (first.duplicate_of, again.duplicate_of, other.duplicate_of) == (None, first.id, None)

    def test_as_a_part_of_one_that_goes_on(self) -> None:
        with transaction.atomic():
            undone()
            second = send()

        assert second.deliveries == 4
        assert send().duplicate_of == second.id

    def test_as_a_part_of_one_that_is_still_open_for_others(self, threads: ThreadPoolExecutor) -> None:
        def act() -> None:
            undone()

        with open_transaction(threads, act, commit=True):
            assert send().deliveries == 4

    def test_is_waited_for(self, threads: ThreadPoolExecutor) -> None:
        with open_transaction(threads, send, commit=False) as end:
            retry = threads.submit(apart(send))
            assert wait(lambda: waiting() == 1, 10)
            end()

            assert retry.result(10).deliveries == 4

    def test_is_taken_over_by_one_of_those_who_waited(self, threads: ThreadPoolExecutor) -> None:
        with open_transaction(threads, send, commit=False) as end:
            retries: list[Future[Accepted]] = [threads.submit(apart(send)) for _ in range(8)]
            assert wait(lambda: waiting() == 8, 10)
            end()
            answers = [retry.result(20) for retry in retries]

        accepted_once(answers)


class TestATransactionThatIsOpen:
    def test_is_waited_for_and_holds_when_it_commits(self, threads: ThreadPoolExecutor) -> None:
        with open_transaction(threads, send, commit=True) as end:
            again = threads.submit(apart(send))
            assert wait(lambda: waiting() == 1, 10)
            end()

            assert again.result(10).duplicate_of == Notification.objects.order_by("id")[0].pk

    def test_holds_up_nobody_else(self, threads: ThreadPoolExecutor) -> None:
        with open_transaction(threads, send, commit=True):
            assert send("ben").deliveries == 4

    def test_is_not_waited_for_for_ever(self, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deduplication, "WAIT_SECONDS", 0.3)
        with open_transaction(threads, send, commit=True):
            began = time.monotonic()
            with pytest.raises(OperationalError):
                send("ben", "ann")

            assert time.monotonic() - began < 2
            assert not Notification.objects.exists()  # all or none

        # And what was given up holds nothing back: not for ben, who was marked by it.
        assert send("ben").deliveries == 4

    def test_is_told_to_an_api_client_as_503(
        self, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deduplication, "WAIT_SECONDS", 0.3)
        api = Api()
        with open_transaction(threads, send, commit=False):
            response = api.post("notifications/", ORDER)

            assert (response.status_code, response["Retry-After"]) == (503, "5")

        assert api.post("notifications/", ORDER).json()["deliveries"] == 4

    def test_the_time_limit_is_that_of_the_wait_alone(self, threads: ThreadPoolExecutor) -> None:
        with open_transaction(threads, send, commit=True) as end, transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '77s'")
            ending = threading.Timer(0.2, end)
            ending.start()
            assert send().duplicate_of
            with connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                assert cursor.fetchone() == ("77s",)
            ending.join()

    def test_two_that_wait_for_each_other_are_told_apart(self, threads: ThreadPoolExecutor) -> None:
        both = threading.Barrier(2)

        def crosswise(first: str, second: str) -> str:
            try:
                with transaction.atomic():
                    send(first)
                    both.wait(10)
                    send(second)
            except OperationalError:
                return "refused"
            return "accepted"

        futures = [
            threads.submit(apart(lambda pair=pair: crosswise(*pair))) for pair in (("ann", "ben"), ("ben", "ann"))
        ]

        assert sorted(future.result(20) for future in futures) == ["accepted", "refused"]
        assert Delivery.objects.exclude(status="skipped").count() == 8

    def test_may_say_many_things_under_one_lock(self) -> None:
        with transaction.atomic():
            for n in range(5):
                send(data={"order": n})
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
                    " AND pid = pg_backend_pid()"
                )
                assert cursor.fetchone() == (1,)


_MARKS_AND_HANGS = """
import sys, time
import django
django.setup()
from django.db import transaction
from notifications.drafts import Draft
from notifications.services.notification import NotificationService
with transaction.atomic():
    draft = Draft(recipient="ann", category="orders", template="order-shipped", data={"order": "A1"})
    NotificationService().send([draft], source="api:test")
    print("marked", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_before_its_commit_holds_nothing_back(process_env: dict[str, str]) -> None:
    command = [sys.executable, "-c", _MARKS_AND_HANGS]
    with subprocess.Popen(command, cwd=ROOT, env=process_env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "marked\n"
        assert redis.client().keys(redis.key("dedup:*"))

        process.kill()
        retried = send()  # at once: PostgreSQL may not even have noticed

    assert (retried.deliveries, retried.duplicate_of) == (4, None)
    assert Notification.objects.count() == 1


def test_a_connection_cut_before_the_commit_holds_nothing_back(threads: ThreadPoolExecutor) -> None:
    marked, cut = threading.Event(), threading.Event()
    pid: list[int] = []

    def act() -> None:
        send()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid.append(cursor.fetchone()[0])
            marked.set()
            cut.wait(10)
            cursor.execute("SELECT 1")

    def work() -> None:
        with pytest.raises(OperationalError), transaction.atomic():
            act()

    other = threads.submit(apart(work))
    assert marked.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", pid)

    assert send().deliveries == 4
    cut.set()
    other.result(10)


def test_a_ghost_that_others_keep_taking_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time somebody else, who then comes to nothing, is quicker."""
    ghost = uuid7().bytes + bytes(8)
    monkeypatch.setattr(deduplication, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(deduplication, "_mark", lambda script, asks, lock, void: [(ask, ghost) for ask in asks])

    with pytest.raises(OperationalError):
        send()

    assert not Notification.objects.exists()
