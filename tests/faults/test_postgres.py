"""What dies is PostgreSQL: 503 with Retry-After and never a 202 without a commit; workers pause, no attempt is used."""

import threading
import time

import pytest

from tests.faults.client import draft
from tests.faults.conftest import Servers
from tests.faults.flow import Flow
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

PATH = "/api/v1/notifications/"


@pytest.fixture(autouse=True)
def _longer_leases(request: pytest.FixtureRequest) -> None:
    """An outage here ends within the lease; one that does not may cause a duplicate, and is the ledger's matter."""
    stack: Stack = request.getfixturevalue("own_stack")
    stack.environment |= {"LEASE_SECONDS": "40", "VISIBILITY_SECONDS": "45", "PROVIDER_TIMEOUT_SECONDS": "4"}
    stack.environment |= {"SIMULATOR_LATENCY_MS": "1500", "SIMULATOR_LATENCY_SIGMA": "0"}


def refused(flow: Flow) -> None:
    """The API says "later", as a problem, and in time."""
    answer = flow.client.call("POST", PATH, draft("person-1", "email"), timeout=30)
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.seconds < 12


def no_attempt_was_used(flow: Flow) -> None:
    events = dict(flow.stack.query("SELECT type, count(*) FROM notifications_deliveryevent GROUP BY 1"))
    assert set(events) == {"sent"}
    assert flow.stack.one("SELECT count(*) FROM notifications_deadletter") == 0


def test_a_killed_postgresql_is_answered_with_503_and_workers_wait_for_it(own: Servers, flow: Flow):
    flow.post(10)
    wait_until(lambda: flow.stack.statuses().get("sending"), what="a claim")
    own.postgres.kill()

    refused(flow)
    time.sleep(5)
    refused(flow)
    own.postgres.start()

    flow.finish()
    no_attempt_was_used(flow)


def test_a_postgresql_that_turns_read_only_is_answered_with_503_and_workers_wait_for_it(own: Servers, flow: Flow):
    database = flow.stack.database_url.rpartition("/")[2]
    flow.post(10)
    wait_until(lambda: flow.stack.statuses().get("sending"), what="a claim")
    own.postgres.do(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    own.postgres.terminate_connections(database)

    for _ in range(5):
        refused(flow)
        time.sleep(1)
    own.postgres.do(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    own.postgres.terminate_connections(database)

    flow.finish()
    no_attempt_was_used(flow)


def test_terminated_connections_lose_no_acceptance_and_use_no_attempt(own: Servers, flow: Flow):
    database = flow.stack.database_url.rpartition("/")[2]
    threads = [threading.Thread(target=_post, args=(flow, 15)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(12):
        time.sleep(0.5)
        own.postgres.terminate_connections(database)
    for thread in threads:
        thread.join(120)

    flow.expect(60)
    flow.finish()
    no_attempt_was_used(flow)


def test_no_202_is_given_without_a_commit_however_often_postgresql_is_killed(own: Servers, flow: Flow):
    threads = [threading.Thread(target=_post, args=(flow, 12)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(1.5)
        own.postgres.kill()
        time.sleep(0.5)
        own.postgres.start()
    for thread in threads:
        thread.join(120)

    flow.expect(48)
    flow.finish()
    no_attempt_was_used(flow)


def _post(flow: Flow, count: int) -> None:
    """Patiently: refused and unanswered posts are repeated under their key."""
    for number in range(count):
        flow.client.send(f"person-{number % 20}")
        time.sleep(0.1)
