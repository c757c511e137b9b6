"""The way down a channel's chain of providers: who is asked, what goes to the next, and what waits.

The next provider gets what the one before surely did not take: its circuit is open, it is paused or switched off, or it
answered that it is unavailable or throttled us. A message with an unknown outcome (a time-out, a crash) is never handed
to another provider in the same breath; when its turn comes again it goes first to the one that may have it, and a send
after such an attempt is marked, since the person may get it twice.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog

from notifications.choices import FailureCode, HoldReason
from notifications.providers.base import Failure, OutboundMessage, Outcome, Provider, Receipt
from notifications.providers.gate import Permit, ProviderGate
from notifications.services.claims import Claim
from notifications.services.rate_limiter import LIMIT_SLACK_SECONDS

log = structlog.get_logger(__name__)

#: A rendered message and the claim it answers.
Pair = tuple[Claim, OutboundMessage]

#: Only these say for certain that the provider did not take the message.
NOT_TAKEN = frozenset({FailureCode.UNAVAILABLE, FailureCode.THROTTLED, FailureCode.NOT_CONFIGURED})
#: What counts against a provider's circuit. A refusal shows that it is alive; a wrong setting of ours is not its fault.
ITS_FAULT = frozenset({FailureCode.UNAVAILABLE, FailureCode.TIMEOUT, FailureCode.INTERNAL})
#: What is beyond a provider's limit, or beyond this process's share of it while Redis is away.
LIMITS = frozenset({HoldReason.RATE_LIMIT, HoldReason.REDIS_AWAY})
#: Seconds until a message that could not even be offered is tried again, when nothing better is known.
TRY_AGAIN = 5.0
#: What is beyond a limit comes back in steps of this many seconds.
SPREAD_SECONDS = 0.25
#: Times a provider is asked for in a row when the answer came too late to be acted upon.
ASK_AGAIN = 3


class Held(msgspec.Struct, frozen=True, gc=False):
    """Nobody was asked to take it. `reason` is a HoldReason; it is worth trying again after `wait` seconds."""

    reason: str
    wait: float


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What became of a message, and by whom (empty: nobody in particular)."""

    claim: Claim
    provider: str
    outcome: Outcome | Held
    #: Why the providers before it in the chain did not take it, for people.
    passed_on: str = ""
    #: (provider, FailureCode) of others that were asked and did not take it.
    declined_by: tuple[tuple[str, str], ...] = ()


class NoGate(ProviderGate):
    """For test traffic: what it does to the simulator holds up nobody, and no limit is used up by it."""

    def room(self, providers: Sequence[str], n: int, *, priority: str) -> Permit:
        return Permit(n)

    def ask(self, provider: str, n: int, *, priority: str) -> Permit:
        return Permit(n)

    def report(self, *args: object, **kwargs: object) -> None:
        pass


class Failover:
    """Offers messages to providers in order. `call` hands some to one provider and returns an outcome each."""

    def __init__(
        self, gate: ProviderGate, call: Callable[[Provider, Sequence[OutboundMessage]], list[Outcome]]
    ) -> None:
        self.gate = gate
        self.call = call

    def send(self, chain: Sequence[Provider], pairs: Sequence[Pair], deadline: float, *, priority: str) -> list[Answer]:
        """One answer per message, in no particular order. Nobody is asked after `deadline` (monotonic): the lease might
        run out before the answer."""
        if not chain:
            refused = Failure(FailureCode.NOT_CONFIGURED, temporary=False, detail="This channel has no provider.")
            return [Answer(claim, "", refused) for claim, _ in pairs]
        answers: list[Answer] = []
        for ordered, group in _by_way(chain, pairs):
            answers += _Descent(self, deadline, priority).down(ordered, group)
        return answers


