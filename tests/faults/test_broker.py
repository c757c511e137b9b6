"""What dies is the broker: the web process never notices, the outbox grows and drains, nothing is lost."""

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Servers
from tests.faults.flow import Flow
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]


def _kill(own: Servers) -> Callable[[], object]:
    own.rabbit.kill()
    return own.rabbit.start


def _freeze(own: Servers) -> Callable[[], object]:
    own.rabbit.freeze()
    return own.rabbit.thaw


def _memory(own: Servers) -> Callable[[], object]:
    own.rabbit.control("set_vm_memory_high_watermark", "0.0001")
    return lambda: own.rabbit.control("set_vm_memory_high_watermark", "0.4")


def _disk(own: Servers) -> Callable[[], object]:
    own.rabbit.control("set_disk_free_limit", "900000GB")
    return lambda: own.rabbit.control("set_disk_free_limit", "50MB")


def _cut(own: Servers) -> Callable[[], object]:
    own.proxies["rabbit"].refuse()
    return own.proxies["rabbit"].heal


def _swallow(own: Servers) -> Callable[[], object]:
    own.proxies["rabbit"].hold()
    return own.proxies["rabbit"].heal


@pytest.mark.parametrize("outage", [_kill, _freeze, _memory, _disk, _cut, _swallow])
def test_the_api_goes_on_while_the_broker_is_out_and_all_is_sent_when_it_is_back(
    outage: Callable[[Servers], Callable[[], object]], own: Servers, flow: Flow
):
    end = outage(own)
    time.sleep(1)  # what was published just before may still be under way

    flow.post(20)
    assert flow.waiting() >= 20
    time.sleep(8)  # more than two heartbeats of 4 s, and the confirms' time-out
    flow.post(5)
    assert flow.waiting() >= 25
    end()

    flow.finish(90)


def test_a_broker_that_is_stopped_for_a_minute_loses_nothing(own: Servers, flow: Flow):
    own.rabbit.stop()
    for _ in range(12):
        flow.post(3)
        time.sleep(5)
    assert flow.waiting() == 36
    own.rabbit.start()

    flow.finish()


def test_a_broker_killed_in_the_middle_of_publishing_loses_nothing_it_confirmed(own: Servers, flow: Flow):
    fill = (
        "INSERT INTO notifications_outbox (channel, priority, delivery_ids, takes)"
        " SELECT 'email', 'low', ARRAY[gen_random_uuid()], 1 FROM generate_series(1, 20000)"  # of nobody: only to carry
    )
    flow.stack.query(fill)
    flow.post(10)
    wait_until(lambda: flow.waiting() < 18_000, 60, "some publishing")
    own.rabbit.kill()
    flow.post(10)
    own.rabbit.start()
    flow.post(10)

    flow.finish(120)
    wait_until(lambda: flow.waiting() == 0, 60, "the end of the outbox")


def test_a_full_queue_refuses_and_its_rows_wait_in_the_outbox(own: Servers, own_stack: Stack):
    own_stack.environment["BROKER_MAX_QUEUE_LENGTH"] = "5"
    _, client = own_stack.api()
    own_stack.relay()
    client.ready()
    flow = Flow(own_stack, client)
    for _ in range(30):
        flow.post(1)
        time.sleep(0.1)  # so that each has a message of its own
    wait_until(lambda: "queue full" in "".join(p.said() for p in own_stack.programs), what="the refusal")
    assert flow.waiting() > 0

    own_stack.worker()
    flow.finish()
    assert flow.waiting() == 0
