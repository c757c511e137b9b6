"""The requests of one batch: by endpoint, in waves, each asked for at the endpoint's circuit. No transaction is open.

What an endpoint may not be asked now is held, and uses no attempt up. Its circuit is one as providers have them: it
opens when half of the last minute's requests failed or were slow, and then one request tries now and then. Without
Redis each process judges on its own.
"""

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from analytics.webhooks.payload import message_id
from analytics.webhooks.vocabulary import AttemptOutcome
from core import ids, metrics
from core.ids import Key
from core.outbound_http import CONNECTIONS, Answer, Outbound, OutboundFailed, OutboundRefused
from core.standard_webhooks import sign
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from notifications.providers.retry_after import retry_after

_REQUESTS = metrics.counter(
    "webhook_requests_total", "Requests to clients' endpoints, by what came of them.", "outcome"
)
_SECONDS = metrics.histogram("webhook_request_seconds", "How long such a request took.")

#: Requests to one endpoint at a time, from one batch.
WAVE = 20
#: Seconds after which no further wave of a batch begins: a slow endpoint must not keep the others waiting, and the last
#: answers must come before the lease ends and within the time a stop may take.
BUDGET_SECONDS = 10.0
#: What is left over then, or at a stop, is looked at again after this.
NEXT_SECONDS = 0.5
#: What would have to wait for another thread's batch to the same endpoint is looked at again soon: so many a second,
#: in whole seconds, so that it makes few rows.
QUEUE_RATE = 50

#: Every answer but 2xx is a failure; these are told apart.
_OUTCOMES = {410: AttemptOutcome.GONE, 429: AttemptOutcome.THROTTLED}


@dataclass(frozen=True, slots=True)
class Request:
    """A message ready to go: the body, and the secrets to sign it with at the moment it goes."""

    id: Key
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint and what is to be sent to it, in order."""

    name: str
    url: str
    secrets: Sequence[str]
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of one request. `wait`: seconds that the endpoint asked for."""

    id: Key
    outcome: AttemptOutcome
    status: int | None = None
    seconds: float = 0.0
    answer: str = ""
    wait: float | None = None

    @property
    def is_ok(self) -> bool:
        return self.outcome is AttemptOutcome.OK


@dataclass(frozen=True, slots=True)
class Held:
    """A message that was not sent: to be looked at again in `wait` seconds."""

    id: Key
    wait: float


Outcome = Attempted | Held


class Turns:
    """Which endpoints somebody in this process is sending to: one batch at a time. So a slow endpoint with a backlog
    keeps one thread busy, and the others go past it to whoever is quick."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def take(self, name: str) -> bool:
        """Whether it was free, and is the caller's now."""
        with self._lock:
            if name in self._taken:
                return False
            self._taken.add(name)
            return True

    def give_back(self, name: str) -> None:
        with self._lock:
            self._taken.discard(name)


class Sender:
    """Sends batches on one event loop."""

    def __init__(self, client: Outbound, breaker: Breaker, turns: Turns, *, stopping: Callable[[], bool]) -> None:
        self._client = client
        self._breaker = breaker
        self._turns = turns
        self._stopping = stopping
        # Waited for here and not in the client, whose time for a request is running by then: endpoints that hang would
        # use up the others' attempts, and open their circuits.
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def send(self, targets: Sequence[Target]) -> list[Outcome]:
        """An outcome for every request. The endpoints go side by side."""
        until = time.monotonic() + BUDGET_SECONDS
        found = await asyncio.gather(*(self._to(target, until) for target in targets))
        return [outcome for outcomes in found for outcome in outcomes]

    async def _to(self, target: Target, until: float) -> list[Outcome]:
        if not self._turns.take(target.name):
            return [Held(one.id, NEXT_SECONDS + n // QUEUE_RATE) for n, one in enumerate(target.requests)]
        try:
            return await self._in_waves(target, until)
        finally:
            self._turns.give_back(target.name)

    async def _in_waves(self, target: Target, until: float) -> list[Outcome]:
        done: list[Outcome] = []
        left = list(target.requests)
        while left:
            if self._stopping() or time.monotonic() >= until:
                return done + [Held(one.id, NEXT_SECONDS) for one in left]
            permit = self._breaker.ask(target.name)
            if permit.reason:
                return done + [Held(one.id, permit.wait) for one in left]
            size = 1 if permit.probe else WAVE
            wave, left = left[:size], left[size:]
            last = math.inf if permit.probe else until  # a probe that was given is used
            came = await asyncio.gather(*(self._in_turn(target, one, last) for one in wave))
            asked = [one for one in came if isinstance(one, Attempted)]
            _count(asked)
            if asked:
                self._breaker.report(target.name, _report(asked, permit.probe))
            done += came
            if any(one.outcome is AttemptOutcome.GONE for one in asked):
                return done + [Held(one.id, NEXT_SECONDS) for one in left]  # it is off by then
        return done

    async def _in_turn(self, target: Target, request: Request, until: float) -> Outcome:
        """Ask once there is a connection to be had; later when that is not soon."""
        async with self._slots:
            if time.monotonic() >= until:
                return Held(request.id, NEXT_SECONDS)
            return await self._ask(target, request)

    async def _ask(self, target: Target, request: Request) -> Attempted:
        headers = sign(target.secrets, id=message_id(request.id), timestamp=int(time.time()), body=request.body)
        headers["Content-Type"] = "application/json"
        begun = time.monotonic()
        try:
            answer = await self._client.request(
                "POST", target.url, body=request.body, headers=headers, timeout=settings.WEBHOOK_TIMEOUT_SECONDS
            )
        except OutboundFailed as failed:
            seconds = time.monotonic() - begun
            return Attempted(request.id, AttemptOutcome(failed.kind), seconds=seconds, answer=str(failed))
        except OutboundRefused as refused:
            return Attempted(request.id, AttemptOutcome.BLOCKED, answer=str(refused))
        return _attempted(request.id, answer)


def circuit_of(endpoint: Key) -> str:
    """The name of an endpoint's circuit, beside those of providers."""
    return f"webhook:{ids.uuid(endpoint)}"


def _attempted(id: Key, answer: Answer) -> Attempted:
    outcome = AttemptOutcome.OK if answer.is_ok else _OUTCOMES.get(answer.status, AttemptOutcome.REFUSED)
    if 300 <= answer.status < 400:
        outcome = AttemptOutcome.REDIRECT
    wait = None if answer.is_ok else retry_after(answer.retry_after, datetime.now(UTC))
    text = answer.body.decode("utf-8", "replace").replace("\x00", "")
    return Attempted(id, outcome, answer.status, answer.seconds, text, wait)


def _count(came: Sequence[Attempted]) -> None:
    for outcome, n in Counter(one.outcome.value for one in came).items():
        _REQUESTS.inc(outcome, by=n)
    for one in came:
        _SECONDS.observe(value=one.seconds)


def _report(came: Sequence[Attempted], probe: str) -> Report:
    """A wave as the circuit sees it: as slow as its slowest. Being asked to wait is no failure: it pauses the
    endpoint."""
    seconds = max(one.seconds for one in came)
    failed = sum(not one.is_ok and one.outcome is not AttemptOutcome.THROTTLED for one in came)
    pauses = [one.wait or 0.0 for one in came if one.status in (429, 503)]
    return Report(len(came) - failed, failed, seconds, max(pauses, default=0.0), probe)
