"""Worker: one batch in, outcomes recorded, a verdict out. Knows no broker.

    claim (short transaction) -> gates -> render -> provider (no transaction open) -> record (one transaction)

A batch is never dropped: what cannot be recorded is answered with AGAIN, and the claim makes handing it out twice
harmless.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from core.faults import where
from notifications import registry
from notifications.choices import EventType, FailureCode, SkipReason
from notifications.errors import RenderError
from notifications.messaging.base import Verdict, WorkMessage
from notifications.providers.base import Failure, OutboundMessage, Outcome, Provider
from notifications.services.addresses import retire_invalid
from notifications.services.claims import Claim, Result
from notifications.services.recording import vendor_text
from notifications.services.retry import RetryPolicy, jitter
from notifications.services.routing import refusal
from notifications.services.templates import catalogue
from notifications.services.tracking import DeliveryTracker
from preferences.services import LOOK_BACK_SECONDS, CategoryInfo, PreferencesService

log = structlog.get_logger(__name__)

#: A rendered message and the claim it answers.
Pair = tuple[Claim, OutboundMessage]
#: Between the last answer a provider may give and the end of the lease: time to record it.
MARGIN_SECONDS = 5.0
#: Characters of a provider's name for a message that the record keeps.
MAX_MESSAGE_ID = 128

#: Only these say for certain that the provider did not take the message, so another may be asked at once.
_FAIL_OVER = frozenset({FailureCode.UNAVAILABLE, FailureCode.THROTTLED, FailureCode.NOT_CONFIGURED})


class Worker:
    """Handles the batches of one channel. Safe to call from several threads: each has its own event loop."""

    def __init__(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self.preferences = PreferencesService()
        self.tracker = DeliveryTracker()
        self.policy = RetryPolicy(settings.RETRY_BASE_SECONDS, settings.RETRY_CAP_SECONDS, settings.MAX_ATTEMPTS)
        self.stopping = stopping
        self._local = threading.local()
        self._random = random.Random()

    def process(self, message: WorkMessage) -> Verdict:
        """Send a batch and record it. AGAIN when PostgreSQL could not be reached."""
        lane = f"{message.channel}.{message.priority}"
        # The last moment to ask a provider: its answer must come while the claim is still ours.
        deadline = time.monotonic() + settings.LEASE_SECONDS - settings.PROVIDER_TIMEOUT_SECONDS - MARGIN_SECONDS
        with structlog.contextvars.bound_contextvars(batch=str(message.id), lane=lane):
            try:
                claims = self.tracker.claim(message.deliveries, channel=message.channel, priority=message.priority)
                results, sendable = self._gate(claims)
                unrenderable, outbound = self._render(sendable)
            except (OperationalError, InterfaceError) as error:
                log.warning("worker.database_unavailable", error=type(error).__name__)
                return Verdict.AGAIN
            results += unrenderable
            for is_test, pairs in outbound.items():
                results += self._send(registry.chain(message.channel, is_test=is_test), pairs, deadline)
            return self._record(results)

    def _gate(self, claims: Sequence[Claim]) -> tuple[list[Result], list[Claim]]:
        """The last look before sending: what came after acceptance is honoured here, from PostgreSQL alone."""
        categories = self.preferences.categories_by_id({claim.category_id for claim in claims})
        refused = self._refused(claims, categories)
        skipped: list[Result] = []
        passed: list[Claim] = []
        for claim in claims:
            reason = ""
            if claim.cancelled or not claim.recipient_known:
                reason = SkipReason.CANCELLED.value
            elif claim.expired:
                reason = SkipReason.EXPIRED.value
            elif claim.id in refused:
                reason = refused[claim.id]
            elif not claim.address:
                reason = SkipReason.NO_ADDRESS.value
            if reason:
                skipped.append(Result(claim, EventType.SKIPPED, code=reason))
            else:
                passed.append(claim)
        return skipped, passed

    def _refused(self, claims: Sequence[Claim], categories: Mapping[int, CategoryInfo]) -> dict[Any, str]:
        """Opt-outs and suppressions since acceptance. Only recipients whose preferences moved are looked at again.

        The margin covers what acceptance may have read from a cache that missed its invalidation.
        """
        margin = timedelta(seconds=LOOK_BACK_SECONDS)
        changed = [
            claim
            for claim in claims
            if claim.preferences_changed_at is not None and claim.preferences_changed_at > claim.created_at - margin
        ]
        if not changed:
            return {}
        fresh = self.preferences.reach_fresh(list({claim.recipient_id for claim in changed}))
        refused = {}
        for claim in changed:
            reach, category = fresh.get(claim.recipient_id), categories.get(claim.category_id)
            if reach is not None and category is not None and (reason := refusal(reach, category, claim.channel)):
                refused[claim.id] = reason
        return refused

    def _render(self, claims: Sequence[Claim]) -> tuple[list[Result], dict[bool, list[Pair]]]:
        """Finished messages, live and test traffic apart, and the failures of those that cannot be rendered."""
        categories = self.preferences.categories_by_id(())
        failed: list[Result] = []
        outbound: dict[bool, list[Pair]] = {}
        for claim in claims:
            category = categories.get(claim.category_id)
            try:
                message = _message(claim, category.slug if category else "")
            except RenderError as error:
                detail = vendor_text(error, claim.address)
                failed.append(Result(claim, EventType.FAILED, code=FailureCode.RENDER_ERROR.value, detail=detail))
            else:
                outbound.setdefault(claim.is_test, []).append((claim, message))
        return failed, outbound

    def _send(self, chain: Sequence[Provider], pairs: list[Pair], deadline: float) -> list[Result]:
        """Offer messages to a channel's providers in order; the next gets what the one before surely did not take.

        After `deadline` (monotonic) nobody is asked any more: the lease may run out before the answer.
        """
        if not chain:
            refused = Failure(FailureCode.NOT_CONFIGURED, temporary=False, detail="This channel has no provider.")
            return [self._result(claim, "", refused) for claim, _ in pairs]
        results: list[Result] = []
        for position, provider in enumerate(chain):
            is_last = position == len(chain) - 1
            declined: list[Pair] = []
            if time.monotonic() > deadline:
                late = Failure(FailureCode.UNAVAILABLE, temporary=True, detail="No time was left to ask.")
                return results + [self._result(claim, provider.name, late) for claim, _ in pairs]
            for pair, outcome in zip(pairs, self._call(provider, [m for _, m in pairs]), strict=True):
                if isinstance(outcome, Failure) and outcome.temporary and outcome.code in _FAIL_OVER and not is_last:
                    declined.append(pair)
                else:
                    results.append(self._result(pair[0], provider.name, outcome))
            if not declined:
                break
            log.warning("worker.failover", provider=provider.name, deliveries=len(declined))
            pairs = declined
        return results

    def _call(self, provider: Provider, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """One provider call. No transaction is open here: a slow provider must not hold rows."""
        try:
            outcomes = self._loop().run_until_complete(
                asyncio.wait_for(provider.send(messages), settings.PROVIDER_TIMEOUT_SECONDS)
            )
        except TimeoutError:
            return [Failure(FailureCode.TIMEOUT, temporary=True, detail="No answer in time.")] * len(messages)
        except Exception as error:
            # Not the exception itself: a vendor's library may quote the address or the message in it.
            log.error("worker.provider_crashed", provider=provider.name, error=type(error).__name__, at=where(error))  # noqa: TRY400 - see above
            detail = f"{type(error).__name__} in the provider."
            return [Failure(FailureCode.INTERNAL, temporary=True, detail=detail)] * len(messages)
        if len(outcomes) != len(messages):
            log.error("worker.provider_miscounted", provider=provider.name, asked=len(messages), got=len(outcomes))
            return [Failure(FailureCode.INTERNAL, temporary=True, detail="Wrong number of outcomes.")] * len(messages)
        return outcomes

    def _result(self, claim: Claim, provider: str, outcome: Outcome) -> Result:
        if not isinstance(outcome, Failure):
            message_id = vendor_text(outcome.provider_message_id, claim.address)[:MAX_MESSAGE_ID]
            return Result(claim, EventType.SENT, provider, provider_message_id=message_id)
        code, detail = outcome.code.value, vendor_text(outcome.detail, claim.address)
        if not outcome.temporary:
            return Result(claim, EventType.FAILED, provider, code, detail)
        if self.policy.exhausted(claim.attempt):
            return Result(claim, EventType.DEAD, provider, code, detail)
        delay = self.policy.delay(claim.attempt, outcome.retry_after, jitter(self._random))
        return Result(claim, EventType.DEFERRED, provider, code, detail, retry_in=delay)

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
                results = [replace(result, detail="", provider_message_id="") for result in results]
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
        return loop


def _message(claim: Claim, category: str) -> OutboundMessage:
    """The rendered message. Raises RenderError."""
    if claim.content is not None:
        content = claim.content[claim.channel]
    elif claim.version_id is not None:
        recipient = {
            "external_id": claim.external_id,
            "name": claim.name,
            "locale": claim.locale,
            "timezone": claim.timezone,
            "attributes": claim.attributes,
        }
        context = {**claim.data, "recipient": recipient}
        content = catalogue.render(claim.version_id, claim.channel, claim.locale, context)
    else:
        raise RenderError("The content was erased.")
    return OutboundMessage(
        delivery_id=claim.id,
        notification_id=claim.notification_id,
        recipient_id=claim.recipient_id,
        channel=claim.channel,
        address=claim.address,
        content=content,
        category=category,
        platform=claim.platform,
        attempt=claim.attempt,
        is_test=claim.is_test,
        metadata=claim.metadata,
    )
