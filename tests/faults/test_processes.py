"""What dies is one of Carillon's own processes: web, relay, worker."""

import threading
import time
import uuid
from pathlib import Path

import pytest

from notifications.drafts import Draft
from notifications.services.notification import NotificationService
from tests.faults import seed
from tests.faults.client import CONTENT, draft
from tests.faults.failpoints import DIED, POISON
from tests.faults.programs import wait_until
from tests.faults.stack import LEASE, Stack

pytestmark = pytest.mark.django_db(transaction=True)

#: Until a lease has run out and the work has gone round once more, on a busy machine.
AFTER_LEASE = LEASE + 30.0


def submit(stack: Stack, *recipients: str, channel: str = "email") -> list[str]:
    """Notifications accepted past the API, by the same service, in this process."""
    drafts = [
        Draft(recipient=name, category=seed.CATEGORY, content={channel: CONTENT[channel]}, channels=[channel])
        for name in recipients
    ]
    accepted = NotificationService().send(drafts, source="api:faults00")
    return [str(one.id) for one in accepted]


def delivery_of(stack: Stack, notification: str) -> str:
    return str(stack.one("SELECT id FROM notifications_delivery WHERE notification_id = %s", notification))


def events_of(stack: Stack, delivery: str) -> list[str]:
    query = "SELECT type FROM notifications_deliveryevent WHERE delivery_id = %s ORDER BY at, id"
    return [row[0] for row in stack.query(query, delivery)]


def test_an_api_process_that_dies_after_the_commit_gives_the_same_id_to_the_same_key(stack: Stack):
    dying, client = stack.api(FAILPOINTS="api.after_commit")
    client.ready()
    answers: list[str] = []
    body_key = str(uuid.uuid4())
    asking = threading.Thread(target=lambda: answers.append(client.send("person-1", key=body_key)))
    asking.start()
    assert dying.ends(30) == DIED
    assert answers == []

    stack.api(client.port)
    asking.join(60)

    assert len(answers) == 1
    assert stack.query("SELECT id::text FROM notifications_notification") == [(answers[0],)]
    assert stack.one("SELECT count(*) FROM notifications_delivery") == 1
    again = client.call("POST", "/api/v1/notifications/", draft("person-1", "email"), key=body_key)
    assert (again.status, again.body["id"], again.headers["Idempotent-Replayed"]) == (202, answers[0], "true")


def test_one_key_posted_fifty_times_at_once_is_one_notification(stack: Stack):
    _, client = stack.api()
    client.ready()
    key = str(uuid.uuid4())
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(client.send("person-1", key=key))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(ids) == 50
    assert len(set(ids)) == 1
    assert stack.one("SELECT count(*) FROM notifications_notification") == 1


@pytest.mark.rabbitmq
def test_a_relay_that_dies_between_confirm_and_delete_causes_two_messages_and_one_call(rabbit_stack: Stack):
    [accepted] = submit(rabbit_stack, "person-1")
    dying = rabbit_stack.relay(FAILPOINTS="relay.after_confirm")
    assert dying.ends(30) == DIED
    assert rabbit_stack.one("SELECT count(*) FROM notifications_outbox") == 1  # it never came to the delete
    rabbit_stack.relay()
    wait_until(lambda: not rabbit_stack.one("SELECT count(*) FROM notifications_outbox"), what="the second message")

    rabbit_stack.worker()

    rabbit_stack.drain()
    last = submit(rabbit_stack, "person-2")  # behind both messages: once it is sent, both have been handled
    wait_until(lambda: delivery_of(rabbit_stack, last[0]) in rabbit_stack.calls())
    assert rabbit_stack.calls().count(delivery_of(rabbit_stack, accepted)) == 1


@pytest.mark.rabbitmq
def test_workers_that_die_before_or_after_the_call_leave_one_call_or_one_flagged_duplicate(rabbit_stack: Stack):
    before, after = submit(rabbit_stack, "person-1"), submit(rabbit_stack, "person-2", channel="sms")
    rabbit_stack.relay()
    unlucky = rabbit_stack.worker("email", FAILPOINTS="worker.before_send")
    unrecorded = rabbit_stack.worker("sms", FAILPOINTS="worker.after_send")
    assert unlucky.ends(40) == DIED
    assert unrecorded.ends(40) == DIED
    assert len(rabbit_stack.calls()) == 1

    rabbit_stack.worker("email")
    rabbit_stack.worker("sms")
    rabbit_stack.drain(AFTER_LEASE)

    early, late = delivery_of(rabbit_stack, before[0]), delivery_of(rabbit_stack, after[0])
    assert rabbit_stack.calls().count(early) == 1
    assert rabbit_stack.calls().count(late) == 2  # the only duplicate there may be
    assert events_of(rabbit_stack, early) == ["reclaimed", "sent"]
    assert events_of(rabbit_stack, late) == ["reclaimed", "sent"]  # the record knows what may have come twice
    assert rabbit_stack.statuses() == {"sent": 2}


