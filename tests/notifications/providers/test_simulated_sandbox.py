"""A simulated provider that is changed while it runs, and the calls it writes down."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.http import http_date

from core import ids
from notifications.choices import EventType
from notifications.models import SandboxState, SimulatedCall, SimulatedReceipt
from notifications.providers import simulated_calls, simulated_state
from notifications.providers.base import Failure, OutboundMessage
from notifications.providers.simulated import SimulatedProvider
from notifications.providers.simulated_state import states
from preferences.services import PreferencesService
from tests import factories
from tests.notifications.providers.contract import send
from tests.notifications.providers.test_simulated import EMAIL, make, word

pytestmark = pytest.mark.django_db(transaction=True)


def lay(options: Mapping[str, Any], provider: str = "simulated_email") -> None:
    """What the sandbox says from now on, and this process knows at once."""
    SandboxState.objects.update_or_create(provider=provider, defaults={"options": dict(options)})
    states.forget()


def words(provider: SimulatedProvider, messages: list[OutboundMessage]) -> Counter[str]:
    return Counter(map(word, send(provider, messages)))


class TestChangedWhileRunning:
    def test_an_outage_begins_and_ends_without_a_restart(self) -> None:
        provider = make()
        assert words(provider, EMAIL.messages(3)) == {"accepted": 3}

        lay({"outage": True})
        assert words(provider, EMAIL.messages(3)) == {"unavailable": 3}

        SandboxState.objects.all().delete()
        states.forget()
        assert words(provider, EMAIL.messages(3)) == {"accepted": 3}

    def test_a_change_elsewhere_is_seen_within_a_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(simulated_state, "READ_EVERY_SECONDS", 0.2)
        provider = make()
        send(provider, EMAIL.messages(1))

        SandboxState.objects.create(provider="simulated_email", options={"outage": True})
        time.sleep(0.25)

        assert words(provider, EMAIL.messages(1)) == {"unavailable": 1}

    def test_one_provider_is_changed_and_the_others_are_not(self) -> None:
        lay({"outage": True}, provider="simulated_email_backup")

        assert words(make(), EMAIL.messages(1)) == {"accepted": 1}
        assert words(SimulatedProvider("simulated_email_backup"), EMAIL.messages(1)) == {"unavailable": 1}

    def test_test_traffic_follows_the_sandbox_and_not_the_shares_of_the_settings(self) -> None:
        provider = make(success_rate=0.0, temporary_rate=1.0)
        trial = [EMAIL.message(is_test=True) for _ in range(20)]
        assert words(provider, trial) == {"accepted": 20}

        lay({"invalid_rate": 0.5})
        found = words(make(), [EMAIL.message(is_test=True) for _ in range(400)])

        assert found.keys() == {"accepted", "invalid_address"}
        assert found["invalid_address"] == pytest.approx(200, abs=60)

    def test_failures_leave_the_rest_to_be_taken(self) -> None:
        lay({"temporary_rate": 0.2, "timeout_rate": 0.2})

        found = words(make(success_rate=0.97, invalid_rate=0.0), EMAIL.messages(500) + EMAIL.messages(500))

        assert found.keys() == {"accepted", "unavailable", "timeout"}
        assert found["accepted"] == pytest.approx(600, abs=80)

    def test_a_time_out_is_temporary_and_of_unknown_outcome(self) -> None:
        lay({"timeout_rate": 1})

        (outcome,) = send(make(), EMAIL.messages(1))

        assert isinstance(outcome, Failure)
        assert (outcome.code, outcome.temporary) == ("timeout", True)

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [("30", 30), ("86400", 86_400), ("soon", None), ("-1", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
    )
    def test_a_retry_after_is_read_as_the_vendor_would_send_it(self, header: str, seconds: float | None) -> None:
        lay({"throttle_rate": 1, "throttle_retry_after": header})

        (outcome,) = send(make(), EMAIL.messages(1))

        assert isinstance(outcome, Failure)
        assert (outcome.code, outcome.retry_after) == ("throttled", seconds)
        assert header in outcome.detail

    def test_a_retry_after_may_be_a_date_to_come(self) -> None:
        lay({"throttle_rate": 1, "throttle_retry_after": http_date(time.time() + 60)})

        (outcome,) = send(make(), EMAIL.messages(1))

        assert isinstance(outcome, Failure)
        assert outcome.retry_after == pytest.approx(60, abs=2)

    def test_slow_is_slow_and_what_came_in_is_on_record_before_the_answer(self) -> None:
        # Given a vendor that takes half a minute
        lay({"latency_ms": 30_000, "latency_sigma": 0})
        message = EMAIL.message(is_test=True)
        # When a worker gives up on it after a second
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(make().send([message]), 1))
        # Then the vendor has the message all the same
        assert SimulatedCall.objects.get(delivery_id=message.delivery_id).outcome == "accepted"

    def test_options_nobody_understands_are_as_if_they_were_not_there(self) -> None:
        lay({"outage": True, "from_another_version": 1})

        assert words(make(), EMAIL.messages(1)) == {"accepted": 1}

    def test_what_was_known_goes_on_while_the_database_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(simulated_state, "READ_EVERY_SECONDS", 0.0)
        lay({"outage": True})
        provider = make()
        send(provider, EMAIL.messages(1))

        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE notifications_sandboxstate RENAME TO gone")
        try:
            found = words(provider, EMAIL.messages(1))
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE gone RENAME TO notifications_sandboxstate")

        assert found == {"unavailable": 1}

    def test_bounces_set_in_the_sandbox_reach_test_traffic(self) -> None:
        lay({"bounce_rate": 1, "receipts": True})

        send(make(bounce_rate=0.0), [EMAIL.message(is_test=True)])

        assert list(SimulatedReceipt.objects.values_list("type", flat=True)) == [EventType.BOUNCED]


@pytest.mark.usefixtures("no_calls")
class TestCalls:
    def test_a_call_is_kept_as_it_was_received_and_answered(self) -> None:
        content = {"subject": "A\ttab, a \\ and\na line", "text": "Grüße\n\\N"}
        lay({"throttle_rate": 1})
        message = EMAIL.message(is_test=True, content=content, attempt=3, address="ada\\@example.com")

        send(make(throttle_seconds=7), [message])

        call = SimulatedCall.objects.get(delivery_id=message.delivery_id)
        assert (call.provider, call.recipient_id, call.attempt) == ("simulated_email", message.recipient_id, 3)
        assert (call.address, call.platform, call.category) == ("ada\\@example.com", "", "orders")
        assert (call.content, call.is_test) == (content, True)
        assert (call.outcome, call.retry_after) == ("throttled", 7)
        assert abs(call.at - timezone.now()) < timedelta(seconds=30)

    def test_live_calls_are_kept_where_asked_for_and_test_calls_always(self) -> None:
        live, trial = EMAIL.message(), EMAIL.message(is_test=True)
        send(make(), [live, trial])
        assert kept(live, trial) == {trial.delivery_id}

        send(make(record=True), [live])
        assert kept(live, trial) == {live.delivery_id, trial.delivery_id}

        SimulatedCall.objects.all().delete()
        lay({"record": True})
        send(make(), [live])
        assert kept(live) == {live.delivery_id}

    def test_a_call_that_cannot_be_kept_is_sent_all_the_same(self) -> None:
        fine, bad = EMAIL.message(is_test=True), EMAIL.message(is_test=True, content={"text": "\ud800"})

        assert words(make(), [fine, bad]) == {"accepted": 2}
        assert kept(fine, bad) == set()

    def test_a_batch_is_one_statement(self) -> None:
        calls = list(zip(EMAIL.messages(500), send(make(), EMAIL.messages(500)), strict=True))

        with CaptureQueriesContext(connection) as captured:
            simulated_calls.record("simulated_email", calls)

        assert len(captured) <= 1
        assert SimulatedCall.objects.filter(delivery_id__in=[m.delivery_id for m, _ in calls]).count() == 500


def kept(*messages: OutboundMessage) -> set[Any]:
    wanted = [message.delivery_id for message in messages]
    return set(SimulatedCall.objects.filter(delivery_id__in=wanted).values_list("delivery_id", flat=True))


class TestPruning:
    def calls(self, count: int, *, made: datetime | None = None) -> list[SimulatedCall]:
        person = factories.recipient()
        made = made or timezone.now() - timedelta(minutes=5)
        return SimulatedCall.objects.bulk_create(
            SimulatedCall(
                id=ids.deterministic(made + timedelta(seconds=n), [person.pk, n]),
                provider="simulated_email",
                delivery_id=ids.uuid7(),
                recipient_id=person.pk,
                attempt=1,
                is_test=True,
                address="ada@example.com",
                content={},
                outcome="accepted",
            )
            for n in range(count)
        )

    def test_the_newest_stay(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = self.calls(25)
        settings.SIMULATOR_KEEP_CALLS = 10

        list(simulated_calls.prune())

        assert set(SimulatedCall.objects.values_list("pk", flat=True)) == {call.pk for call in calls[-10:]}

    def test_nothing_is_kept_longer_than_a_week(self) -> None:
        self.calls(3, made=datetime.now(UTC) - timedelta(days=8))
        new = self.calls(2, made=datetime.now(UTC) - timedelta(days=6))

        list(simulated_calls.prune())

        assert set(SimulatedCall.objects.values_list("pk", flat=True)) == {call.pk for call in new}

    def test_a_lot_goes_in_pieces(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(simulated_calls, "PIECE", 4)
        self.calls(10)
        settings.SIMULATOR_KEEP_CALLS = 0
        left = []

        for _ in simulated_calls.prune():
            left.append(SimulatedCall.objects.count())

        assert left == [10, 6, 2]
        assert SimulatedCall.objects.count() == 0

    def test_the_calls_to_an_erased_recipient_go_with_them(self) -> None:
        erased, other = factories.recipient("ann"), factories.recipient("bob")
        messages = [EMAIL.message(is_test=True, recipient_key=person.pk.bytes) for person in (erased, other)]
        send(make(), messages)

        PreferencesService().erase("ann")

        assert kept(*messages) == {messages[1].delivery_id}

    def test_one_that_came_in_while_its_recipient_was_erased_goes_as_well(self) -> None:
        erased = factories.recipient("ann")
        message = EMAIL.message(is_test=True, recipient_key=erased.pk.bytes)
        PreferencesService().erase("ann")
        send(make(), [message])

        list(simulated_calls.prune())

        assert kept(message) == set()
