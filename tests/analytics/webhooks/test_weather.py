"""An endpoint that is down, slow, gone, or asks us to wait: at least once, with the same id, and nothing is lost."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from analytics.webhooks import book, endpoints, sending
from analytics.webhooks import worker as worker_module
from analytics.webhooks.endpoints import Wishes
from analytics.webhooks.known import known
from analytics.webhooks.listener import schedule
from analytics.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from analytics.webhooks.worker import WebhookWorker
from core import outbound_http, redis
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import ApiKey, OutboxMessage
from tests.analytics.webhooks.conftest import make_endpoint
from tests.analytics.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db

Work = Callable[[], list[Verdict]]


def queued(endpoint: WebhookEndpoint, count: int = 1) -> list[WebhookMessage]:
    made = [WebhookMessage.objects.create(endpoint=endpoint, type="test") for _ in range(count)]
    schedule([message.id.bytes for message in made])
    return made


def due_now() -> None:
    """Time passes: whatever waits is due."""
    OutboxMessage.objects.update(due_at=timezone.now())


def waits() -> list[float]:
    """Seconds until each waiting message is due."""
    now = timezone.now()
    return [(row.due_at - now).total_seconds() for row in OutboxMessage.objects.all() for _ in row.delivery_ids]


def status(message: WebhookMessage) -> tuple[str, int, str]:
    message.refresh_from_db()
    return message.status, message.tries, message.end_reason


@pytest.mark.parametrize("answer", [500, 503, 404, 401, 302])
def test_whatever_is_no_2xx_is_tried_again_with_the_same_id(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, answer: int
) -> None:
    [message] = queued(endpoint)
    receiver.script = [answer]

    work()
    assert status(message) == ("queued", 1, "")
    due_now()
    work()

    assert status(message) == ("delivered", 2, "")
    assert len({one.id for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    assert receiver.verified(*endpoint.secrets)
    log = [(one.number, one.status, one.outcome) for one in WebhookAttempt.objects.all()]
    assert log == [(1, answer, "redirect" if answer == 302 else "refused"), (2, 200, "ok")]


def test_a_receiver_that_is_down_is_tried_again_until_it_is_back(
    key: ApiKey, receiver: Receiver, work: Work, settings: Any
) -> None:
    gone = Receiver()
    with gone.listening():
        endpoint = make_endpoint(gone.url, key)
        port = int(gone.url.split(":")[2].split("/")[0])
    [message] = queued(endpoint)

    work()
    assert status(message) == ("queued", 1, "")
    assert WebhookAttempt.objects.get().outcome == "connect"
    endpoint.refresh_from_db()
    assert endpoint.failing_since is not None

    with gone.listening(port):
        due_now()
        work()
    assert status(message) == ("delivered", 2, "")
    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.last_success_at is not None) == (None, True)


def test_attempts_end_and_the_message_has_failed(
    endpoint: WebhookEndpoint, receiver: Receiver, worker: WebhookWorker, work: Work, settings: Any
) -> None:
    [message] = queued(endpoint)
    receiver.status = 500
    for _ in range(settings.WEBHOOK_MAX_ATTEMPTS):
        worker.breaker.reset(sending.circuit_of(endpoint.id.bytes))
        due_now()
        work()

    assert status(message) == ("failed", settings.WEBHOOK_MAX_ATTEMPTS, "exhausted")
    assert not OutboxMessage.objects.exists()
    assert WebhookAttempt.objects.count() == settings.WEBHOOK_MAX_ATTEMPTS


def test_the_pauses_grow_to_hours_and_spread() -> None:
    policy = WebhookWorker().policy
    widest = [round(policy.delay(attempt, None, 1.0)) for attempt in range(1, 8)]
    assert widest == [5, 30, 180, 1080, 6480, 28800, 28800]
    assert policy.delay(3, None, 0.5) == 90
    assert policy.max_attempts == 8


def test_a_retry_after_is_honoured(endpoint: WebhookEndpoint, receiver: Receiver, work: Work) -> None:
    [message] = queued(endpoint)
    receiver.status, receiver.headers = 500, {"Retry-After": "120"}

    work()

    assert status(message) == ("queued", 1, "")
    assert 119 <= waits()[0] <= 126


def test_an_endpoint_that_throttles_is_left_alone_and_no_attempt_is_used_up(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two messages, of which the first is answered with 429
    monkeypatch.setattr(sending, "WAVE", 1)
    first, second = queued(endpoint, 2)
    receiver.status, receiver.headers = 429, {"Retry-After": "60"}

    work()

    # Then the second isn't even sent, and both wait for the minute
    assert len(receiver.received) == 1
    assert status(first) == ("queued", 0, "")
    assert status(second) == ("queued", 0, "")
    assert all(59 <= wait <= 70 for wait in waits())


def test_a_410_switches_the_endpoint_off_and_nothing_more_is_sent(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WAVE", 1)
    first, second = queued(endpoint, 2)
    receiver.status = 410

    work()
    due_now()
    work()

    endpoint.refresh_from_db()
    assert (endpoint.is_on, endpoint.off_reason) == (False, "gone")
    assert len(receiver.received) == 1
    assert (status(first), status(second)) == (("failed", 1, "gone"), ("failed", 0, "off"))
    assert not known.by_source()


def test_days_of_failures_switch_it_off(endpoint: WebhookEndpoint, receiver: Receiver, work: Work) -> None:
    receiver.status = 500
    for days, on in ((4.9, True), (5.1, False)):
        WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=days))
        OutboxMessage.objects.all().delete()
        queued(endpoint)
        work()
        endpoint.refresh_from_db()
        assert endpoint.is_on is on
    assert endpoint.off_reason == "failing"


def test_one_that_is_switched_on_again_starts_with_a_clean_slate(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work
) -> None:
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=9), is_on=False, off_reason="failing")
    endpoint.refresh_from_db()

    endpoints.change(endpoint, Wishes(is_on=True))
    receiver.status = 500
    queued(endpoint)
    work()

    endpoint.refresh_from_db()
    assert (endpoint.is_on, endpoint.off_reason) == (True, "")


def test_a_circuit_opens_and_the_rest_is_held_without_an_attempt(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(sending, "WAVE", 5)
    queued(endpoint, 40)
    receiver.status = 500

    work()

    assert len(receiver.received) == settings.BREAKER_MIN_CALLS
    held = WebhookMessage.objects.filter(holds=1)
    assert held.count() == 40 - settings.BREAKER_MIN_CALLS
    assert WebhookMessage.objects.filter(status="queued").count() == 40
    assert len(waits()) == 40

    # And when it is back, one request finds out, and everything follows
    receiver.status = 200
    WebhookWorker().breaker.reset(sending.circuit_of(endpoint.id.bytes))
    due_now()
    work()
    assert WebhookMessage.objects.filter(status="delivered").count() == 40
    assert len({one.id for one in receiver.received}) == 40


def test_one_endpoints_circuit_is_nobody_elses(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, work: Work
) -> None:
    bad = Receiver()
    bad.status = 500
    with bad.listening():
        queued(make_endpoint(bad.url, key), 30)
        good = queued(endpoint, 5)
        work()

    assert {status(message)[0] for message in good} == {"delivered"}


def test_a_slow_endpoint_holds_the_others_up_for_no_longer_than_a_batchs_budget(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a slow endpoint with more messages than the budget allows, and a quick one in the same batch
    monkeypatch.setattr(sending, "BUDGET_SECONDS", 0.5)
    monkeypatch.setattr(sending, "WAVE", 2)
    slow = Receiver()
    slow.pause = 0.4
    with slow.listening():
        late = queued(make_endpoint(slow.url, key), 20)
        quick = queued(endpoint, 5)
        begun = time.monotonic()
        work()
        took = time.monotonic() - begun

    # Then the quick one is done, and what is left of the slow one goes on later, no attempt used up
    assert {status(message)[0] for message in quick} == {"delivered"}
    assert took < 5
    left = [message for message in late if status(message)[0] == "queued"]
    assert 12 <= len(left) <= 18
    assert {status(message)[1] for message in left} == {0}
    assert len(waits()) == len(left)


def test_endpoints_that_hang_use_up_nobody_elses_attempts(
    endpoint: WebhookEndpoint,
    key: ApiKey,
    receiver: Receiver,
    worker: WebhookWorker,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    # Given as many requests that hang as there are connections, and in the same batch an endpoint that is quick
    for module in (outbound_http, sending):
        monkeypatch.setattr(module, "CONNECTIONS", 4)
    settings.WEBHOOK_TIMEOUT_SECONDS = 1.0
    hanging = Receiver()
    hanging.pause, receiver.pause = 3.0, 0.3
    with hanging.listening():
        late = [message for _ in range(2) for message in queued(make_endpoint(hanging.url, key), 2)]
        quick = queued(endpoint, 3)
        batch = [message.id for message in (*late, *quick)]
        assert worker.process(WorkMessage.of("webhook", "normal", batch)) is Verdict.DONE

    # Then that one waits for a connection, and its time begins after that
    assert [status(message) for message in quick] == [("delivered", 1, "")] * 3
    assert {one.outcome for one in WebhookAttempt.objects.filter(message__in=late)} == {"timeout"}


def test_a_second_batch_goes_past_an_endpoint_that_is_being_sent_to(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, work: Work, worker: WebhookWorker
) -> None:
    # Given an endpoint that another thread of the worker is busy with, and one that nobody is
    busy = make_endpoint(receiver.url, key)
    assert worker.turns.take(sending.circuit_of(busy.id.bytes))
    late, quick = queued(busy, 3), queued(endpoint, 2)

    work()

    # Then the other's messages go out, and the busy one's wait for their turn, no attempt used up
    assert [status(message) for message in quick] == [("delivered", 1, "")] * 2
    assert [status(message) for message in late] == [("queued", 0, "")] * 3
    worker.turns.give_back(sending.circuit_of(busy.id.bytes))
    due_now()
    work()
    assert [status(message)[0] for message in late] == ["delivered"] * 3


def test_a_request_that_takes_too_long_is_tried_again(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, settings: Any
) -> None:
    settings.WEBHOOK_TIMEOUT_SECONDS = 0.2
    receiver.pause = 2.0
    [message] = queued(endpoint)

    work()

    assert status(message) == ("queued", 1, "")
    assert WebhookAttempt.objects.get().outcome == "timeout"


def test_an_address_of_ours_is_not_asked(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW_PRIVATE = []
    [message] = queued(endpoint)

    work()

    assert receiver.received == []
    assert status(message) == ("queued", 1, "")
    assert WebhookAttempt.objects.get().outcome == "blocked"


def test_a_name_that_turns_to_an_address_of_ours_is_not_asked(
    key: ApiKey, receiver: Receiver, work: Work, settings: Any
) -> None:
    """A URL is judged when it is given and each time that it is used."""
    settings.OUTBOUND_ALLOW_PRIVATE = []
    queued(make_endpoint(receiver.url.replace("127.0.0.1", "localhost"), key))

    work()

    assert (receiver.received, WebhookAttempt.objects.get().outcome) == ([], "blocked")


def test_only_the_beginning_of_an_answer_is_kept_and_nothing_in_it_breaks_the_log(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work
) -> None:
    receiver.body = b"\x00\xff<script>" + b"x" * 100_000
    [message] = queued(endpoint)

    work()

    assert status(message)[0] == "delivered"
    answer = WebhookAttempt.objects.get().answer
    assert answer.startswith("\N{REPLACEMENT CHARACTER}<script>x")
    assert len(answer) <= 1024


def test_what_is_handed_out_twice_is_sent_once(
    endpoint: WebhookEndpoint, receiver: Receiver, worker: WebhookWorker
) -> None:
    [message] = queued(endpoint)
    twice = WorkMessage.of("webhook", "normal", [message.id])

    assert [worker.process(twice), worker.process(twice)] == [Verdict.DONE, Verdict.DONE]

    assert len(receiver.received) == 1


def test_what_another_worker_holds_comes_back_when_its_lease_ends(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, settings: Any
) -> None:
    # Given a worker that has claimed a message and is never heard of again
    [message] = queued(endpoint)
    book.claim([message.id.bytes], priority="normal")

    # When the transport hands the message to another
    work()

    # Then that one waits for the end of the lease, and takes it over
    assert receiver.received == []
    assert settings.LEASE_SECONDS - 2 < waits()[0] < settings.LEASE_SECONDS + 3
    WebhookMessage.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    due_now()
    work()
    assert status(message) == ("delivered", 2, "")


def test_a_message_that_takes_its_workers_down_is_given_up(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, settings: Any
) -> None:
    [message] = queued(endpoint)
    WebhookMessage.objects.update(attempts=settings.WEBHOOK_MAX_ATTEMPTS)

    work()

    assert receiver.received == []
    assert status(message)[0::2] == ("failed", "lost")


def test_a_late_word_of_a_lost_worker_changes_nothing_but_a_yes_is_a_fact(
    endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    # Given a claim whose lease ran out, and another worker that has taken the message over
    [message] = queued(endpoint)
    [old], _ = book.claim([message.id.bytes], priority="normal")
    WebhookMessage.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    [new], _ = book.claim([message.id.bytes], priority="normal")
    OutboxMessage.objects.all().delete()

    failed = sending.Attempted(message.id.bytes, sending.AttemptOutcome.REFUSED, 500)
    book.record([book.Ending(old, failed, wait=5.0)], priority="normal")
    assert status(message)[0] == "sending"
    assert not OutboxMessage.objects.exists()

    book.record([book.Ending(old, sending.Attempted(message.id.bytes, sending.AttemptOutcome.OK, 200))], priority="low")
    assert status(message)[0] == "delivered"
    book.record([book.Ending(new, failed, wait=5.0)], priority="normal")
    assert status(message)[0] == "delivered"


def test_without_redis_messages_go_on(
    endpoint: WebhookEndpoint, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise redis.RedisError("away")

    monkeypatch.setattr(redis, "client", away)
    [message] = queued(endpoint)

    work()

    assert status(message)[0] == "delivered"


def test_at_a_stop_what_was_not_begun_goes_back(endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    [message] = queued(endpoint)
    OutboxMessage.objects.all().delete()
    stopping = WebhookWorker(stopping=lambda: True)

    assert stopping.process(WorkMessage.of("webhook", "normal", [message.id])) is Verdict.DONE

    stopping.close()
    assert receiver.received == []
    assert status(message) == ("queued", 0, "")
    assert len(waits()) == 1


def test_an_outcome_is_kept_until_postgresql_takes_it(
    endpoint: WebhookEndpoint, receiver: Receiver, worker: WebhookWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    # Given a database that is away when the first two recordings are tried
    [message] = queued(endpoint)
    real, tries = book.record, []

    def record(*args: Any, **named: Any) -> None:
        tries.append(1)
        if len(tries) <= 2:
            raise OperationalError("away")
        real(*args, **named)

    monkeypatch.setattr(worker_module.book, "record", record)
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's transaction is on it

    assert worker.process(WorkMessage.of("webhook", "normal", [message.id])) is Verdict.DONE

    assert (len(receiver.received), status(message)[0]) == (1, "delivered")
