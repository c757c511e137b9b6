"""The ledger: random faults by a seed, then heal, drain, and close the three books against each other.

    bin/test --faults tests/faults/test_ledger.py [--seed N]        FAULT_SECONDS=600 for a longer run

The last line it prints is one JSON object with the run's figures.
"""

import json
import os
import random
import time

import pytest

from tests.faults import ledger, seed
from tests.faults.books import Record, read_calls, read_record
from tests.faults.chaos import Chaos
from tests.faults.conftest import Servers
from tests.faults.crowd import Crowd
from tests.faults.programs import wait_until
from tests.faults.sampler import Sampler
from tests.faults.service import Service
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

SECONDS = float(os.environ.get("FAULT_SECONDS", "75"))
SEED = int(os.environ.get("FAULT_SEED") or random.randrange(1_000_000))
LEASE, TIMEOUT, MARGIN = 15, 3, 5
PEOPLE = 200
#: The reconciler looks at what is older than 15 s, every 30 s, and PostgreSQL or the broker may be away meanwhile.
REACHABLE = 75.0
PACE = {
    "LEASE_SECONDS": LEASE,
    "VISIBILITY_SECONDS": LEASE + 5,
    "PROVIDER_TIMEOUT_SECONDS": TIMEOUT,
    "RECONCILE_AFTER_SECONDS": 15,
    "RECONCILE_FULL_SECONDS": 1,
    "MAX_ATTEMPTS": 40,
    "BROKER_DELIVERY_LIMIT": 10,
    "SIMULATOR_LATENCY_MS": 250,
    "SIMULATOR_RECEIPTS": 1,
    "SIMULATOR_RECEIPT_DELAY_MS": 300,
    "SIMULATOR_BOUNCE_RATE": 0.05,
    "SIMULATOR_OPEN_RATE": 0.4,
    "SIMULATOR_CLICK_RATE": 0.2,
}


def test_the_books_agree_after_random_faults(own: Servers, own_stack: Stack, capsys: pytest.CaptureFixture[str]):
    with capsys.disabled():
        print(f"\nledger: seed {SEED}, {SECONDS:g} s of faults")  # noqa: T201
    chance = random.Random(SEED)
    own_stack.environment |= {name: str(value) for name, value in PACE.items()}
    with own_stack.connect() as connection:
        seed.person(connection, [f"person-{n}" for n in range(20, PEOPLE)])
    service = Service(own_stack, chance)
    client = service.client
    client.ready(90)
    crowd = Crowd(client, [f"person-{n}" for n in range(PEOPLE)], SEED)
    sampler = Sampler(own_stack, own.rabbit, client.book, bound=REACHABLE)
    chaos = Chaos(own, own_stack, service, chance)
    try:
        chaos.run(SECONDS)
        own.heal()
        chaos.calm_providers()
        crowd.leave(120)
        own_stack.drain(240)
        wait_until(lambda: not reports(own_stack), 120, "the last report")
        _close(own_stack, service, crowd, sampler, chaos, capsys)
    finally:
        crowd.leave(1)
        sampler.leave()
        service.end()


def _close(
    own_stack: Stack,
    service: Service,
    crowd: Crowd,
    sampler: Sampler,
    chaos: Chaos,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Hold the books against each other and print the figures."""
    client, chance = service.client, chaos.chance
    record, calls = read_record(own_stack.database_url), read_calls(own_stack.journal)
    assert crowd.failures == []
    assert sampler.looks > SECONDS / 4
    assert sampler.faults == [], "\n".join(timeline(record, fault.split()[0]) for fault in sampler.faults)
    assert service.strays == []
    ledger.every_acceptance_has_ended(client.book, record)
    ledger.sent_means_taken(record, calls)
    duplicates = ledger.duplicates_are_bounded(record, calls, allowed=service.allowed)
    ledger.nobody_was_sent_what_they_stopped(client.book, record, calls, under_way=LEASE - TIMEOUT - MARGIN + 1)
    ledger.status_is_the_fold_of_events(record)
    ledger.counters_are_the_sum_of_events(record)
    declined = ledger.who_declined_was_asked(record, calls)
    again = _repeat_every_report(own_stack, record, chance)

    figures = {
        "seed": SEED,
        "seconds": SECONDS,
        "faults": dict(sorted(chaos.injected.items())),
        "accepted": len(client.book.accepted),
        "deliveries": len(record.deliveries),
        "statuses": own_stack.statuses(),
        "lost": 0,
        "cancelled": len(client.book.cancelled),
        "opted_out": len(client.book.opted_out),
        "retried_posts": client.book.retries,
        "provider_calls": len(calls),
        "worker_crashes": service.crashes,
        "duplicates": duplicates._asdict(),
        "reclaims": ledger.count(record, "reclaimed"),
        "rescues": ledger.count(record, "rescued"),
        "held": ledger.count(record, "held"),
        "declined": declined,
        "looks": sampler.looks,
        "repeated_reports": again,
    }
    with capsys.disabled():
        print(json.dumps(figures))  # noqa: T201


def timeline(record: Record, delivery: str) -> str:
    told = " ".join(f"{event.type}@{event.at:%H:%M:%S}#{event.attempt}" for event in record.events.get(delivery, ()))
    return f"{delivery}: {told}"


def reports(stack: Stack) -> int:
    """What vendors have to say yet, and what is said and not applied. A courier that was killed holds some for a
    minute."""
    query = (
        "SELECT (SELECT count(*) FROM notifications_simulatedreceipt WHERE due_at < now() + interval '1 hour')"
        " + (SELECT count(*) FROM notifications_receivedevent)"
    )
    return int(stack.one(query))


def _repeat_every_report(stack: Stack, before: Record, chance: random.Random) -> int:
    """Every vendor says everything again, twice and in any order; nothing may change. How many reports that were."""
    told = [
        (delivery, event.type)
        for delivery, events in before.events.items()
        for event in events
        if event.type in {"delivered", "bounced", "complained", "opened", "clicked"}
    ] * 2
    chance.shuffle(told)
    with stack.connect() as connection, connection.cursor() as cursor:
        for delivery, type in told:
            cursor.execute(
                "INSERT INTO notifications_simulatedreceipt (due_at, provider, delivery_id, type)"
                " VALUES (now(), 'simulated_email', %s, %s)",
                [delivery, type],
            )
    wait_until(lambda: not reports(stack), 90, "the repeated reports")
    time.sleep(0.5)
    after = read_record(stack.database_url)
    ledger.events_only_grew(before, after)
    ledger.nothing_new_was_told(before, after)
    ledger.status_is_the_fold_of_events(after)
    ledger.counters_are_the_sum_of_events(after)
    return len(told)
