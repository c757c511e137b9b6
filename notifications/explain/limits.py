"""The gates of one channel that count: how much one person had already, by limits and by frequency caps."""

from collections.abc import Sequence
from datetime import timedelta

from notifications.choices import EventType, Priority, SkipReason
from notifications.explain.cases import Case, passed
from notifications.explain.rehearsal import Rehearsal
from notifications.explain.verdicts import Check, Source, Store, Verdict
from notifications.explain.wording import span
from notifications.models import RateLimit
from notifications.services import caps


def recipient_limit(case: Case) -> Check:
    went, result = case.went, case.trial.result
    limits = case.rules.of_person(case.category.slug)
    sources = [Source(Store.POSTGRESQL, "notifications_ratelimit", str(one.pk)) for one in limits]
    sources += [Source(Store.REDIS, "what each person had")] if limits else []
    seen = _had(went, limits)
    waits = [one.wait for one in went.had or () if one.used >= one.limit.max]
    if result is not None and result.code == SkipReason.RATE_LIMITED:
        says = "They have had as many messages as one person may get in this span of time."
        until = went.now + timedelta(seconds=max(waits)) if waits else None
        return Check(
            gate="recipient_limit", verdict=Verdict.SKIP, says=says, code=SkipReason.RATE_LIMITED.value, seen=seen,
            sources=tuple(sources), until=until,
        )  # fmt: skip
    if result is not None and result.type is EventType.HELD:
        says = "Redis takes no counts, so nobody knows what they have had: marketing waits."
        return Check(
            gate="recipient_limit", verdict=Verdict.HOLD, says=says, code=result.code, seen=seen,
            sources=tuple(sources), until=went.now + timedelta(seconds=result.retry_in),
        )  # fmt: skip
    if not limits:
        return passed("recipient_limit", "There is no limit on what one person gets.", seen, sources)
    if case.admitted.terms.priority == Priority.CRITICAL or went.is_test:
        who = "Test traffic is" if went.is_test else "Critical messages are"
        return passed("recipient_limit", f"{who} exempt from what one person may get.", seen, sources)
    if went.had is None:
        says = "Redis cannot be reached, so nobody knows what they have had: what people wait for goes on."
        return Check(
            gate="recipient_limit", verdict=Verdict.UNKNOWN, says=says, seen=seen, sources=tuple(sources)
        )  # fmt: skip
    return passed("recipient_limit", "They have not had too many.", seen, sources)


def frequency_cap(case: Case) -> Check:
    went, result = case.went, case.trial.result
    found = caps.caps_of(case.category)
    sources = [Source(Store.POSTGRESQL, "preferences_category", str(case.category.id))]
    if any(cap.category_id is None for cap in found):
        sources.append(Source(Store.POSTGRESQL, "notifications_ratelimit"))
    used = {one.cap: one for one in went.capped or ()}
    seen = {f"At most {cap}": f"{used[cap].used if cap in used else '?'} of {cap.max:,}" for cap in found}
    if result is not None and result.code == SkipReason.FREQUENCY_CAPPED:
        full = [one for one in used.values() if one.used >= one.cap.max]
        waits = [one.wait for one in full]
        enough = f"at most {' and '.join(str(one.cap) for one in full)}" if full else _uncapitalised(result.detail)
        return Check(
            gate="frequency_cap", verdict=Verdict.SKIP, code=SkipReason.FREQUENCY_CAPPED.value, seen=seen,
            says=f"They have had enough: {enough}.",
            sources=(*sources, Source(Store.REDIS, "what each person had")),
            until=went.now + timedelta(seconds=max(waits)) if waits else None,
        )  # fmt: skip
    if not found:
        return passed("frequency_cap", f"There is no cap on {case.category_name}.", seen, sources)
    if case.admitted.terms.priority == Priority.CRITICAL or went.is_test:
        who = "Test traffic is" if went.is_test else "Critical messages are"
        return passed("frequency_cap", f"{who} exempt from caps.", seen, sources)
    if went.capped is None:
        says = "Redis cannot be reached, so nobody knows what they have had: what people wait for goes on."
        return Check(gate="frequency_cap", verdict=Verdict.UNKNOWN, says=says, seen=seen, sources=tuple(sources))
    return passed("frequency_cap", "They have not had too many.", seen, sources)


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _had(went: Rehearsal, limits: Sequence[RateLimit]) -> dict[str, str]:
    used = {one.target: one.used for one in went.had or ()}
    return {
        limit.target or "All categories": f"{used.get(limit.target, '?')} of {limit.max} in {span(limit.per_seconds)}"
        for limit in limits
    }
