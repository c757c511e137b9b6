"""A draft's way from acceptance to its providers, gone without sending: the same services, gates and failover as for
real, each of them looking. Nothing is written, marked, used up or probed, and nobody is sent anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.backends.utils import CursorWrapper

from core import ids, redis
from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications import registry
from notifications.drafts import Draft
from notifications.errors import DraftsRejected, FieldError, RenderError
from notifications.providers.base import OutboundMessage, Outcome, Provider, Receipt
from notifications.providers.breaker import LookingBreaker
from notifications.providers.failover import Answer, Failover, NoGate, Pair
from notifications.providers.gate import Permit, ProviderGate
from notifications.services import overload
from notifications.services import tracking_sql as sql
from notifications.services.acceptance import Batch, Item
from notifications.services.admission import Admitted
from notifications.services.caps import CapAsk, FrequencyCaps, Used
from notifications.services.claims import Claim, Result
from notifications.services.deduplication import DeduplicationService
from notifications.services.gates import Gates
from notifications.services.messages import content_of, message_of
from notifications.services.notification import NotificationService
from notifications.services.rate_limiter import Had, RateLimiter
from notifications.services.tracking_sql import by_id
from preferences.services import LookingPreferences, Reach

_FOREVER = float("inf")


class Offer(NamedTuple):
    """What a channel's providers say: whether the chain has room for it before it is even claimed, and each by itself;
    and the failover's answer, where the message came that far."""

    room: Permit
    permits: Mapping[str, Permit]
    answer: Answer | None = None


@dataclass(slots=True)
class Trial:
    """One channel. `claims` has one per address; without any, routing stopped it. `offer` is what its providers say,
    `result` what stopped it at the claim, `fault` why it cannot be worded."""

    channel: str
    claims: list[Claim] = field(default_factory=list)
    result: Result | None = None
    content: Mapping[str, str] | None = None
    fault: str = ""
    offer: Offer | None = None


@dataclass(slots=True)
class Rehearsal:
    """How it went. `faults` or `overloaded`: it would not be accepted at all. `fresh` is what PostgreSQL says of the
    recipient where acceptance went by the cache. `is_said_now`: somebody is saying the same at this very moment."""

    draft: Draft
    source: str
    is_test: bool
    now: datetime
    faults: list[FieldError] = field(default_factory=list)
    overloaded: str = ""
    admitted: Admitted | None = None
    cached: bool = False
    fresh: Reach | None = None
    asks_duplicates: bool = False
    duplicate_of: Key | None = None
    is_said_now: bool = False
    had: list[Had] | None = None
    capped: list[Used] | None = None
    redis_away: bool = False
    trials: dict[str, Trial] = field(default_factory=dict)


def rehearse(draft: Draft, *, source: str, is_test: bool = False) -> Rehearsal:
    """Go the whole way with a draft. One with an `id` counts as that notification: neither its own mark nor what it
    used up of its person's limit stands in its way. Raises django.db.Error."""
    with structlog.contextvars.bound_contextvars(rehearsal=True):  # what the services log is no news of real traffic
        return _Way(draft, source, is_test).go()