@pytest.mark.rabbitmq
def test_one_message_a_hundred_times_is_one_call(rabbit_stack: Stack):
    [accepted] = submit(rabbit_stack, "person-1")
    delivery = delivery_of(rabbit_stack, accepted)
    copy = (
        "INSERT INTO notifications_outbox (channel, priority, delivery_ids, takes)"
        " SELECT 'email', 'normal', ARRAY[%s::uuid], 1 FROM generate_series(1, 99)"  # takes: never put together
    )
    rabbit_stack.query(copy, delivery)
    rabbit_stack.relay()
    rabbit_stack.worker()
    rabbit_stack.worker()
    rabbit_stack.drain()
    last = submit(rabbit_stack, "person-2")
    wait_until(lambda: delivery_of(rabbit_stack, last[0]) in rabbit_stack.calls())

    assert rabbit_stack.calls().count(delivery) == 1
    assert events_of(rabbit_stack, delivery) == ["sent"]


@pytest.mark.rabbitmq
def test_work_that_a_cut_off_worker_holds_waits_for_its_lease_and_is_sent_once(rabbit_stack: Stack, proxies):
    proxy, through = proxies(rabbit_stack.environment["BROKER_URL"] + "?heartbeat=4")
    [accepted] = submit(rabbit_stack, "person-1")
    rabbit_stack.relay()
    pace = {"LEASE_SECONDS": 12, "VISIBILITY_SECONDS": 14, "PROVIDER_TIMEOUT_SECONDS": 6}
    slow = {"SIMULATOR_LATENCY_MS": 5000, "SIMULATOR_LATENCY_SIGMA": 0}
    rabbit_stack.worker(BROKER_URL=through, **pace, **slow)
    wait_until(lambda: rabbit_stack.statuses() == {"sending": 1}, 60, "the claim")
    proxy.refuse()  # the broker hands the message to the next worker, while the first still has it

    second = rabbit_stack.worker(**pace)
    rabbit_stack.drain(AFTER_LEASE)
    last = submit(rabbit_stack, "person-2")
    wait_until(lambda: delivery_of(rabbit_stack, last[0]) in rabbit_stack.calls())

    assert "worker.held_elsewhere" in second.said()
    assert rabbit_stack.calls().count(delivery_of(rabbit_stack, accepted)) == 1


@pytest.mark.faults
@pytest.mark.rabbitmq
def test_a_delivery_that_kills_its_worker_before_each_call_ends_as_poison_and_its_neighbours_are_sent(
    rabbit_stack: Stack,
):
    with rabbit_stack.connect() as connection:
        seed.person(connection, ["killer"], domain=POISON.removeprefix("@"))
    people = [f"person-{n}" for n in range(8)]
    poison, *healthy = submit(rabbit_stack, "killer", *people)
    rabbit_stack.relay()
    rabbit_stack.maintenance()
    keep_alive = _Restarts(rabbit_stack, FAILPOINTS="worker.poisoned:0", MAX_ATTEMPTS=3)
    try:
        rabbit_stack.drain(240)
    finally:
        keep_alive.end()

    _buried(rabbit_stack, poison, healthy)


@pytest.mark.faults
@pytest.mark.rabbitmq
def test_a_delivery_that_kills_its_worker_at_the_claim_ends_as_poison_and_its_neighbours_are_sent(
    rabbit_stack: Stack, tmp_path: Path
):
    people = [f"person-{n}" for n in range(9)]
    poison, *healthy = submit(rabbit_stack, *people)
    (tmp_path / "poison").write_text(delivery_of(rabbit_stack, poison))
    rabbit_stack.relay()
    rabbit_stack.maintenance()
    keep_alive = _Restarts(rabbit_stack, POISON_FILE=tmp_path / "poison")
    try:
        rabbit_stack.drain(240)
    finally:
        keep_alive.end()

    _buried(rabbit_stack, poison, healthy)


def _buried(stack: Stack, poison: str, healthy: list[str]) -> None:
    delivery = delivery_of(stack, poison)
    assert stack.one("SELECT status FROM notifications_delivery WHERE id = %s", delivery) == "dead"
    assert stack.query("SELECT delivery_id::text, cause FROM notifications_deadletter") == [(delivery, "poison")]
    assert stack.calls().count(delivery) == 0
    assert set(stack.calls()) == {delivery_of(stack, one) for one in healthy}
    # A neighbour may have been between the provider's yes and the record when the worker died; then the record says so.
    twice = {one for one in stack.calls() if stack.calls().count(one) > 1}
    flagged = stack.query("SELECT delivery_id::text FROM notifications_deliveryevent WHERE code = 'maybe_twice'")
    assert twice <= {row[0] for row in flagged}


