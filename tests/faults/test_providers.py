"""What fails is a provider: it is left alone, the next one is asked, and the other channels do not notice."""

import hashlib
import itertools
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.faults import ledger
from tests.faults.books import Call, read_calls, read_record
from tests.faults.client import Client
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

PACE = {"BREAKER_MIN_CALLS": 5, "BREAKER_OPEN_SECONDS": 3, "BREAKER_OPEN_MAX_SECONDS": 3, "MAX_ATTEMPTS": 8}
#: A call may start this much before its time: the circuit's jitter, and the way from the asking to the provider.
SPARED = 0.5


@pytest.fixture
def client(stack: Stack) -> Client:
    stack.environment |= {name: str(value) for name, value in PACE.items()}
    _, made = stack.api()
    made.ready()
    return made


def behave(stack: Stack, *providers: str, **options: object) -> None:
    """From now on, as far as the sandbox is concerned; without options as the settings say."""
    for provider in providers:
        stack.query("DELETE FROM notifications_sandboxstate WHERE provider = %s", provider)
        if options:
            statement = "INSERT INTO notifications_sandboxstate (provider, options, by) VALUES (%s, %s, 'test')"
            stack.query(statement, provider, json.dumps(options))
    time.sleep(1.5)  # every process has read it


def calls_to(stack: Stack, provider: str, since: float = 0.0) -> list[Call]:
    return [call for call in read_calls(stack.journal) if call.provider == provider and call.at >= since]


def close(stack: Stack, client: Client) -> ledger.Duplicates:
    record, calls = read_record(stack.database_url), read_calls(stack.journal)
    ledger.every_acceptance_has_ended(client.book, record)
    ledger.sent_means_taken(record, calls)
    ledger.status_is_the_fold_of_events(record)
    ledger.counters_are_the_sum_of_events(record)
    return ledger.duplicates_are_bounded(record, calls, allowed=0)


def waits(stack: Stack, channel: str, since: datetime) -> list[float]:
    """Seconds from acceptance to sent, the shortest first."""
    query = (
        "SELECT extract(epoch FROM sent_at - created_at)::float8 FROM notifications_delivery"
        " WHERE channel = %s AND created_at >= %s AND sent_at IS NOT NULL ORDER BY 1"
    )
    return [row[0] for row in stack.query(query, channel, since)]


def test_a_provider_of_thirty_seconds_is_left_alone_and_the_other_channels_keep_their_pace(
    stack: Stack, client: Client
):
    stack.worker("email")
    stack.worker("sms")
    client.send("person-0", "email")
    client.send("person-0", "sms")
    stack.drain()
    calm = datetime.now(UTC)
    for number in range(40):
        client.send(f"person-{number % 20}", "email")
    stack.drain()
    before = waits(stack, "email", calm)
    slow = ("simulated_sms", "simulated_sms_backup")
    behave(stack, *slow, latency_ms=30_000, latency_sigma=0)

    broken = datetime.now(UTC)
    for number in range(40):
        client.send(f"person-{number % 20}", "sms")
        client.send(f"person-{number % 20}", "email")
    time.sleep(3)
    opened = time.time()
    time.sleep(6)
    asked = {provider: len(calls_to(stack, provider, opened)) for provider in slow}
    behave(stack, *slow)
    stack.drain(120)

    assert len(waits(stack, "email", broken)) == 40
    assert waits(stack, "email", broken)[-1] <= 2 * before[-1] + 0.2
    assert all(count <= 3 for count in asked.values()), asked  # probes: one message every three seconds at most
    close(stack, client)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("date", 3.0), ("86400", 4.0), ("soon", 4.0)],
    ids=["seconds", "a date", "a day", "garbage"],
)
def test_a_throttling_provider_is_not_asked_before_the_time_it_named(
    stack: Stack, client: Client, header: str, seconds: float
):
    providers = ("simulated_email", "simulated_email_backup")
    at = datetime.now(UTC) + timedelta(seconds=12)
    text = format_datetime(at, usegmt=True) if header == "date" else header
    behave(stack, *providers, throttle_rate=1, throttle_retry_after=text)
    stack.worker("email")
    kept = client.send("person-1")
    short = client.send("person-2", lasts=5.0)
    wait_until(lambda: calls_to(stack, providers[0]), 60, "the first call")
    time.sleep(9)
    behave(stack, *providers)
    stack.drain(60)

    for provider in providers:
        refused = [call.at for call in calls_to(stack, provider) if call.outcome == "throttled"]
        gaps = [after - before for before, after in itertools.pairwise(refused)]
        # Messages of one call share a moment; the next call keeps its distance. A date is a moment, and the cap is 4 s.
        least = 0.0 if header == "date" else min(seconds, 4.0)
        assert all(gap < 0.1 or gap >= least - SPARED for gap in gaps), gaps
    state = dict(stack.query("SELECT notification_id::text, status || ' ' || skip_reason FROM notifications_delivery"))
    assert state == {kept: "sent ", short: "skipped expired"}
    events = dict(stack.query("SELECT type, count(*) FROM notifications_deliveryevent GROUP BY 1"))
    assert "deferred" not in events  # it was told to wait, not refused: no attempt is used up
    assert close(stack, client).injected == 0