class _Way:
    def __init__(self, draft: Draft, source: str, is_test: bool) -> None:
        self.draft, self.source, self.is_test = draft, source, is_test
        self.preferences = LookingPreferences()
        self.limiter = RateLimiter(looking=True)
        self.gate = NoGate() if is_test else ProviderGate(self.limiter, LookingBreaker())

    def go(self) -> Rehearsal:
        with direct_cursor() as cursor:
            cursor.execute("SELECT now()")
            went = Rehearsal(self.draft, self.source, self.is_test, cursor.fetchone()[0])
        if self.source.startswith("api:"):  # nobody else is refused for it
            try:
                overload.admit([self.draft], self.preferences)
            except overload.Overloaded as error:
                went.overloaded = str(error)
        try:
            [admitted] = NotificationService(self.preferences).admitted([self.draft])
        except DraftsRejected as rejected:
            went.faults = rejected.errors[0]
            return went
        went.admitted = admitted
        went.cached = admitted.reach.external_id in self.preferences.cached
        item = self._accept(went, admitted)
        if went.duplicate_of is None:
            self._send(went, item)
        went.redis_away = redis.away()
        return went

    def _accept(self, went: Rehearsal, admitted: Admitted) -> Item:
        """As NotificationService.send, up to the rows."""
        batch = Batch(self.source, self.is_test, went.now)
        try:
            with transaction.atomic(), direct_cursor() as cursor:
                [item], firsts = batch.weigh(cursor, [admitted], DeduplicationService(looking=True))
            first = firsts.get(item.id)
            went.duplicate_of = None if first == item.id else first  # it is on the record itself
        except OperationalError:  # whoever says it has not committed yet
            [item] = batch.items([admitted])
            went.is_said_now = True
        went.asks_duplicates = batch.ask(item) is not None
        went.trials = {channel: Trial(channel) for channel in admitted.terms.channels}
        with direct_cursor() as cursor:
            for claim in _claims(cursor, item, went, self.source):
                went.trials[claim.channel].claims.append(claim)
        if went.cached:
            went.fresh = self.preferences.reach_fresh([admitted.reach.id]).get(admitted.reach.id)
        return item

    def _send(self, went: Rehearsal, item: Item) -> None:
        """As a worker, without its claim and its record."""
        claims = [claim for trial in went.trials.values() for claim in trial.claims]
        if not claims:
            return
        results, _ = Gates(self.preferences, self.limiter).check(claims, mind_time=False)
        stopped = {result.claim.id: result for result in results}
        terms = item.admitted.terms
        went.had = self.limiter.had(item.admitted.reach.id, terms.category.slug)
        ask = CapAsk(item.admitted.reach.id, terms.category.id, item.id)
        known = self.preferences.categories_by_id({terms.category.id})
        went.capped = FrequencyCaps(self.limiter).used(ask, known, went.now)
        for trial in went.trials.values():
            if trial.claims:
                trial.offer = self._offer(trial.channel, terms.priority)
            free = [claim for claim in trial.claims if claim.id not in stopped]
            if not free:
                trial.result = stopped[trial.claims[0].id] if trial.claims else None
                continue
            try:
                trial.content = content_of(free[0])
            except RenderError as error:
                trial.fault = str(error)
            else:
                message = message_of(free[0], trial.content, terms.category)
                trial.offer = self._offer(trial.channel, terms.priority, (free[0], message))

    def _offer(self, channel: str, priority: str, pair: Pair | None = None) -> Offer:
        """For one message: of a person's devices the first may get the last free place."""
        chain = registry.chain(channel, is_test=self.is_test)
        room = self.gate.room(settings.PROVIDER_CHAINS[channel], 1, priority=priority)
        permits = {one.name: self.gate.ask(one.name, 1, priority=priority) for one in chain}
        if pair is None:
            return Offer(room, permits)
        [answer] = Failover(self.gate, _nobody).send(chain, [pair], _FOREVER, priority=priority)
        return Offer(room, permits, answer)


def _nobody(provider: Provider, messages: Sequence[OutboundMessage]) -> list[Outcome]:
    """In place of a call: whoever may be asked takes it."""
    return [Receipt()] * len(messages)


def _claims(cursor: CursorWrapper, item: Item, went: Rehearsal, source: str) -> list[Claim]:
    """What a worker would claim of it, read as a worker reads it."""
    admitted, terms, draft = item.admitted, item.admitted.terms, went.draft
    ways = [way for way in item.routes if not way.skip]
    if not ways:
        return []
    person = admitted.reach.id
    recipients = by_id(cursor, sql.RECIPIENTS, {person})
    devices = by_id(cursor, sql.DEVICES, {way.device for way in ways if way.device is not None})
    notification = (
        item.id, source, terms.category.id, terms.template.version_id if terms.template else None,
        admitted.content, admitted.data.decode(), admitted.metadata.decode(), went.is_test, draft.send_at, False,
        draft.expires_at, None,  # steps are told of by their own gate
    )  # fmt: skip
    return [
        Claim(
            (way.channel, terms.priority),
            (new, item.id, person, way.device, 1, 0, went.now, went.now),
            notification,
            recipients.get(person),
            devices.get(way.device) if way.device is not None else None,
        )
        for way, new in zip(ways, ids.keys(len(ways)), strict=True)
    ]
