"""Steps under kill -9: workers, the relay and whoever applies receipts die at any moment, receipts come late and twice,
and each notification's steps end accounted for, none too early, none after somebody was reached."""

import json
import random
import threading
import time
from contextlib import suppress

import psycopg
import pytest

from tests.faults import ledger, seed
from tests.faults.books import read_calls, read_record
from tests.faults.conftest import Servers
from tests.faults.programs import wait_until
from tests.faults.service import Service
from tests.faults.stack import LEASE, Stack
from tests.faults.steps import Rule, every_step_kept_its_rule

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

SECONDS = 45
PEOPLE = 150
TIMEOUT, MARGIN = 1, 5
#: From a claim to the last call it may lead to; a machine that is busy elsewhere stretches it.
UNDER_WAY = LEASE - TIMEOUT - MARGIN + 3
WAIT = 8
CHANNELS = ("push", "sms", "email", "in_app")
STEPS = Rule(("push", "sms", "email"), after={"sms": 10, "email": 20}, delivered=frozenset({"sms"}))
STORED = [
    {"channel": "push"},
    {"channel": "sms", "after": 10, "unless": "delivered"},
    {"channel": "email", "after": 20, "unless": "read"},
]
PACE = {
    "SIMULATOR_LATENCY_MS": 150,
    "SIMULATOR_RECEIPTS": 1,
    "SIMULATOR_RECEIPT_DELAY_MS": 4000,  # some before the next step's time, some after it
    "SIMULATOR_BOUNCE_RATE": 0.3,
    "SIMULATOR_OPEN_RATE": 0.3,
    "SIMULATOR_INVALID_RATE": 0.1,
    "SIMULATOR_SUCCESS_RATE": 0.8,
    "SIMULATOR_TEMPORARY_RATE": 0.1,  # the next provider has it then, or it is tried again
    "MAX_ATTEMPTS": 6,
}
#: What vendors have to say yet, some of it twice and some of it later.
AGAIN = """
    INSERT INTO notifications_simulatedreceipt (due_at, provider, delivery_id, type)
    SELECT due_at + random() * interval '6 seconds', provider, delivery_id, type
      FROM notifications_simulatedreceipt WHERE random() < 0.3
"""
LATER = """
    UPDATE notifications_simulatedreceipt SET due_at = due_at + random() * interval '8 seconds' WHERE random() < 0.1
"""


def test_steps_that_are_killed_between_end_accounted_for(own: Servers, own_stack: Stack, capsys):
    chance = random.Random(926)
    own_stack.environment |= {name: str(value) for name, value in PACE.items()}
    with own_stack.connect() as connection:
        seed.person(connection, [f"person-{n}" for n in range(20, PEOPLE)])
        seed.category(connection, "steps")
        connection.execute(
            "UPDATE preferences_category SET strategy = 'escalate', escalation = %s WHERE slug = 'steps'",
            [json.dumps(STORED)],
        )
    service = Service(own_stack, chance)
    client, rules = service.client, dict[str, Rule]()
    client.ready(90)
    posting = threading.Thread(target=post, args=(service, rules, random.Random(7)))
    posting.start()
    try:
        kill_at_random(own_stack, service, chance)
        posting.join(120)
        own_stack.drain(240)
        wait_until(lambda: not reports(own_stack), 120, "the last report")
        service.count()
        record, calls = read_record(own_stack.database_url), read_calls(own_stack.journal)
    finally:
        posting.join(1)
        service.end()

    assert service.strays == []
    ledger.every_acceptance_has_ended(client.book, record)
    ledger.sent_means_taken(record, calls)
    ledger.duplicates_are_bounded(record, calls, allowed=service.allowed)
    ledger.status_is_the_fold_of_events(record)
    ledger.counters_are_the_sum_of_events(record)
    declined = ledger.who_declined_was_asked(record, calls)
    spared = every_step_kept_its_rule(rules, record, calls, under_way=UNDER_WAY)
    figures = {"notifications": len(rules), "crashes": service.crashes, "calls": len(calls), "spared": spared}
    figures |= {"reclaims": ledger.count(record, "reclaimed"), "rescues": ledger.count(record, "rescued")}
    figures |= {"declined": declined, "deferred": ledger.count(record, "deferred")}
    with capsys.disabled():
        print(json.dumps(figures))  # noqa: T201 - the run's figures
    assert spared > PEOPLE / 4
    assert declined
    assert service.crashes > SECONDS / 10


def post(service: Service, rules: dict[str, Rule], chance: random.Random) -> None:
    """One notification to each, over the time of the kills."""
    for n in range(PEOPLE):
        if n % 2:
            order = tuple(chance.sample(CHANNELS, 3))
            made = service.client.send(f"person-{n}", *order, strategy={"first": WAIT})
            rules[made] = Rule(order, wait=WAIT)
        else:
            rules[service.client.send(f"person-{n}", *STEPS.channels, category="steps")] = STEPS
        time.sleep(chance.uniform(0, SECONDS / PEOPLE))


def kill_at_random(stack: Stack, service: Service, chance: random.Random) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        service.kill(chance.choice([*service.workers, "relay", "events"]))
        with suppress(psycopg.Error):
            service.count()
            stack.query(AGAIN)
            stack.query(LATER)
        time.sleep(chance.uniform(0.3, 2.0))


def reports(stack: Stack) -> int:
    both = "notifications_simulatedreceipt", "notifications_receivedevent"
    return sum(int(stack.one(f"SELECT count(*) FROM {table}")) for table in both)