class _Descent:
    """One group of messages on its way down one chain."""

    def __init__(self, failover: Failover, deadline: float, priority: str) -> None:
        self.failover, self.deadline, self.priority = failover, deadline, priority
        self.answers: list[Answer] = []
        #: The best word so far on what still looks for a provider: a failure where one was asked, else why it waits.
        self.words: dict[object, Answer] = {}
        #: Who was asked in vain, by claim.
        self.declined: dict[object, list[tuple[str, str]]] = {}

    def down(self, chain: Sequence[Provider], pairs: list[Pair]) -> list[Answer]:
        for provider in chain:
            if not pairs:
                break
            if time.monotonic() > self.deadline:
                self._wait(pairs, provider.name, Held(HoldReason.UNAVAILABLE, TRY_AGAIN))
                break
            before = len(pairs)
            pairs = self._offer(provider, pairs)
            if pairs and provider is not chain[-1]:
                log.info("failover", provider=provider.name, deliveries=len(pairs), of=before)
        return self.answers + [self._with_others(self.words[claim.id]) for claim, _ in pairs]

    def _with_others(self, answer: Answer) -> Answer:
        """With who else was asked in vain; for a message that the first one took, as it is."""
        declined = self.declined.get(answer.claim.id, ())
        others = tuple(one for one in declined if one[0] != answer.provider)
        return msgspec.structs.replace(answer, declined_by=others) if others else answer

    def _offer(self, provider: Provider, pairs: list[Pair]) -> list[Pair]:
        """Offer what may be offered now; returns what may go to the next provider."""
        permit = self._permit(provider.name, len(pairs))
        asked, left = pairs[: permit.granted], pairs[permit.granted :]
        declined: list[Pair] = []
        if asked:
            began = time.monotonic()
            outcomes = self.failover.call(provider, [message for _, message in asked])
            self._report(provider.name, permit, outcomes, time.monotonic() - began)
            declined = self._take(provider.name, asked, outcomes, permit)
        if permit.reason in LIMITS:  # a limit delays; it is no reason to load the next provider
            self.answers += [
                self._with_others(self.words.get(claim.id) or Answer(claim, provider.name, Held(permit.reason, wait)))
                for (claim, _), wait in zip(left, spread(permit, len(left)), strict=True)
            ]
            return declined
        self._wait(left, provider.name, Held(permit.reason, permit.wait))
        return declined + left

    def _permit(self, name: str, n: int) -> Permit:
        """A permit fresh enough to be acted upon: a limit holds for the moment of the call, not of the asking."""
        for _ in range(ASK_AGAIN):
            asked_at = time.monotonic()
            permit = self.failover.gate.ask(name, n, priority=self.priority)
            if time.monotonic() - asked_at <= LIMIT_SLACK_SECONDS:
                return permit
            if permit.probe:  # give it back, or nobody could probe for a while
                self.failover.gate.report(name, permit, answered=0, failed=0, seconds=0.0)
        return Permit(0, HoldReason.UNAVAILABLE.value, TRY_AGAIN)

    def _take(self, provider: str, asked: Sequence[Pair], outcomes: Sequence[Outcome], permit: Permit) -> list[Pair]:
        """Note the outcomes; returns what may go to the next provider."""
        if not self.words and all(type(outcome) is Receipt for outcome in outcomes):
            self.answers += [
                Answer(claim, provider, outcome) for (claim, _), outcome in zip(asked, outcomes, strict=True)
            ]
            return []
        pairs = zip(asked, outcomes, strict=True)
        return [pair for pair, outcome in pairs if self._declines(provider, pair[0], outcome, probe=bool(permit.probe))]

    def _declines(self, provider: str, claim: Claim, outcome: Outcome, *, probe: bool) -> bool:
        """Note an outcome; whether the message may go to the next provider. A probe that was surely not taken uses no
        attempt: a message that waits alone would be every probe, and used up by an outage of minutes."""
        known = self.words.get(claim.id)
        answer = Answer(claim, provider, outcome, _passed_on(known))
        if not isinstance(outcome, Failure) or not outcome.temporary or outcome.code not in NOT_TAKEN:
            self.answers.append(self._with_others(answer))
            return False
        if outcome.attempted:
            self.declined.setdefault(claim.id, []).append((provider, outcome.code.value))
        if not outcome.attempted or (probe and outcome.code == FailureCode.UNAVAILABLE):
            held = Held(HoldReason.UNAVAILABLE, outcome.retry_after or TRY_AGAIN)
            answer = Answer(claim, provider, held)
        if known is None or isinstance(known.outcome, Held):
            self.words[claim.id] = answer
        return True

    def _wait(self, pairs: Iterable[Pair], provider: str, held: Held) -> None:
        """Note why these wait, unless a provider was asked already; of two reasons the one that ends first."""
        for claim, _ in pairs:
            known = self.words.get(claim.id)
            if known is None or (isinstance(known.outcome, Held) and held.wait < known.outcome.wait):
                self.words[claim.id] = Answer(claim, provider, held)

    def _report(self, name: str, permit: Permit, outcomes: Sequence[Outcome], seconds: float) -> None:
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure) and outcome.temporary]
        answered, failed = len(outcomes) - len(failures), 0
        throttled: list[float | None] = []
        for failure in failures:
            if failure.code == FailureCode.THROTTLED:
                throttled.append(failure.retry_after)
            elif failure.code in ITS_FAULT and failure.attempted:
                failed += 1
        pause = max((seconds or 0.0 for seconds in throttled), default=None)
        self.failover.gate.report(name, permit, answered=answered, failed=failed, seconds=seconds, retry_after=pause)


def _passed_on(known: Answer | None) -> str:
    if known is None:
        return ""
    outcome = known.outcome
    why = HoldReason(outcome.reason).label if isinstance(outcome, Held) else FailureCode(outcome.code).label  # type: ignore[union-attr]  # a word is never a Receipt
    return f"Passed on by {known.provider}: {why}."


def _by_way(chain: Sequence[Provider], pairs: Sequence[Pair]) -> Iterable[tuple[list[Provider], list[Pair]]]:
    """Messages by the order in which they go down the chain: who may have a message already is asked for it first. A
    lost worker names nobody; it would have asked the one that was in doubt before."""
    ways: dict[str, list[Pair]] = {}
    for pair in pairs:
        doubts = pair[0].doubts
        first = next(filter(None, reversed(doubts)), "") if doubts else ""
        ways.setdefault(first, []).append(pair)
    for first, group in ways.items():
        yield sorted(chain, key=lambda provider: provider.name != first), group


def spread(permit: Permit, n: int) -> list[float]:
    """When each of n messages beyond a limit may try again, so that they come back about as fast as they may go.

    In steps of a quarter of a second or of one message, whichever is longer: an outbox row each, not one per message.
    Longer steps would leave a limit per second half used: of two times 70, a second apart, its window of 1.25 s takes
    90.
    """
    if permit.per_second <= 0:
        return [permit.wait] * n
    step = max(1, int(permit.per_second * SPREAD_SECONDS))
    return [permit.wait + (i // step) * (step / permit.per_second) for i in range(n)]
