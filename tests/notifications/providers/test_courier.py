"""The simulator's courier: a report is kept until its webhook was taken, and nothing waits for it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import settings as conf
from django.db.models.functions import Now
from django.utils import timezone

from core import standard_webhooks
from core.ids import uuid7
from notifications.choices import EventType, Status
from notifications.models import Delivery, SimulatedReceipt
from notifications.providers import simulated_courier, simulated_reports
from notifications.providers.simulated_courier import Courier, HttpCarrier, Parcel
from notifications.providers.simulated_reports import Report, schedule
from notifications.receivers import simulated
from tests import courier, factories
from tests.notifications.providers.test_receipts import sent
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def due(count: int, provider: str = "simulated_email") -> None:
    schedule(provider, [Report(uuid7(), EventType.DELIVERED, 0.0) for _ in range(count)])


class Answers:
    """A `Carry` that says what it is told to and remembers the parcels."""

    def __init__(self, status: int = 200, **by_provider: int) -> None:
        self.status, self.by_provider = status, by_provider
        self.parcels: list[Parcel] = []

    def __call__(self, parcels: Sequence[Parcel]) -> list[int]:
        self.parcels += parcels
        return [self.by_provider.get(parcel.provider, self.status) for parcel in parcels]


def waiting() -> Counter[str]:
    return Counter(SimulatedReceipt.objects.values_list("provider", flat=True))


def test_a_report_takes_the_way_of_a_real_vendors_to_the_record() -> None:
    delivery = sent(factories.recipient(), "email")
    schedule("simulated_email", [Report(delivery, EventType.DELIVERED, 0.0), Report(delivery, EventType.OPENED, 60.0)])

    assert courier.receipts() == 1

    assert Delivery.objects.get(id=delivery).status == Status.DELIVERED
    (left,) = SimulatedReceipt.objects.all()
    assert left.type == EventType.OPENED
    assert timedelta(seconds=50) < left.due_at - timezone.now() < timedelta(seconds=61)


def test_reports_go_in_batches_each_of_one_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_courier, "BATCH", 10)
    due(25)
    due(5, "simulated_sms")
    carry = Answers()

    assert not Courier(carry).step()

    sizes = sorted((parcel.provider, len(json.loads(parcel.body)["events"])) for parcel in carry.parcels)
    assert sizes == [*[("simulated_email", n) for n in (5, 10, 10)], ("simulated_sms", 5)]
    assert waiting() == {}
    for parcel in carry.parcels:
        secret = simulated.secret(parcel.provider, conf.SECRET_KEY)
        assert standard_webhooks.verify([secret], parcel.headers, parcel.body, now=time.time())


@pytest.mark.parametrize("status", [0, 301, 401, 404, 422, 500, 503])
def test_what_is_not_taken_is_kept_and_comes_again_later(status: int) -> None:
    due(3)
    Courier(Answers(status)).step()
    assert waiting() == {"simulated_email": 3}

    SimulatedReceipt.objects.update(due_at=Now())
    Courier(Answers(200)).step()

    assert waiting() == {}


def test_one_provider_that_is_refused_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    due(3)
    due(3, "simulated_sms")
    one = Courier(Answers(200, simulated_sms=401))

    one.step()
    due(2)
    one.step()

    assert waiting() == {"simulated_sms": 3}
    assert caplog.text.count("webhook_not_taken") == 1


def test_after_a_round_of_which_nothing_was_taken_it_rests(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(simulated_courier, "_pause", lambda failures: 3600.0)
    due(1)
    carry = Answers(0)
    one = Courier(carry)
    for _ in range(5):
        due(1)
        assert not one.step()

    assert len(carry.parcels) == 1
    assert caplog.text.count("webhook_not_taken") == 1


def test_pauses_grow_and_end() -> None:
    longest = [max(simulated_courier._pause(failures) for _ in range(50)) for failures in (1, 4, 40)]

    assert longest == sorted(longest)
    assert longest[-1] <= simulated_courier.PAUSE_CAP_SECONDS


def test_what_a_lost_courier_had_in_hand_comes_back() -> None:
    due(2)
    assert len(simulated_reports.hand_out(10)) == 2
    assert simulated_reports.hand_out(10) == []

    SimulatedReceipt.objects.update(due_at=Now() - timedelta(seconds=1))  # the lease has passed

    assert len(simulated_reports.hand_out(10)) == 2


def test_two_couriers_share_the_reports() -> None:
    due(30)
    handed: list[int] = []

    def ask() -> None:
        from django.db import connection

        try:
            handed.extend(report.id for report in simulated_reports.hand_out(10))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(handed) == len(set(handed)) == 30


def test_without_a_simulated_vendors_webhooks_there_is_nothing_to_carry(settings: Any) -> None:
    assert simulated_courier.has_work()
    settings.PROVIDERS = {"feed": settings.PROVIDERS["feed"]}
    assert not simulated_courier.has_work()


class _Web(BaseHTTPRequestHandler):
    """Answers 200 and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, dict(self.headers.items()), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    handler = type("Handler", (_Web,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def test_over_http_it_asks_for_the_public_host_wherever_the_web_process_is(web: Any, settings: Any) -> None:
    url, asked = web
    settings.PUBLIC_URL = "https://notify.example.com"
    due(3)

    with HttpCarrier(f"{url}/") as carry:
        Courier(carry).step()

    ((path, headers, body),) = asked
    assert path == "/webhooks/simulated_email/"
    assert (headers["Host"], headers["X-Forwarded-Proto"]) == ("notify.example.com", "https")
    assert len(json.loads(body)["events"]) == 3
    assert waiting() == {}


def test_nobody_listening_is_an_answer_of_its_own() -> None:
    with HttpCarrier(f"http://127.0.0.1:{free_port()}") as carry:
        assert carry([Parcel("simulated_email", {}, b"{}", [])]) == [0]