class _Restarts:
    """A service manager: a worker that ends is started again."""

    def __init__(self, stack: Stack, **environment: object) -> None:
        self._ended = threading.Event()

        def watch() -> None:
            program = stack.worker(**environment)
            while not self._ended.wait(0.1):
                if program.code is not None:
                    program = stack.worker(**environment)

        self._thread = threading.Thread(target=watch)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.mark.faults
@pytest.mark.rabbitmq
def test_sigterm_finishes_what_is_in_flight_returns_the_rest_and_doubles_nothing(rabbit_stack: Stack):
    lanes = ("critical", "high", "normal", "low")
    everyone = [f"person-{n}" for n in range(20)]
    for number, name in enumerate(everyone):
        delivery = delivery_of(rabbit_stack, submit(rabbit_stack, name)[0])
        rabbit_stack.query(
            "UPDATE notifications_outbox SET takes = 1, priority = %s WHERE %s = ANY(delivery_ids)",
            lanes[number % 4],
            delivery,
        )
    rabbit_stack.relay()
    slow = {"SIMULATOR_LATENCY_MS": 800, "SIMULATOR_LATENCY_SIGMA": 0}
    first = rabbit_stack.worker(**slow)
    wait_until(lambda: rabbit_stack.statuses().get("sending"), 60, "the first claim")

    assert first.stop(26) == 0
    assert "sending" not in rabbit_stack.statuses()  # all that was begun is recorded
    assert rabbit_stack.unfinished() > 0  # and it did not work off the queue instead of leaving
    rabbit_stack.worker()
    rabbit_stack.drain()

    calls = rabbit_stack.calls()
    assert len(calls) == len(set(calls)) == 20
    assert rabbit_stack.one("SELECT count(*) FROM notifications_deliveryevent WHERE type = 'reclaimed'") == 0


@pytest.mark.rabbitmq
@pytest.mark.parametrize("minutes", [10, -10])
def test_a_worker_whose_clock_is_wrong_changes_nothing(rabbit_stack: Stack, minutes: int):
    hour = "UPDATE notifications_notification SET expires_at = now() + interval '%s minutes' WHERE id = %%s"
    fresh, stale, later = (submit(rabbit_stack, name)[0] for name in ("person-1", "person-2", "person-3"))
    rabbit_stack.query(hour % 5, fresh)  # for a clock ten minutes ahead it is over
    rabbit_stack.query(hour % -1, stale)  # for a clock ten minutes behind it is not
    rabbit_stack.query(
        "UPDATE notifications_outbox SET due_at = now() + interval '5 minutes' WHERE %s = ANY(delivery_ids)",
        delivery_of(rabbit_stack, later),
    )
    offset = {"CLOCK_OFFSET": minutes * 60}
    rabbit_stack.relay(**offset)
    rabbit_stack.worker(**offset)
    wait_until(lambda: rabbit_stack.unfinished() == 1, 60, "the two that are due")

    state = "SELECT status, skip_reason FROM notifications_delivery WHERE notification_id = %s"
    assert rabbit_stack.query(state, fresh) == [("sent", "")]
    assert rabbit_stack.query(state, stale) == [("skipped", "expired")]
    assert rabbit_stack.query(state, later) == [("queued", "")]
    near = "SELECT count(*) FROM notifications_deliveryevent WHERE abs(extract(epoch FROM at - now())) < 120"
    assert rabbit_stack.one(near) == 2
    ids = [row[0] for row in rabbit_stack.query("SELECT id FROM notifications_deliveryevent")]
    gaps = [((id.int >> 80) / 1000 - time.time()) / 60 for id in ids]
    assert all(abs(gap - minutes) < 2 for gap in gaps)  # the clock was wrong indeed: it stands in the ids


@pytest.mark.faults
def test_a_database_worker_that_dies_after_the_call_leaves_one_flagged_duplicate(stack: Stack):
    [accepted] = submit(stack, "person-1")
    assert stack.worker(FAILPOINTS="worker.after_send").ends(40) == DIED

    stack.worker()
    stack.drain(AFTER_LEASE)

    delivery = delivery_of(stack, accepted)
    assert stack.calls().count(delivery) == 2
    assert events_of(stack, delivery) == ["reclaimed", "sent"]
