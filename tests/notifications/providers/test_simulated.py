"""The simulated vendor: the contract, the rates, and that a seed repeats a run."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from core.ids import uuid7
from notifications import registry
from notifications.choices import Channel, EventType, FailureCode
from notifications.models import SimulatedReceipt
from notifications.providers import simulated_reports
from notifications.providers.base import Failure, OutboundMessage, Receipt
from notifications.providers.journal import read_journal
from notifications.providers.simulated import SimulatedProvider
from tests.notifications.providers.contract import ProviderContract, send


class SimulatedContract(ProviderContract):
    @pytest.fixture
    def provider(self) -> SimulatedProvider:
        return SimulatedProvider(f"simulated_{self.channel}")


class TestSimulatedEmail(SimulatedContract):
    channel = "email"

    def bad_message(self) -> OutboundMessage:
        return self.message(address="invalid@carillon.test")


class TestSimulatedSms(SimulatedContract):
    channel = "sms"

    def bad_message(self) -> OutboundMessage:
        return self.message(address="+19075550130")


class TestSimulatedPush(SimulatedContract):
    channel = "push"

    def bad_message(self) -> OutboundMessage:
        return self.message(address="magic-invalid-1")


class TestSimulatedInApp(SimulatedContract):
    channel = "in_app"

    def bad_message(self) -> OutboundMessage:
        return self.message(address="magic-reject")


EMAIL = TestSimulatedEmail()


def make(**options: Any) -> SimulatedProvider:
    return SimulatedProvider("simulated_email", **options)


def word(outcome: object) -> str:
    return outcome.code.value if isinstance(outcome, Failure) else "accepted"


class TestRates:
    def test_the_rates_are_met(self) -> None:
        provider = make(success_rate=0.7, temporary_rate=0.1, invalid_rate=0.1, throttle_rate=0.05, throttle_seconds=7)

        outcomes = [outcome for _ in range(20) for outcome in send(provider, EMAIL.messages(500))]

        shares = {name: count / len(outcomes) for name, count in Counter(map(word, outcomes)).items()}
        expected = {"accepted": 0.7, "unavailable": 0.1, "invalid_address": 0.1, "throttled": 0.05, "rejected": 0.05}
        assert shares == pytest.approx(expected, abs=0.02)
        assert {o.retry_after for o in outcomes if word(o) == "throttled"} == {7.0}  # type: ignore[union-attr]

    def test_an_outage_takes_nothing(self) -> None:
        outcomes = send(make(outage=True), [*EMAIL.messages(3), EMAIL.message(address="success@carillon.test")])

        assert {(o.code, o.temporary) for o in outcomes} == {(FailureCode.UNAVAILABLE, True)}  # type: ignore[union-attr]

    def test_test_traffic_is_exempt_from_the_rates(self) -> None:
        provider = make(success_rate=0.0, temporary_rate=1.0)

        (outcome,) = send(provider, [EMAIL.message(is_test=True)])

        assert isinstance(outcome, Receipt)

    def test_a_retry_draws_again(self) -> None:
        provider = make(success_rate=0.5, temporary_rate=0.5)
        key = uuid7().bytes

        words = {word(send(provider, [EMAIL.message(delivery_key=key, attempt=n)])[0]) for n in range(1, 21)}

        assert words == {"accepted", "unavailable"}


class TestSeed:
    @given(cuts=st.lists(st.integers(1, 60), max_size=5))
    def test_a_run_can_be_repeated_however_its_batches_fall(self, cuts: list[int]) -> None:
        # Given the same messages, once in one batch and once cut up
        options = {"seed": 7, "success_rate": 0.5, "temporary_rate": 0.3, "invalid_rate": 0.1}
        messages = MESSAGES
        whole = send(make(**options), messages)
        # When another provider with the same seed gets them in pieces
        provider, pieces, start = make(**options), [], 0
        for cut in [*cuts, len(messages)]:
            pieces += send(provider, messages[start : start + cut])
            start += cut
        # Then every outcome is the same
        assert pieces == whole

    def test_another_seed_is_another_run(self) -> None:
        one = send(make(seed=1, success_rate=0.5, temporary_rate=0.5), MESSAGES)
        two = send(make(seed=2, success_rate=0.5, temporary_rate=0.5), MESSAGES)

        assert one != two


MESSAGES = EMAIL.messages(100)


class TestLatency:
    def test_without_latency_nothing_sleeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def refuse(seconds: float) -> None:
            raise AssertionError(f"slept for {seconds} s")

        monkeypatch.setattr(asyncio, "sleep", refuse)

        assert len(send(make(latency_ms=0), MESSAGES)) == 100

    def test_a_call_takes_as_long_as_its_slowest_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        slept: list[float] = []

        async def note(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", note)
        provider = make(latency_ms=100, latency_sigma=0.4)
        for _ in range(200):
            send(provider, EMAIL.messages(1))
            send(provider, EMAIL.messages(100))

        median = {n: sorted(slept[n::2])[100] for n in (0, 1)}
        assert median[0] == pytest.approx(0.1, rel=0.2)  # one message: the median
        assert median[1] == pytest.approx(0.1 * 2.7, rel=0.2)  # of a hundred the largest: exp(0.4 x 2.46)

    def test_calls_in_flight_wait_together(self) -> None:
        provider = make(latency_ms=100, latency_sigma=0)

        async def ten() -> None:
            await asyncio.gather(*(provider.send(EMAIL.messages(1)) for _ in range(10)))

        start = time.monotonic()
        asyncio.run(ten())
        assert time.monotonic() - start < 0.5


class TestJournal:
    def test_every_call_is_in_the_book_without_its_address(self, tmp_path: Path) -> None:
        # Given a provider with a journal
        path = tmp_path / "journal"
        provider = SimulatedProvider("simulated_sms", journal=str(path))
        sms = TestSimulatedSms()
        long = sms.message(content={"body": "ж" * 71})
        messages = [sms.message(), long, sms.message(address="+19075550131")]
        # When it is called twice with the same deliveries
        before = time.time()
        send(provider, messages)
        send(provider, messages[:1])
        # Then the book counts what was accepted twice
        summary = read_journal(path)
        assert (summary.accepted, summary.distinct, summary.duplicates) == (3, 2, 1)
        assert summary.repeated == [messages[0].delivery_id]
        assert summary.calls == {"accepted": 3, "rejected": 1}
        # And says how many segments went out, and to nobody whom
        text = path.read_text()
        line, _, arrived = text.splitlines()[1].rpartition("\t")
        assert line == f"{long.delivery_id.hex}\t1\tsimulated_sms\taccepted\t2"
        assert before - 1e-6 <= float(arrived) <= time.time()
        assert "+1" not in text

    def test_a_book_of_an_earlier_release_names_deliveries_with_hyphens(self, tmp_path: Path) -> None:
        path, (message,) = tmp_path / "journal", EMAIL.messages(1)
        path.write_text(f"{message.delivery_id}\t1\tsimulated_email\taccepted\t0\t1700000000.000000\n")
        send(make(journal=str(path)), [message])

        summary = read_journal(path)

        assert (summary.accepted, summary.distinct, summary.repeated) == (2, 1, [message.delivery_id])

    def test_several_processes_may_share_a_book(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        one, two = make(journal=str(path)), make(journal=str(path))

        for _ in range(5):
            send(one, EMAIL.messages(100))
            send(two, EMAIL.messages(100))

        assert read_journal(path).distinct == 1_000

    def test_a_book_that_cannot_be_opened_stops_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="journal"):
            make(journal=str(tmp_path / "nowhere" / "journal"))


@pytest.mark.parametrize(
    "options",
    [
        {"sucess_rate": 1},
        {"success_rate": 1.5},
        {"success_rate": 0.9, "temporary_rate": 0.2},
        {"bounce_rate": 0.6, "complaint_rate": 0.6},
        {"latency_ms": -1},
        {"latency_ms": "fast"},
    ],
)
def test_options_that_make_no_sense_stop_the_start(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="simulated_email"):
        make(**options)


def test_the_settings_name_every_option_and_make_working_providers(settings: Any) -> None:
    for name in settings.TEST_PROVIDERS.values():
        assert isinstance(registry.provider(name), SimulatedProvider)
    registry.provider.cache_clear()


@pytest.mark.django_db(transaction=True)
class TestReports:
    def types(self, messages: list[OutboundMessage]) -> list[list[EventType]]:
        rows = SimulatedReceipt.objects.order_by("due_at", "id").values_list("delivery_id", "type")
        return [[EventType(type) for id, type in rows if id == message.delivery_id] for message in messages]

    def test_only_taken_messages_are_reported_on(self) -> None:
        good, bad = EMAIL.message(), EMAIL.bad_message()

        send(make(receipts=True), [good, bad])

        assert self.types([good, bad]) == [[EventType.DELIVERED], []]

    def test_reports_come_in_order_and_later(self) -> None:
        message = EMAIL.message(address="click@carillon.test")

        send(make(receipts=True, receipt_delay_ms=60_000), [message])

        assert self.types([message]) == [[EventType.DELIVERED, EventType.OPENED, EventType.CLICKED]]
        assert simulated_reports_due() == 0

    def test_what_vendors_report_follows_the_rates(self) -> None:
        messages = [message for _ in range(6) for message in EMAIL.messages(500)]
        provider = make(receipts=True, bounce_rate=0.1, complaint_rate=0.05, open_rate=0.5, click_rate=0.2)

        for start in range(0, len(messages), 500):
            send(provider, messages[start : start + 500])

        counts = Counter(SimulatedReceipt.objects.values_list("type", flat=True))
        shares = {type: count / len(messages) for type, count in counts.items()}
        rest = 0.85
        assert shares == pytest.approx(
            {"bounced": 0.1, "delivered": 0.9, "complained": 0.05, "opened": 0.5 * rest, "clicked": 0.2 * rest},
            abs=0.03,
        )

    @pytest.mark.parametrize("channel", [Channel.SMS, Channel.PUSH, Channel.IN_APP])
    def test_a_channel_reports_only_what_its_vendors_can_tell(self, channel: str) -> None:
        contract = {"sms": TestSimulatedSms, "push": TestSimulatedPush, "in_app": TestSimulatedInApp}[channel]()
        options = {"receipts": True, "complaint_rate": 0.5, "bounce_rate": 0.5, "open_rate": 1.0, "click_rate": 1.0}

        send(SimulatedProvider("simulated", **options), contract.messages(100))

        told = set(SimulatedReceipt.objects.values_list("type", flat=True))
        assert (
            told
            <= {
                "sms": {"delivered", "bounced"},
                "push": {"delivered", "opened"},
                "in_app": {"delivered"},
            }[channel]
        )

    def test_a_batch_is_one_statement(self, monkeypatch: pytest.MonkeyPatch) -> None:
        batches: list[int] = []
        monkeypatch.setattr(
            "notifications.providers.simulated.schedule", lambda name, reports: batches.append(len(reports))
        )

        send(make(receipts=True), EMAIL.messages(200))

        assert batches == [200]

    def test_a_lost_report_does_not_fail_the_send(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(name: str, reports: object) -> None:
            raise RuntimeError("PostgreSQL is away")

        monkeypatch.setattr("notifications.providers.simulated.schedule", fail)

        (outcome,) = send(make(receipts=True), [EMAIL.message()])

        assert isinstance(outcome, Receipt)


def simulated_reports_due() -> int:
    return len(simulated_reports.hand_out(100))
