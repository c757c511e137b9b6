"""The checks watch: with one protection taken out, the books no longer agree, and a check says so.

Each scenario is run as it is, and then without the protection it is made for.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import pika
import pytest

from tests.faults import ledger
from tests.faults.books import read_calls, read_record
from tests.faults.conftest import Servers
from tests.faults.flow import Flow
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

Scenario = Callable[[Servers, Stack, Flow, str], None]


def _start(stack: Stack) -> Flow:
    _, client = stack.api()
    client.ready()
    return Flow(stack, client)


def _broker_lost_while_publishing(own: Servers, stack: Stack, flow: Flow, mutation: str) -> None:
    """What the relay writes never reaches the broker."""
    stack.relay(MUTATION=mutation)
    wait_until(lambda: own.proxies["rabbit"].open, 60, what="the relay's connection")
    flow.post(1)
    wait_until(lambda: flow.waiting() == 0, what="the first round")
    own.proxies["rabbit"].hold()
    flow.post(5)
    time.sleep(2)
    own.proxies["rabbit"].cut()
    own.proxies["rabbit"].heal()
    stack.worker()


def _two_workers_and_the_same_message(own: Servers, stack: Stack, flow: Flow, mutation: str) -> None:
    """The broker hands a message out again."""
    flow.post(3)
    copy = (
        "INSERT INTO notifications_outbox (channel, priority, delivery_ids, takes)"
        " SELECT channel, priority, delivery_ids, 1 FROM notifications_outbox"
    )
    stack.query(copy)
    stack.relay()
    stack.worker(MUTATION=mutation)


def _a_queue_that_is_gone(own: Servers, stack: Stack, flow: Flow, mutation: str) -> None:
    """Somebody deletes a queue on the broker while the relay is at work."""
    stack.relay(MUTATION=mutation)
    flow.post(1)
    wait_until(lambda: flow.waiting() == 0, what="the first round")
    worker = stack.worker()
    stack.drain()
    worker.kill()
    connection = pika.BlockingConnection(pika.URLParameters(own.rabbit.url()))
    connection.channel().queue_delete(f"{stack.environment['BROKER_PREFIX']}.email.normal")
    connection.close()
    flow.post(5)
    time.sleep(2)
    stack.worker()


def _a_queue_that_was_emptied(own: Servers, stack: Stack, flow: Flow, mutation: str) -> None:
    """What the broker had taken is gone: purged by mistake, or its disk is another."""
    stack.relay()
    flow.post(5)
    wait_until(lambda: flow.waiting() == 0, what="the publishing")
    connection = pika.BlockingConnection(pika.URLParameters(own.rabbit.url()))
    connection.channel().queue_purge(f"{stack.environment['BROKER_PREFIX']}.email.normal")
    connection.close()
    stack.worker()
    stack.maintenance(MUTATION=mutation)


def _close(flow: Flow, seconds: float) -> None:
    """The books, after as much time as it takes when nothing is lost."""
    with suppress(AssertionError):  # the first check says what has not ended
        flow.stack.drain(seconds)
    time.sleep(1)
    record, calls = read_record(flow.stack.database_url), read_calls(flow.stack.journal)
    ledger.every_acceptance_has_ended(flow.client.book, record)
    ledger.sent_means_taken(record, calls)
    ledger.duplicates_are_bounded(record, calls, allowed=0)


@pytest.mark.parametrize(
    ("mutation", "scenario", "seconds", "complaint"),
    [
        ("no_confirms", _broker_lost_while_publishing, 20, "have not ended"),
        ("no_compare_and_set", _two_workers_and_the_same_message, 20, "sent twice|duplicates"),
        ("no_mandatory", _a_queue_that_is_gone, 20, "have not ended"),
        ("no_reconciler", _a_queue_that_was_emptied, 60, "have not ended"),
    ],
)
def test_the_ledger_notices_a_protection_that_is_missing(
    own: Servers, own_stack: Stack, mutation: str, scenario: Scenario, seconds: float, complaint: str
):
    flow = _start(own_stack)
    scenario(own, own_stack, flow, "")
    _close(flow, seconds)  # with the protection, the books agree
    _forget(own, own_stack)

    scenario(own, own_stack, flow, mutation)

    with pytest.raises(AssertionError, match=complaint):
        _close(flow, seconds)


def _forget(own: Servers, stack: Stack) -> None:
    """Everything but the web process ends."""
    for program in stack.programs[1:]:
        program.kill()
    own.heal()
