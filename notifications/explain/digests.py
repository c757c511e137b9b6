"""The gate at which a message waits for a digest: what acceptance would do with it, or did."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from notifications.choices import Priority, SkipReason
from notifications.digests.moments import closes_at
from notifications.digests.sources import SOURCE
from notifications.explain.cases import Case
from notifications.explain.verdicts import Check, Source, Store, Verdict
from notifications.explain.wording import day
from notifications.models import Digest, DigestState
from notifications.services.acceptance import digest_in
from preferences.digesting import DigestRule, rule_of
from preferences.digesting.wording import how_often
from preferences.quiet_hours import zone


def digest(case: Case) -> Check | None:
    """Whether it would be gathered. Not told where nothing gathers."""
    rule = rule_of(case.reach, case.category)
    if rule is None or case.channel not in rule.channels:
        return None
    sources = (
        Source(Store.POSTGRESQL, "preferences_digestchoice" if case.reach.digests else "preferences_category"),
        Source(Store.POSTGRESQL, "notifications_digest"),
    )
    seen = {"Gathered": how_often(rule)}
    if says := _goes_at_once(case):
        return Check(gate="digest", verdict=Verdict.PASS, says=says, seen=seen, sources=sources)
    waiting = _open(case)
    if waiting is None and rule.first_at_once:
        says = "It is the first of its kind for a while: it goes at once, and what follows is gathered."
        return Check(gate="digest", verdict=Verdict.PASS, says=says, seen=seen, sources=sources)
    until = _closes_at(case, rule, waiting)
    if waiting:
        seen["Waits with"] = f"{waiting.count:,} others" if waiting.count != 1 else "1 other"
    says = f"It would be gathered into a digest that is sent on {day(until)}."
    expires_at = case.went.draft.expires_at
    if expires_at is not None and expires_at <= until:
        says += f" It expires before that, on {day(expires_at)}, and would be left out."
    return Check(
        gate="digest", verdict=Verdict.SKIP, says=says, code=SkipReason.DIGESTED.value, seen=seen, sources=sources,
        until=until,
    )  # fmt: skip


def told(details: Iterable[str], expires_at: datetime | None) -> str:
    """Of a delivery's events: into which digest it went, and when that leaves or left; or that it was left out, as it
    had expired by then."""
    id = digest_in(details)
    found = Digest.objects.filter(pk=id).first() if id is not None else None
    if found is None:
        return ""
    if found.state == DigestState.OPEN:
        return f" It leaves on {day(found.closes_at)}."
    if expires_at is not None and found.closed_at is not None and expires_at <= found.closed_at:
        return f" It had expired on {day(expires_at)}, before that left, and was left out."
    if found.notification_id is None:
        return " There was nothing left to send of it."
    return f" It left on {day(found.closed_at)} as {found.notification_id}."


def _goes_at_once(case: Case) -> str:
    draft, now = case.went.draft, case.went.now
    if case.admitted.terms.priority == Priority.CRITICAL:
        return "A critical message never waits for a digest."
    if draft.send_at is not None and draft.send_at > now:
        return "It has a time of its own and does not wait for a digest."
    return "It is a digest itself." if case.went.source.startswith(SOURCE) else ""


def _open(case: Case) -> Digest | None:
    return Digest.objects.filter(
        recipient_id=UUID(bytes=case.reach.id), category_id=case.category.id, key=case.went.draft.digest_key,
        is_test=case.went.is_test, state=DigestState.OPEN,
    ).first()  # fmt: skip


def _closes_at(case: Case, rule: DigestRule, waiting: Digest | None) -> datetime:
    """When the digest would leave with this in it: a sliding window goes on."""
    alone, latest = closes_at(rule, case.went.now, zone(case.person.recipient.timezone))
    if waiting is None:
        return alone
    if latest is None or waiting.latest_at is None:
        return waiting.closes_at
    return max(waiting.closes_at, min(alone, waiting.latest_at))
