"""The worker of the webhook lanes: messages in, requests out, a verdict back. It knows no broker.

It keeps to what a worker of deliveries keeps to: claim (a short transaction), send (none is open), record (one), and
AGAIN for what could not be recorded.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from analytics.webhooks import book
from analytics.webhooks.book import Claimed, Ending, Standing
from analytics.webhooks.payload import About, about, body
from analytics.webhooks.sending import Attempted, Held, Outcome, Request, Sender, Target, Turns, circuit_of
from analytics.webhooks.vocabulary import AttemptOutcome, EndReason
from core.ids import Key
from core.outbound_http import Outbound
from notifications import metrics
from notifications.beats import LaneWaits
from notifications.messaging.base import Verdict, WorkMessage
from notifications.providers.breaker import Breaker
from notifications.providers.failover import TRY_AGAIN
from notifications.services.retry import RetryPolicy, jitter

log = structlog.get_logger(__name__)

#: The windows of the tries: 5 s, 30 s, 3 min, 18 min, 2 h, 8 h, 8 h, each drawn with full jitter: a receiver that
#: stumbles hears again at once, and one that is down over night still gets everything in the morning.
BASE_SECONDS, FACTOR, CAP_SECONDS = 5.0, 6.0, 8 * 3600.0
#: What is held, because a circuit is open or an endpoint asked us to wait, is looked at again after this at the latest:
#: whoever comes back is told soon.
HOLD_CAP_SECONDS = 900.0
#: An endpoint that asks us to wait uses no attempt up, this many times; then it does.
THROTTLED_TIMES = 100


class WebhookWorker:
    """Handles the batches of the webhook lanes. Safe to call from several threads: each has its own event loop, and on
    it connections that stay open."""

    def __init__(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self.breaker = Breaker()
        self.turns = Turns()
        self.policy = RetryPolicy(BASE_SECONDS, CAP_SECONDS, settings.WEBHOOK_MAX_ATTEMPTS, FACTOR)
        self.holding = RetryPolicy(BASE_SECONDS, HOLD_CAP_SECONDS, settings.WEBHOOK_MAX_ATTEMPTS)
        self.stopping = stopping
        self.waits = LaneWaits()
        self._local = threading.local()
        self._open: list[tuple[asyncio.AbstractEventLoop, Outbound]] = []
        self._random = random.Random()

    def process(self, message: WorkMessage) -> Verdict:
        """Send a batch and record it. AGAIN when PostgreSQL could not be reached."""
        lane = f"{message.channel}.{message.priority}"
        self.waits.took(message.channel, message.priority, message.id)
        began = time.monotonic()
        with structlog.contextvars.bound_contextvars(batch=str(message.id), lane=lane):
            verdict = self._handle(message)
        metrics.BATCHES.inc(message.channel, message.priority, verdict.value)
        metrics.BATCH_SECONDS.observe(message.channel, value=time.monotonic() - began)
        return verdict

    def stats(self) -> dict[str, Any]:
        """For this process's beat."""
        return {"lanes": self.waits.stats()}

    def _handle(self, message: WorkMessage) -> Verdict:
        try:
            claims, endpoints = book.claim(message.deliveries, priority=message.priority)
        except (OperationalError, InterfaceError) as error:
            log.warning("webhooks.database_unavailable", error=type(error).__name__)
            return Verdict.AGAIN
        metrics.CLAIMS.inc(message.channel, message.priority, by=len(claims))
        spent, live = self._sort(claims, endpoints)
        try:
            known = about({claim.told.notification for claim in live if claim.told.notification is not None})
        except (OperationalError, InterfaceError) as error:
            # These are claimed. Left to their lease they would be late, and look like a lost worker's.
            log.warning("webhooks.database_unavailable", error=type(error).__name__)
            return self._record([*spent, *(Ending(claim, wait=TRY_AGAIN) for claim in live)], message.priority)
        outcomes = self._send(_targets(live, endpoints, known))
        of = {claim.told.id: claim for claim in live}
        return self._record(spent + [self._ending(of[one.id], one) for one in outcomes], message.priority)

    def close(self) -> None:
        """Once no thread is in `process` any more; one that is out of time keeps its loop to itself."""
        for loop, client in self._open:
            if not loop.is_running():
                loop.run_until_complete(client.close())
                loop.close()

    def _sort(self, claims: Sequence[Claimed], endpoints: Mapping[Key, Standing]) -> tuple[list[Ending], list[Claimed]]:
        """What is over before it is sent, and what is to be sent."""
        spent: list[Ending] = []
        live: list[Claimed] = []
        for claim in claims:
            endpoint = endpoints.get(claim.told.endpoint)
            if endpoint is None or not endpoint.is_on:
                spent.append(Ending(claim, reason=EndReason.OFF))
            elif claim.attempt > self.policy.max_attempts:  # its last workers were lost with it in hand
                spent.append(Ending(claim, reason=EndReason.LOST))
            else:
                live.append(claim)
        return spent, live

    def _send(self, targets: Sequence[Target]) -> list[Outcome]:
        if not targets:
            return []
        loop, client = self._loop()
        return loop.run_until_complete(Sender(client, self.breaker, self.turns, stopping=self.stopping).send(targets))

    def _ending(self, claim: Claimed, outcome: Outcome) -> Ending:
        if isinstance(outcome, Held):
            return Ending(claim, wait=self.holding.hold(claim.holds, outcome.wait, jitter(self._random)))
        if outcome.is_ok:
            return Ending(claim, outcome)
        if outcome.outcome is AttemptOutcome.GONE:
            return Ending(claim, outcome, reason=EndReason.GONE)
        return self._failed(claim, outcome)

    def _failed(self, claim: Claimed, outcome: Attempted) -> Ending:
        if outcome.outcome is AttemptOutcome.THROTTLED and claim.holds < THROTTLED_TIMES:
            wait = self.holding.hold(claim.holds, outcome.wait or 0.0, jitter(self._random))
            return Ending(claim, outcome, wait=wait, is_free=True)
        if self.policy.exhausted(claim.attempt):
            return Ending(claim, outcome, reason=EndReason.EXHAUSTED)
        return Ending(claim, outcome, wait=self.policy.delay(claim.attempt, outcome.wait, jitter(self._random)))

    def _record(self, endings: Sequence[Ending], priority: str) -> Verdict:
        """Keep at it while PostgreSQL is away: the receivers have these, and would get them twice. Only a stop ends the
        waiting; then the lease decides."""
        pause = 0.1
        while True:
            try:
                book.record(endings, priority=priority)
            except (OperationalError, InterfaceError) as error:
                if self.stopping():
                    log.exception("webhooks.unrecorded", messages=len(endings))
                    return Verdict.AGAIN
                log.warning("webhooks.record_waits", messages=len(endings), error=type(error).__name__)
                connection.close()
                time.sleep(pause * (0.5 + self._random.random()))
                pause = min(pause * 2, 5.0)
            else:
                return Verdict.DONE

    def _loop(self) -> tuple[asyncio.AbstractEventLoop, Outbound]:
        own: tuple[asyncio.AbstractEventLoop, Outbound] | None = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = (asyncio.new_event_loop(), Outbound())
            self._open.append(own)
        return own


def _targets(claims: Sequence[Claimed], endpoints: Mapping[Key, Standing], known: Mapping[Key, About]) -> list[Target]:
    by_endpoint: dict[Key, list[Request]] = {}
    for claim in sorted(claims, key=lambda claim: claim.told.id):  # in the order they happened
        told = claim.told
        context = known.get(told.notification) if told.notification is not None else None
        said = body(told, context) if context else body(told)
        by_endpoint.setdefault(told.endpoint, []).append(Request(told.id, said))
    return [
        Target(circuit_of(endpoint), endpoints[endpoint].url, endpoints[endpoint].secrets, requests)
        for endpoint, requests in by_endpoint.items()
    ]
