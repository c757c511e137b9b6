"""The gates of a channel's providers: what each says now, and who is handed the message in the end."""

from datetime import datetime, timedelta
from math import isfinite

from notifications.choices import HoldReason
from notifications.explain.cases import Case
from notifications.explain.verdicts import Check, Source, Store, Verdict
from notifications.explain.wording import listed, soon, span
from notifications.providers.base import Failure
from notifications.providers.failover import Answer, Held
from notifications.providers.gate import Permit
from notifications.services.limits import Limit
from notifications.services.providers import Standing, State
from notifications.services.rate_limiter import RESERVE, RateLimiter
from notifications.words import words

_CHAIN = Source(Store.SETTINGS, "PROVIDER_CHAINS")
_TESTS = Source(Store.SETTINGS, "TEST_PROVIDERS")
#: A person decides when these end.
_OPEN_ENDED = frozenset({HoldReason.SWITCHED_OFF})


def room(case: Case) -> Check | None:
    """Whether a worker would take it into its hands at all. Told only where it would not."""
    offer = case.trial.offer
    if offer is None or offer.room.granted:
        return None
    held = [permit for permit in offer.permits.values() if not permit.granted]
    permit = min(held, key=lambda one: one.wait, default=offer.room)
    says = f"No worker takes it up now: {words(str(permit.reason)).lower()}. It waits; no attempt is used up."
    return Check(
        gate="room", verdict=Verdict.HOLD, says=says, code=str(permit.reason), sources=(_CHAIN,),
        seen={"Asked in this order": listed(list(offer.permits), "then")},
        until=None if permit.reason in _OPEN_ENDED else _at(case, offer.room.wait),
    )  # fmt: skip


def provider_checks(case: Case, standings: dict[str, Standing]) -> list[Check]:
    """One for each provider of the chain, in the order they are asked, and then who takes it."""
    offer = case.trial.offer
    if offer is None or offer.answer is None:
        return []
    checks = [_provider(case, name, permit, standings.get(name)) for name, permit in offer.permits.items()]
    return [*checks, _chain(case, list(offer.permits), offer.answer)]


def _provider(case: Case, name: str, permit: Permit, standing: Standing | None) -> Check:
    if case.went.is_test:
        says = "Test traffic goes to the simulator; no switch, circuit or limit concerns it."
        return Check(gate="provider", verdict=Verdict.PASS, says=says, provider=name, sources=(_TESTS,))
    seen, sources = _standing(standing) if standing else ({}, [])
    limits = case.rules.of_provider(name)
    used = RateLimiter(looking=True).used({(one.scope, one.target): Limit(one.max, one.per_seconds) for one in limits})
    for one in limits:
        count = "?" if used is None else f"{used[one.scope, one.target]:,}"
        spare = (
            ""
            if case.admitted.terms.priority == "critical"
            else f", {one.max // RESERVE:,} of it for critical ones alone"
        )
        title = "Its limit" if one.target else "Limit of all providers"
        seen[title] = f"{count} of {one.max:,} in {span(one.per_seconds)}{spare}"
        sources.append(Source(Store.POSTGRESQL, "notifications_ratelimit", str(one.pk)))
    if permit.granted:
        known = standing is not None and standing.state is not State.UNKNOWN
        return Check(
            gate="provider", verdict=Verdict.PASS if known else Verdict.UNKNOWN, says=_free(permit, known=known),
            provider=name, seen=seen, sources=tuple(sources),
        )  # fmt: skip
    return Check(
        gate="provider", verdict=Verdict.HOLD, says=_why(case, permit, standing), code=str(permit.reason),
        provider=name, seen=seen, sources=tuple(sources),
        until=None if permit.reason in _OPEN_ENDED or not isfinite(permit.wait) else _at(case, permit.wait),
    )  # fmt: skip


def _chain(case: Case, names: list[str], answer: Answer) -> Check:
    sources = (_TESTS if case.went.is_test else _CHAIN,)
    seen = {"Asked in this order": listed(names, "then") or "nobody"}
    outcome, provider = answer.outcome, answer.provider
    if isinstance(outcome, Held):
        until = None if outcome.reason in _OPEN_ENDED else _at(case, outcome.wait)
        says = f"Nobody may be asked now: {words(str(outcome.reason)).lower()}. It waits; no attempt is used up."
        return Check(
            gate="chain", verdict=Verdict.HOLD, says=says, code=str(outcome.reason), provider=provider, seen=seen,
            sources=sources, until=until,
        )  # fmt: skip
    if isinstance(outcome, Failure):
        return Check(
            gate="chain", verdict=Verdict.REFUSE, says=outcome.detail, code=outcome.code.value, provider=provider,
            seen=seen, sources=sources,
        )  # fmt: skip
    before = names[: names.index(provider)]
    instead = f", in place of {listed(before)}" if before else ""
    return Check(
        gate="chain", verdict=Verdict.PASS, says=f"It is handed to {provider}{instead}.", provider=provider, seen=seen,
        sources=sources,
    )  # fmt: skip


def _standing(one: Standing) -> tuple[dict[str, str], list[Source]]:
    seen: dict[str, str] = {}
    sources = [Source(Store.REDIS, "circuits of providers")]
    if one.switch is not None:
        seen["Switch"] = f"off, by {one.switch.by}{f': {one.switch.reason}' if one.switch.reason else ''}"
        sources.append(Source(Store.POSTGRESQL, "notifications_providerswitch", one.name))
    else:
        seen["Switch"] = "on"
    if one.circuit is not None:
        half_open = one.circuit.is_open and not one.open_for
        seen["Circuit"] = "half-open" if half_open else "open" if one.circuit.is_open else "closed"
        seen["Failed lately"] = f"{one.tally.failed:,} of {one.tally.calls:,} messages"
        if one.paused_for:
            seen["Paused"] = f"it asked us to wait; goes on {soon(one.paused_for)}"
    return seen, sources


def _free(permit: Permit, *, known: bool) -> str:
    if permit.probe:
        return "It is on trial after an outage: this message would be the probe."
    if not known:
        return "Its circuit cannot be told without Redis; each worker goes by what it sees itself."
    return "It may be asked."


def _why(case: Case, permit: Permit, standing: Standing | None) -> str:
    reason = words(str(permit.reason))
    if permit.reason == HoldReason.SWITCHED_OFF:
        by = f" by {standing.switch.by}" if standing and standing.switch else ""
        return f"{reason}{by}; somebody has to switch it on."
    if permit.reason == HoldReason.CIRCUIT_OPEN and standing and standing.circuit and standing.circuit.of:
        return (
            f"{reason}: {standing.circuit.bad:,} of {standing.circuit.of:,} messages failed. Tried {soon(permit.wait)}."
        )
    return f"{reason}. Asked again {soon(permit.wait)}."


def _at(case: Case, wait: float) -> datetime:
    return case.went.now + timedelta(seconds=wait)