def test_a_provider_that_answers_5xx_is_left_for_the_next_and_nothing_is_sent_twice(stack: Stack, client: Client):
    behave(stack, "simulated_email", outage=True)
    stack.worker("email")
    for number in range(20):
        client.send(f"person-{number}")
    stack.drain()
    assert {call.provider for call in read_calls(stack.journal) if call.outcome == "accepted"} == {
        "simulated_email_backup"
    }

    behave(stack, "simulated_email_backup", outage=True)
    for number in range(20):
        client.send(f"person-{number}")
    time.sleep(6)
    behave(stack, "simulated_email", "simulated_email_backup")
    stack.drain(90)

    assert stack.statuses() == {"sent": 40}
    assert close(stack, client) == ledger.Duplicates(0, 0, 0)


def test_of_three_workers_one_probes_an_open_circuit_with_one_message(stack: Stack, client: Client):
    providers = ("simulated_email", "simulated_email_backup")
    behave(stack, *providers, outage=True)
    for number in range(60):
        client.send(f"person-{number % 20}")
    for _ in range(3):
        stack.worker("email")
    wait_until(lambda: all(len(calls_to(stack, name)) >= PACE["BREAKER_MIN_CALLS"] for name in providers), 60)
    time.sleep(1.5)  # what was asked for before the circuits opened has been answered
    opened = time.time()
    time.sleep(10)

    for provider in providers:
        probes = [call.at for call in calls_to(stack, provider, opened)]
        gaps = [after - before for before, after in itertools.pairwise(probes)]
        assert probes
        assert all(gap >= PACE["BREAKER_OPEN_SECONDS"] * 0.9 - SPARED for gap in gaps), gaps
    behave(stack, *providers)
    stack.drain(90)

    assert stack.statuses() == {"sent": 60}
    assert close(stack, client).injected == 0


def test_a_limit_holds_in_every_window_whatever_three_workers_do(stack: Stack, client: Client):
    stack.query(
        "INSERT INTO notifications_ratelimit (scope, target, max, per_seconds, is_on, note)"
        " VALUES ('provider', 'simulated_email', 10, 2, true, '')"
    )
    for number in range(60):
        client.send(f"person-{number % 20}")
    for _ in range(3):
        stack.worker("email")
    stack.drain(90)

    assert stack.statuses() == {"sent": 60}
    ledger.no_window_exceeds(read_calls(stack.journal), provider="simulated_email", most=10, seconds=2)
    assert close(stack, client).injected == 0


def test_a_token_that_is_gone_is_retired_and_the_other_devices_go_on(stack: Stack, client: Client):
    [person] = stack.query("SELECT id FROM preferences_recipient WHERE external_id = 'person-1'")[0]
    token = "magic-invalid"
    stack.query(
        "INSERT INTO preferences_devicetoken (id, recipient_id, platform, token, token_hash, label, retired_reason)"
        " VALUES (%s, %s, 'fcm', %s, %s, '', '')",
        uuid.uuid4(),
        person,
        token,
        hashlib.sha256(token.encode()).hexdigest(),
    )
    stack.worker("push")
    client.send("person-1", "push")
    stack.drain()
    retired = "SELECT token FROM preferences_devicetoken WHERE retired_at IS NOT NULL"
    wait_until(lambda: stack.query(retired) == [(token,)], what="the retirement")
    assert stack.statuses() == {"sent": 1, "failed": 1}
    refused = [call for call in read_calls(stack.journal) if call.outcome == "invalid_address"]
    assert len(refused) == 1  # there was no second try

    # Registered once more, and again while the provider is refusing it: the later word counts.
    body = {"platform": "fcm", "token": token}
    path = "/api/v1/recipients/person-1/device-tokens/"
    assert client.call("POST", path, body).status in {200, 201}
    behave(stack, "simulated_push", latency_ms=900, latency_sigma=0)
    client.send("person-1", "push")
    wait_until(lambda: stack.statuses().get("sending"), what="the claim")
    assert client.call("POST", path, body).status in {200, 201}
    stack.drain()
    time.sleep(1)

    assert stack.query(retired) == []
    assert stack.statuses() == {"sent": 2, "failed": 2}
