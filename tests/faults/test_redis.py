"""What dies is Redis: PostgreSQL is the truth, so opt-outs hold, nobody waits long, and transactional mail goes on."""

import time
from collections.abc import Callable

import pytest

from tests.faults import ledger, seed
from tests.faults.books import read_calls
from tests.faults.client import Client
from tests.faults.conftest import Servers
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

#: What a request may take longer than without the fault, in seconds.
LONGER = 0.5
Heal = Callable[[], None]


def _flushed(own: Servers) -> Heal:
    own.redis.client().flushall()
    return lambda: None


def _read_only(own: Servers) -> Heal:
    own.redis.client().replicaof("127.0.0.1", "1")  # a replica of nobody takes no writes
    return lambda: own.redis.client().replicaof("NO", "ONE")


def _hung(own: Servers) -> Heal:
    own.redis.freeze()
    return own.redis.thaw


def _full(own: Servers) -> Heal:
    own.redis.client().config_set("maxmemory-policy", "noeviction")
    own.redis.client().config_set("maxmemory", "1")
    return lambda: own.redis.client().config_set("maxmemory", "0")


def _gone(own: Servers) -> Heal:
    own.redis.kill()
    return own.redis.start


def _swallowed(own: Servers) -> Heal:
    own.proxies["redis"].hold()
    return own.proxies["redis"].heal


every_fault = pytest.mark.parametrize("fault", [_flushed, _read_only, _hung, _full, _gone, _swallowed])


@pytest.fixture
def client(own_stack: Stack) -> Client:
    _, made = own_stack.api()
    own_stack.relay()
    own_stack.worker()
    made.ready()
    return made


def times(client: Client) -> list[float]:
    """Seconds of ten posts each to somebody else, the quickest first."""
    taken = []
    for number in range(10):
        began = time.monotonic()
        client.send(f"person-{number}")
        taken.append(time.monotonic() - began)
    return sorted(taken)


@every_fault
def test_without_redis_opt_outs_hold_nobody_waits_and_transactional_mail_goes_on(
    fault: Callable[[Servers], Heal], own: Servers, own_stack: Stack, client: Client
):
    client.send("person-1")  # now the cache knows that person-1 may be written to
    calm = times(client)
    own_stack.drain()

    heal = fault(own)
    broken = times(client)
    own_stack.drain()  # while it is broken
    client.opt_out("person-1", "email")
    after = client.send("person-1")
    own_stack.drain()

    assert broken[-1] < calm[-1] + LONGER
    assert client.book.retries == 0
    assert outcome(own_stack, after) == ("skipped", "opted_out")
    waiting = client.send("person-2", send_at=later(3))
    client.opt_out("person-2", "email")  # accepted before, due afterwards
    heal()
    own_stack.drain()

    assert outcome(own_stack, waiting) == ("skipped", "opted_out")
    late = client.send("person-1")
    own_stack.drain()
    assert outcome(own_stack, late) == ("skipped", "opted_out")  # whatever the cache still holds
    assert own_stack.statuses() == {"sent": 21, "skipped": 3}
    assert len(set(own_stack.calls())) == len(own_stack.calls()) == 21


@pytest.mark.parametrize("fault", [_flushed, _hung, _full, _gone])
def test_without_redis_a_limit_still_holds_and_nothing_is_lost(
    fault: Callable[[Servers], Heal], own: Servers, own_stack: Stack, client: Client
):
    own_stack.query(
        "INSERT INTO notifications_ratelimit (scope, target, max, per_seconds, is_on, note)"
        " VALUES ('provider', 'simulated_email', 5, 2, true, '')"
    )
    time.sleep(2.5)  # until every process has read it
    for number in range(10):
        client.send(f"person-{number}")
    heal = fault(own)
    for number in range(15):
        client.send(f"person-{number}")
    time.sleep(4)
    heal()
    own_stack.drain(90)

    assert own_stack.statuses() == {"sent": 25}
    # Counting begins anew when Redis comes back empty, once.
    ledger.no_window_exceeds(read_calls(own_stack.journal), provider="simulated_email", most=10, seconds=2)


@pytest.mark.parametrize("fault", [_hung, _gone, _full])
def test_without_redis_marketing_waits_for_its_limits_and_transactional_mail_does_not(
    fault: Callable[[Servers], Heal], own: Servers, own_stack: Stack, client: Client
):
    with own_stack.connect() as connection:
        seed.category(connection, "offers", purpose="marketing")
    own_stack.query(
        "INSERT INTO notifications_ratelimit (scope, target, max, per_seconds, is_on, note)"
        " VALUES ('recipient', '', 100, 60, true, '')"
    )
    time.sleep(2.5)
    heal = fault(own)
    offer, order = client.send("person-1", category="offers"), client.send("person-1")
    wait_until(lambda: outcome(own_stack, order) == ("sent", ""), 30, "the transactional mail")
    time.sleep(2)
    assert outcome(own_stack, offer) == ("queued", "")
    heal()
    own_stack.drain(60)

    assert outcome(own_stack, offer) == ("sent", "")


def outcome(stack: Stack, notification: str) -> tuple[str, str]:
    query = "SELECT status, skip_reason FROM notifications_delivery WHERE notification_id = %s"
    found: tuple[str, str] = stack.query(query, notification)[0]
    return found


def later(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
