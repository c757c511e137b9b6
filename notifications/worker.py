"""Worker: one batch in, outcomes recorded, a verdict out. Knows no broker.

    claim (short transaction) -> gates -> render -> provider (no transaction open) -> record (one transaction)

When no provider of the channel may be asked, nothing is claimed at all: the batch waits in the outbox. Of what is
beyond a limit only as much is claimed as may go.

A batch is never dropped: what cannot be recorded is answered with AGAIN, and the claim makes handing it out twice
harmless.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from core.ids import Key
from notifications import metrics, registry
from notifications.beats import LaneWaits
from notifications.choices import MAYBE_TWICE, EventType, FailureCode, HoldReason
from notifications.decorators import Content, decorated
from notifications.errors import RenderError
from notifications.messaging.base import Verdict, WorkMessage
from notifications.providers.asking import ask
from notifications.providers.base import OutboundMessage, Outcome, Provider, Receipt
from notifications.providers.failover import LIMITS, TRY_AGAIN, Answer, Failover, Held, NoGate, Pair, spread
from notifications.providers.gate import Permit, ProviderGate
from notifications.services.addresses import retire_invalid
from notifications.services.claims import Claim, Result
from notifications.services.gates import Gates
from notifications.services.holds import holds
from notifications.services.messages import content_of, message_of
from notifications.services.rate_limiter import RateLimiter
from notifications.services.recording import vendor_text
from notifications.services.retry import PATIENCE, RetryPolicy, jitter
from notifications.services.tracking import DeliveryTracker
from preferences.services import PreferencesService

log = structlog.get_logger(__name__)

#: Between the last answer a provider may give and the end of the lease: time to record it.
MARGIN_SECONDS = 5.0
#: Characters of a provider's name for a message that the record keeps.
MAX_MESSAGE_ID = 128

#: A message that its provider throttles uses up no attempt, this many times; at the growing pace of holds that is most
#: of a day. Then it does: a provider that throttles for ever must not keep it for ever.
THROTTLED_TIMES = 100

#: A shut channel is looked at again after this long at the latest: a person may have reset or switched on a provider.
LOOK_AGAIN_SECONDS = 30.0
#: Deliveries of a shut channel that look again in a second, per process and lane: about as many as it sends. Whatever
#: waits then costs twenty full messages a second, and comes back as fast as it can go when the channel opens.
LOOKS_PER_SECOND = 10_000

NO_GATE = NoGate()


class Worker:
    """Handles the batches of one channel. Safe to call from several threads: each has its own event loop."""

    def __init__(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self.preferences = PreferencesService()
        self.tracker = DeliveryTracker()
        self.limiter = RateLimiter()
        self.gate = ProviderGate(self.limiter)
        self.gates = Gates(self.preferences, self.limiter)
        self.policy = RetryPolicy(settings.RETRY_BASE_SECONDS, settings.RETRY_CAP_SECONDS, settings.MAX_ATTEMPTS)
        self.stopping = stopping
        self.waits = LaneWaits()
        self._line = _Line()
        self._local = threading.local()
        self._loops: list[asyncio.AbstractEventLoop] = []
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
        # The last moment to ask a provider: its answer must come while the claim is still ours.
        deadline = time.monotonic() + settings.LEASE_SECONDS - settings.PROVIDER_TIMEOUT_SECONDS - MARGIN_SECONDS
        try:
            deliveries = self._admit(message)
            if not deliveries:
                return Verdict.DONE
            claims = self.tracker.claim(deliveries, channel=message.channel, priority=message.priority)
        except (OperationalError, InterfaceError) as error:
            log.warning("worker.database_unavailable", error=type(error).__name__)
            return Verdict.AGAIN
        metrics.CLAIMS.inc(message.channel, message.priority, by=len(claims))
        try:
            results, sendable = self.gates.check(claims)
            unrenderable, outbound = self._render(message.channel, sendable)
        except (OperationalError, InterfaceError) as error:
            # These are claimed. Left to their lease they would look like a lost worker's, who may have sent them.
            log.warning("worker.database_unavailable", error=type(error).__name__)
            return self._record([self._held(c, "", HoldReason.UNAVAILABLE.value, TRY_AGAIN) for c in claims])
        results += unrenderable
        for is_test, pairs in outbound.items():
            results += self._send(message.channel, message.priority, is_test, pairs, deadline)
        return self._record(results)

    def _admit(self, message: WorkMessage) -> Sequence[Key]:
        """What is worth claiming now. What belongs to a held source, what no provider of the channel may take, or what
        is beyond a limit, goes back into the outbox without a claim, so that a backlog costs next to nothing while it
        waits. Test traffic goes on.
        """
        lane = (message.channel, message.priority)
        wanted = holds.park(message.deliveries, lane, alone=message.is_suspect)
        if not wanted:
            return wanted
        permit = self.gate.room(settings.PROVIDER_CHAINS[message.channel], len(wanted), priority=message.priority)
        if permit.granted >= len(wanted):
            return wanted
        tests = self.tracker.test_traffic(wanted)
        live = [id for id in wanted if id not in tests]
        now, later = live[: permit.granted], live[permit.granted :]
        if later:
            self.tracker.postpone(later, lane, self._turns_of(lane, permit, len(later)), alone=message.is_suspect)
            log.info("worker.channel_waits", deliveries=len(later), why=permit.reason, seconds=round(permit.wait, 1))
        return [*now, *(id for id in wanted if id in tests)]

    def _turns_of(self, lane: tuple[str, str], permit: Permit, n: int) -> list[float]:
        """Seconds until each of n deliveries that nobody may take now is looked at again."""
        if permit.reason in LIMITS:
            return spread(permit, n)
        turn = self._line.turn(lane, min(permit.wait, LOOK_AGAIN_SECONDS), n)
        return [self.policy.hold(0, turn, jitter(self._random))] * n

    def _render(self, channel: str, claims: Sequence[Claim]) -> tuple[list[Result], dict[bool, list[Pair]]]:
        """Finished messages, live and test traffic apart, and the failures of those that cannot be rendered."""
        categories = self.preferences.categories_by_id(())
        failed: list[Result] = []
        rendered: list[Claim] = []
        contents: list[Content] = []
        for claim in claims:
            try:
                contents.append(content_of(claim))
            except RenderError as error:
                detail = vendor_text(error, claim.address)
                failed.append(Result(claim, EventType.FAILED, code=FailureCode.RENDER_ERROR.value, detail=detail))
            else:
                rendered.append(claim)
        finished = decorated(registry.decorators(), channel, rendered, contents)
        outbound: dict[bool, list[Pair]] = {False: [], True: []}
        for claim, content in zip(rendered, finished, strict=True):
            message = message_of(claim, content, categories.get(claim.category_id))
            outbound[claim.is_test].append((claim, message))
        return failed, outbound

    def _send(self, channel: str, priority: str, is_test: bool, pairs: list[Pair], deadline: float) -> list[Result]:
        if not pairs:
            return []
        failover = Failover(NO_GATE if is_test else self.gate, self._call)
        answers = failover.send(registry.chain(channel, is_test=is_test), pairs, deadline, priority=priority)
        return [self._result(answer) for answer in answers]

    def _call(self, provider: Provider, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        return ask(self._loop(), provider, messages)

    def _result(self, answer: Answer) -> Result:
        result = self._outcome(answer)
        return msgspec.structs.replace(result, declined_by=answer.declined_by) if answer.declined_by else result

    def _outcome(self, answer: Answer) -> Result:
        claim, provider, outcome = answer.claim, answer.provider, answer.outcome
        if isinstance(outcome, Receipt):
            message_id = _message_id(outcome, claim.address)
            code, doubt = (MAYBE_TWICE, _doubt(claim)) if claim.doubts else ("", "")
            detail = f"{doubt} {answer.passed_on}".strip() if doubt or answer.passed_on else ""
            return Result(claim, EventType.SENT, provider, code, detail, message_id)
        if isinstance(outcome, Held):
            return self._held(claim, provider, outcome.reason, outcome.wait)
        code, detail = outcome.code.value, vendor_text(outcome.detail, claim.address)
        if not outcome.temporary:
            return Result(claim, EventType.FAILED, provider, code, detail)
        if outcome.code == FailureCode.THROTTLED and claim.holds < THROTTLED_TIMES:
            return self._held(claim, provider, HoldReason.THROTTLED.value, outcome.retry_after or 0.0)
        if self.policy.exhausted(claim.attempt):
            return Result(claim, EventType.DEAD, provider, code, detail)
        delay = self.policy.delay(claim.attempt, outcome.retry_after, jitter(self._random))
        return Result(claim, EventType.DEFERRED, provider, code, detail, retry_in=delay)

    def _held(self, claim: Claim, provider: str, reason: str, wait: float) -> Result:
        # What a limit holds back is spread already; more of it would be a row of the outbox each.
        spread = reason == HoldReason.RATE_LIMIT and claim.holds <= PATIENCE
        delay = self.policy.hold(claim.holds, wait, 0.0 if spread else jitter(self._random))
        return Result(claim, EventType.HELD, provider, reason, retry_in=delay)

    def _record(self, results: Sequence[Result]) -> Verdict:
        """Record, and keep at it while PostgreSQL is away: the provider has these messages, and giving up would send
        them twice. Only a stop ends the waiting; then the lease decides."""
        pause, plain = 0.1, False
        while True:
            try:
                self.tracker.record(results)
            except (OperationalError, InterfaceError) as error:
                if self.stopping():
                    log.exception("worker.unrecorded", deliveries=len(results))
                    return Verdict.AGAIN
                log.warning("worker.record_waits", deliveries=len(results), error=type(error).__name__)
                connection.close()
                time.sleep(pause * (0.5 + self._random.random()))
                pause = min(pause * 2, 5.0)
            except DatabaseError:
                if plain:
                    raise
                # Something a provider said does not fit the record. What it did must be kept all the same.
                log.exception("worker.words_dropped", deliveries=len(results))
                results = [msgspec.structs.replace(result, detail="", provider_message_id="") for result in results]
                plain = True
            else:
                break
        try:
            retire_invalid(results, self.preferences)
        except (OperationalError, InterfaceError) as error:  # the next send to such an address tells us again
            log.warning("worker.addresses_not_retired", error=type(error).__name__)
        return Verdict.DONE

    def _loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop | None = getattr(self._local, "loop", None)
        if loop is None:
            loop = self._local.loop = asyncio.new_event_loop()
            self._loops.append(loop)
        return loop

    def close(self) -> None:
        """Once no thread is in `process` any more; one that is out of time keeps its loop to itself."""
        for loop in self._loops:
            if not loop.is_running():
                loop.close()


class _Line:
    """Where the batches of a shut lane wait for their turn to look again. Without it all of a backlog would come round
    every few seconds for as long as the channel is shut, and keep its workers and the relay busy with that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[tuple[str, str], float] = {}

    def turn(self, lane: tuple[str, str], wait: float, deliveries: int) -> float:
        """Seconds until the turn of so many deliveries: `wait`, and longer behind others."""
        with self._lock:
            now = time.monotonic()
            cap: float = settings.RETRY_CAP_SECONDS
            turn = min(max(now + wait, self._ends.get(lane, now)), now + cap)
            self._ends[lane] = turn + deliveries / LOOKS_PER_SECOND
            return turn - now


def _doubt(claim: Claim) -> str:
    who = claim.doubts[-1]
    word = f"An earlier attempt at {who} had an unknown outcome" if who else "A worker was lost with it in hand"
    return f"{word}: it may arrive twice."


def _message_id(receipt: Receipt, address: str) -> str:
    """A provider's name for a message, fit for the record. Nearly all are plain and need nothing."""
    name = str(receipt.provider_message_id)  # a library may have made it a number
    if not (name.isascii() and name.isprintable()) or address in name:
        name = vendor_text(name, address)
    return name[:MAX_MESSAGE_ID]
