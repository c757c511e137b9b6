"""Whatever is killed after a webhook's 200, what it said is applied, and once."""

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Servers
from tests.faults.programs import wait_until
from tests.faults.stack import Stack
from tests.faults.vendor import Vendor, sent

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

DELIVERIES = 6_000
ROUNDS = 3


def kill_web(own: Servers, stack: Stack) -> None:
    program = next(one for one in reversed(stack.programs) if one.name == "api")
    program.kill()
    stack.api(stack.web_port)


def kill_run_events(own: Servers, stack: Stack) -> None:
    program = next(one for one in reversed(stack.programs) if one.name == "events")
    program.kill()
    stack.events()


def kill_postgresql(own: Servers, stack: Stack) -> None:
    own.postgres.kill()
    own.postgres.start()


def kill_redis_and_rabbitmq(own: Servers, stack: Stack) -> None:
    own.redis.kill()
    own.rabbit.kill()


@pytest.mark.parametrize("kill", [kill_web, kill_run_events, kill_postgresql, kill_redis_and_rabbitmq])
def test_no_receipt_is_lost_or_applied_twice(
    kill: Callable[[Servers, Stack], None], own: Servers, own_stack: Stack
) -> None:
    # Given a vendor that tells of thousands of messages, and takes nothing but a 200 for an answer
    deliveries = sent(own_stack, DELIVERIES)
    _, client = own_stack.api()
    own_stack.events()
    client.ready(90)
    vendor = Vendor(own_stack, deliveries)
    # When something is killed again and again, in the middle of it
    for number in range(1, ROUNDS + 1):
        wait_until(lambda n=number: vendor.answered > n * DELIVERIES // (ROUNDS + 2), 120, "some answers")
        kill(own, own_stack)
        time.sleep(0.3)
    wait_until(vendor.is_done, 180, "the vendor's last 200")
    wait_until(lambda: _waiting(own_stack) == 0, 120, "the last event's application")
    # Then everything it was told 200 for is on the record, each once, and counted once
    assert own_stack.statuses() == {"delivered": DELIVERIES}
    events = own_stack.query(
        "SELECT count(*), count(DISTINCT delivery_id) FROM notifications_deliveryevent WHERE type = 'delivered'"
    )
    assert events == [(DELIVERIES, DELIVERIES)]
    counted = dict(
        own_stack.query(
            "SELECT outcome || reason, sum(count)::bigint FROM analytics_minutecount GROUP BY outcome || reason"
        )
    )
    assert counted["delivered"] == counted["receiptapplied"] == DELIVERIES
    # What is counted beyond that is what the vendor had to send again because the 200 got lost
    assert counted.get("receiptunchanged", 0) <= vendor.again * 20
    assert "receiptunknown" not in counted


def _waiting(stack: Stack) -> int:
    return int(stack.patient("SELECT count(*) FROM notifications_receivedevent")[0][0])
