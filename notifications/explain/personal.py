"""The gates of one channel that are about the person and the message: what each said of a rehearsal, in words.

Each is a function of the same form, so that `BEFORE` and `AFTER` can list them in the order in which they are asked.
The verdict is always that of the code which decides for real; the rows are looked up to say why.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from core import ids
from notifications.choices import Channel, EventType, HoldReason, SkipReason, Strategy
from notifications.explain.cases import Case, passed, skipped
from notifications.explain.limits import frequency_cap, recipient_limit
from notifications.explain.verdicts import Check, Source, Store, Verdict
from notifications.explain.wording import day, listed, span
from notifications.services import quiet, routing
from notifications.services.rendering.segments import sms_segments
from notifications.strategies.telling import promise
from notifications.words import words
from preferences.models import MarketingStop

_CACHE = Source(Store.REDIS, "preference cache")


def preference(case: Case) -> Check:
    stop = _marketing_stop(case)
    word = None if stop else case.person.word(case.channel, case.category.id)
    stale = _stale(case, routing.preference)
    sources = [Source(Store.POSTGRESQL, "preferences_preference", str(word.pk))] if word else []
    seen = {"Cannot be opted out of": "yes" if case.category.is_required else "no"}
    if stop is not None:
        sources = [Source(Store.POSTGRESQL, "preferences_marketingstop", str(stop.pk))]
        seen[f"Said about all marketing by {case.label}"] = f"no, {day(stop.created_at)}"
    if word is not None:
        about = case.category_name if word.category_id else "everything"
        seen[f"Said about {about} by {case.label}"] = f"{'yes' if word.enabled else 'no'}, {day(word.updated_at)}"
    if routing.preference(case.reach, case.category, case.channel):
        about = f"{case.category_name} by" if word is None or word.category_id else "any message by"
        says = f"They said no to {'all marketing by' if stop else about} {case.label}."
        return skipped("preference", SkipReason.OPTED_OUT, says + stale, seen, sources or [_CACHE])
    if case.category.is_required:
        says = f"Nobody can opt out of {case.category_name}."
    elif word is not None and word.enabled:
        says = f"They said yes to {case.category_name if word.category_id else 'every category'} by {case.label}."
    else:
        says = f"They said nothing against {case.category_name} by {case.label}."
    sources = sources or [Source(Store.POSTGRESQL, "preferences_preference")]
    return passed("preference", says + stale, seen, [_CACHE, *sources] if case.went.cached else sources)


def _marketing_stop(case: Case) -> MarketingStop | None:
    """Their no to all marketing, where it decides: for marketing, and with no word on this category."""
    if not case.category.is_marketing or (case.channel, case.category.id) in case.person.words:
        return None
    return case.person.stops.get(case.channel)


def suppression(case: Case) -> Check:
    rows = case.person.suppressions.get(case.channel, ())
    stale = _stale(case, routing.suppression)
    sources = [Source(Store.POSTGRESQL, "preferences_suppression", str(row.pk)) for row in rows]
    if routing.suppression(case.reach, case.category, case.channel):
        seen = {}
        why = "may not be used"
        if rows:
            reasons = [str(row.get_reason_display()) for row in rows]
            said = listed([reason[:1].lower() + reason[1:] for reason in reasons])
            why = f"may not be used since {day(rows[0].created_at)}: {said}"
            seen = {"Reason": ", ".join(reasons), "Set by": ", ".join(row.source or "unknown" for row in rows)}
        return skipped("suppression", SkipReason.SUPPRESSED, f"The address {why}.{stale}", seen, sources or [_CACHE])
    says = "Nothing speaks against the address." if case.channel in (Channel.EMAIL, Channel.SMS) else (
        f"{case.label} has no addresses that could be suppressed."
    )  # fmt: skip
    return passed("suppression", says + stale, {}, sources or [Source(Store.POSTGRESQL, "preferences_suppression")])


def address(case: Case) -> Check:
    addresses = case.person.addresses(case.channel)
    stale = _stale(case, routing.address)
    retired = [device for device in case.person.devices if device.retired_at is not None]
    is_push = case.channel == Channel.PUSH
    seen = {"Reached at": listed(addresses)} if addresses else {}
    if is_push and retired:
        last = retired[0]
        seen["Retired devices"] = f"{len(retired)}, one on {day(last.retired_at)}: {words(last.retired_reason)}"
    table = "preferences_devicetoken" if is_push else "preferences_recipient"
    sources = [Source(Store.POSTGRESQL, table, "" if is_push else str(case.person.recipient.pk))]
    if routing.address(case.reach, case.category, case.channel):
        missing = {
            Channel.EMAIL: "They have no email address.",
            Channel.SMS: "They have no phone number.",
            Channel.PUSH: "They have no device that takes push messages.",
        }
        says = missing.get(Channel(case.channel), "They cannot be reached here.")
        return skipped("address", SkipReason.NO_ADDRESS, says + stale, seen, sources)
    says = f"There is an address: {listed(addresses)}." if addresses else "There is an address."
    return passed("address", says + stale, seen, sources)


def duplicate(case: Case) -> Check:
    went, window = case.went, case.category.dedup_seconds
    sources = [Source(Store.REDIS, "duplicate marks"), Source(Store.POSTGRESQL, "notifications_notification")]
    seen = {"Window": span(window) if window else "none"}
    if went.draft.dedup_key:
        seen["Key"] = went.draft.dedup_key
    if went.duplicate_of is not None:
        first = ids.uuid(went.duplicate_of)
        at = ids.made_at(went.duplicate_of)
        sources[1] = Source(Store.POSTGRESQL, "notifications_notification", str(first))
        says = f"The same was said to them on {day(at)}; within {span(window)} it is sent once."
        until = at + timedelta(seconds=window)
        return Check(
            gate="duplicate", verdict=Verdict.SKIP, says=says, code=SkipReason.DUPLICATE.value,
            seen={**seen, "First": str(first)}, sources=tuple(sources), until=until,
        )  # fmt: skip
    if went.is_said_now:
        says = "Somebody is saying the same to them at this very moment; who commits first is sent."
        return Check(gate="duplicate", verdict=Verdict.UNKNOWN, says=says, seen=seen, sources=tuple(sources))
    if not window:
        says = f"{case.category_name} is sent every time, also twice the same."
        return passed(
            "duplicate", says, seen, [Source(Store.POSTGRESQL, "preferences_category", str(case.category.id))]
        )
    if went.redis_away:
        says = "Redis cannot be reached: repeated wording is let through, and the caller's own key alone is looked for."
        return Check(gate="duplicate", verdict=Verdict.UNKNOWN, says=says, seen=seen, sources=tuple(sources))
    says = f"Nobody said the same to them within {span(window)}."
    return passed("duplicate", says, seen, sources)


def schedule(case: Case) -> Check:
    draft, now = case.went.draft, case.went.now
    sources = [Source(Store.REQUEST, "send_at"), Source(Store.REQUEST, "expires_at")]
    seen = {"Send at": _or(draft.send_at, "at once"), "Expires": _or(draft.expires_at, "never")}
    if draft.send_at is not None and draft.send_at > now:
        says = f"It waits for its time, {day(draft.send_at)}. What follows is as things stand now, and is asked then."
        return Check(
            gate="schedule", verdict=Verdict.HOLD, says=says, code="send_at", seen=seen, sources=tuple(sources),
            until=draft.send_at,
        )  # fmt: skip
    expires = f" It may leave until {day(draft.expires_at)}." if draft.expires_at else ""
    return passed("schedule", f"It is due at once.{expires}", seen, sources)


def strategy(case: Case) -> Check | None:
    """Whether another channel comes first. Told only where channels follow each other."""
    plan, draft, now = case.admitted.terms.plan, case.went.draft, case.went.now
    if plan is None:
        return None
    source = Source(Store.REQUEST, "strategy") if draft.strategy else Source(
        Store.POSTGRESQL, "preferences_category", str(case.category.id)
    )  # fmt: skip
    seen = {"Strategy": str(Strategy(plan.strategy).label)}
    if not case.turn:
        return passed("strategy", f"{case.label} comes first.", seen, [source])
    until = case.due
    says = promise(plan, case.channel, until, now)
    if draft.expires_at is not None and draft.expires_at <= until:
        says += f" It expires before that, on {day(draft.expires_at)}."
    return Check(
        gate="strategy", verdict=Verdict.HOLD, says=says,
        code=HoldReason.ITS_TURN.value, seen=seen, sources=(source,), until=until,
    )  # fmt: skip


def quiet_hours(case: Case) -> Check:
    category, person = case.category, case.person.recipient
    sources = [Source(Store.POSTGRESQL, "preferences_recipient", str(person.pk))]
    hours = case.reach.quiet
    if hours is None:
        says = "They want no quiet hours." if person.quiet_never else "They have no quiet hours."
        return passed("quiet_hours", says, {}, sources)
    if person.quiet_start is None:
        sources = [Source(Store.SETTINGS, "QUIET_HOURS")]
    seen = {"Quiet hours": str(hours)}
    if case.channel == quiet.SILENT:
        return passed("quiet_hours", "The feed makes no noise.", seen, sources)
    if not quiet.waits(category, case.admitted.terms.priority, is_test=case.went.is_test):
        who = "Test traffic does" if case.went.is_test else (
            "Critical messages do" if category.waits_for_quiet_hours else f"{case.category_name} does"
        )  # fmt: skip
        return passed("quiet_hours", f"{who} not wait for quiet hours.", seen, sources)
    held = quiet.hold(hours, case.due, case.went.draft.expires_at, 0.0)
    if held is None:
        return passed("quiet_hours", "It is not quiet for them when it is due.", seen, sources)
    if held.skip:
        says = f"{held.says}: it is not sent."
        return skipped("quiet_hours", SkipReason.EXPIRED, says, seen, sources)
    return Check(
        gate="quiet_hours", verdict=Verdict.HOLD, says=f"{held.says}. It waits; no attempt is used up.",
        code=quiet.QUIET, seen=seen, sources=tuple(sources), until=held.until,
    )  # fmt: skip


#: Told by gates of their own.
_COUNTED = frozenset({SkipReason.RATE_LIMITED, SkipReason.FREQUENCY_CAPPED})


def recheck(case: Case) -> Check | None:
    """What the claim finds that acceptance did not know. Told only where it finds something."""
    result = case.trial.result
    if result is None or result.type is not EventType.SKIPPED or result.code in _COUNTED:
        return None
    says = f"Looked at again before sending, from PostgreSQL: {words(result.code)}"
    sources = [Source(Store.POSTGRESQL, "preferences_recipient", str(case.person.recipient.pk))]
    return skipped("recheck", SkipReason(result.code), says, {}, sources)


def wording(case: Case) -> Check:
    """Whether it can be put into words for them."""
    template = case.admitted.terms.template
    source = Source(Store.REQUEST, "content")
    if template is not None:
        source = Source(Store.POSTGRESQL, "notifications_templateversion", str(template.version_id))
    if case.trial.fault:
        says = f"It cannot be put into words: {case.trial.fault.rstrip('.')}."
        return Check(
            gate="wording", verdict=Verdict.REFUSE, says=says, code="render_error",
            seen={"Locale": case.person.recipient.locale or "none"}, sources=(source,),
        )  # fmt: skip
    content = case.trial.content or {}
    seen = {name: f"{len(text):,} characters" for name, text in content.items()}
    if case.channel == Channel.SMS and "body" in content:
        parts = sms_segments(content["body"])
        seen["SMS"] = f"{parts.segments} segment{'s' if parts.segments != 1 else ''}, {parts.encoding.label}"
    return passed("wording", f"It can be put into words for {case.label}.", seen, [source])


#: Of these all are told, whichever refuses: whoever mends one wants to know of the next.
ROUTING: Sequence[Callable[[Case], Check | None]] = (preference, suppression, address)
#: What acceptance asks, in its order; and what a worker asks of what it has taken up.
BEFORE = (*ROUTING, duplicate, schedule, strategy, quiet_hours)
AFTER = (recheck, recipient_limit, frequency_cap, wording)


def _stale(case: Case, gate: routing.Gate) -> str:
    """A word on a cache that says something else than PostgreSQL."""
    fresh = case.went.fresh
    if fresh is None or gate(fresh, case.category, case.channel) == gate(case.reach, case.category, case.channel):
        return ""
    return " This is what the preference cache says; PostgreSQL says otherwise since a moment ago."


def _or(at: datetime | None, otherwise: str) -> str:
    return otherwise if at is None else day(at)
