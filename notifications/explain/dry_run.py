"""What would become of a draft if it were sent now: a rehearsal, told gate by gate and in one sentence."""

from collections.abc import Sequence
from dataclasses import replace

from notifications.choices import Channel
from notifications.drafts import Draft
from notifications.explain import facts
from notifications.explain.cases import Case
from notifications.explain.chains import provider_checks, room
from notifications.explain.digests import digest
from notifications.explain.facts import Person
from notifications.explain.personal import AFTER, BEFORE, ROUTING, schedule
from notifications.explain.rehearsal import Rehearsal, rehearse
from notifications.explain.verdicts import Check, Explanation, Source, Store, Verdict, Way
from notifications.explain.wording import day, listed, span
from notifications.services.admission import Admitted, Terms
from notifications.services.providers import Standing, overview
from preferences.models import Category

#: What a draft's faults are about, by where they point.
_ABOUT = {"/recipient": "recipient", "/category": "category"}
#: In the order they are asked.
_WAITS = BEFORE.index(schedule)
_GATES = (*BEFORE[:_WAITS], digest, *BEFORE[_WAITS:], room, *AFTER)
_NOT_ACCEPTED = "It would not be accepted"
_ENDS = (Verdict.SKIP, Verdict.REFUSE)
_TIMED = frozenset({"schedule", "strategy", "quiet_hours"})


def explain(draft: Draft, *, source: str, is_test: bool = False) -> Explanation:
    """What each gate says of a draft at this moment, channel by channel. Nothing is sent, written or used up.

    The verdicts are those of the code that sends (see `rehearsal`). Between this answer and a real send the world may
    move: what a hold or a limit says holds for the moment `at`. Raises django.db.Error without PostgreSQL.
    """
    went = rehearse(draft, source=source, is_test=is_test)
    person = facts.person(draft.recipient) if went.admitted else None
    checks = _whole(went, person)
    ways: tuple[Way, ...] = ()
    if went.admitted is not None and person is not None:
        ways = tuple(_ways(went, went.admitted, person))
    outcome, says = _summary(went, checks, ways)
    return Explanation(at=went.now, outcome=outcome, says=says, is_test=is_test, checks=checks, ways=ways)


def _ways(went: Rehearsal, admitted: Admitted, person: Person) -> list[Way]:
    rules = facts.rules()
    standings = {one.name: one for chain in overview().chains for one in chain.providers}
    category = admitted.terms.category
    name = Category.objects.filter(pk=category.id).values_list("name", flat=True).first() or category.slug
    cases = [Case(went, trial, person, rules, admitted, name) for trial in went.trials.values()]
    if admitted.terms.plan is not None:
        found = {case.channel: digest(case) for case in cases if case.trial.claims}
        gathered = frozenset(channel for channel, check in found.items() if check and check.verdict is Verdict.SKIP)
        cases = [replace(case, gathered=gathered) for case in cases]
    return [_way(case, standings) for case in cases]


def _way(case: Case, standings: dict[str, Standing]) -> Way:
    """The gates in order, up to the one that ends it; what merely waits is told to its end."""
    checks: list[Check] = []
    for gate in _GATES:
        if gate not in ROUTING and any(check.verdict in _ENDS for check in checks):
            break
        if (check := gate(case)) is not None:
            checks.append(check)
    if not any(check.verdict in _ENDS for check in checks):
        checks += provider_checks(case, standings)
    decides = _deciding(checks)
    last = checks[-1]
    return Way(
        channel=case.channel,
        outcome=decides.verdict if decides else Verdict.PASS,
        code=decides.code if decides else "",
        says=decides.says if decides else last.says,
        addresses=tuple(case.person.addresses(case.channel)),
        provider=last.provider,
        until=decides.until if decides else None,
        checks=tuple(checks),
    )


def _deciding(checks: Sequence[Check]) -> Check | None:
    """The gate at which it ends or waits; None when it goes through. What cannot be told stops nothing, and of the
    providers only the whole chain does. Of what its time decides, which is known beforehand, the last to let it go."""
    stops = [check for check in checks if check.verdict in (*_ENDS, Verdict.HOLD) and check.gate != "provider"]
    timed = [check for check in stops if check.gate in _TIMED]
    if timed and stops[0] is timed[0]:
        ended = next((check for check in timed if check.verdict in _ENDS), None)
        return ended or max(timed, key=lambda check: (check.until is not None, check.until))
    return stops[0] if stops else None


def _whole(went: Rehearsal, person: Person | None) -> tuple[Check, ...]:
    """The gates that a draft passes before it is looked at channel by channel."""
    faults = [
        Check(
            gate=_ABOUT.get(fault.pointer, "request"), verdict=Verdict.REFUSE, says=fault.message, code=fault.code,
            seen={"At": fault.pointer} if fault.pointer else {}, sources=(Source(Store.REQUEST, fault.pointer),),
        )
        for fault in went.faults
    ]  # fmt: skip
    if faults or went.admitted is None or person is None:
        return (*_capacity(went), *faults)
    return (*_capacity(went), _recipient(went, person), _category(went.admitted.terms), _content(went.admitted))


def _capacity(went: Rehearsal) -> list[Check]:
    if not went.overloaded:
        return []
    return [
        Check(
            gate="capacity", verdict=Verdict.REFUSE, says=went.overloaded, code="overloaded",
            sources=(Source(Store.SETTINGS, "OUTBOX_MAX_ROWS"), Source(Store.POSTGRESQL, "notifications_outbox")),
        )
    ]  # fmt: skip


def _recipient(went: Rehearsal, person: Person) -> Check:
    one = person.recipient
    sources = [Source(Store.POSTGRESQL, "preferences_recipient", str(one.pk))]
    if went.cached:
        sources.insert(0, Source(Store.REDIS, "preference cache"))
    changed = {"Preferences changed": day(one.preferences_changed_at)} if one.preferences_changed_at else {}
    return Check(
        gate="recipient", verdict=Verdict.PASS, says=f"{one.external_id} is known.", sources=tuple(sources),
        seen={"Locale": one.locale or "none", "Time zone": one.timezone, **changed},
    )  # fmt: skip


def _category(terms: Terms) -> Check:
    category = terms.category
    return Check(
        gate="category",
        verdict=Verdict.PASS,
        says=f"It goes to {_labels(terms.channels)}, with {terms.priority} priority.",
        seen={
            "Category": category.slug,
            "Its channels": _labels(category.channels),
            "Its priority": category.default_priority,
            "Purpose": "marketing" if category.is_marketing else "transactional",
            "Cannot be opted out of": "yes" if category.is_required else "no",
            "Duplicates within": span(category.dedup_seconds) if category.dedup_seconds else "sent every time",
        },
        sources=(Source(Store.POSTGRESQL, "preferences_category", str(category.id)),),
    )


def _content(admitted: Admitted) -> Check:
    template = admitted.terms.template
    if template is None:
        says, source = "Its wording comes with it.", Source(Store.REQUEST, "content")
        return Check(gate="content", verdict=Verdict.PASS, says=says, sources=(source,))
    return Check(
        gate="content",
        verdict=Verdict.PASS,
        says=f"The template {admitted.draft.template} is published.",
        seen={"Says something for": _labels(sorted(template.channels)), "Default locale": template.default_locale},
        sources=(Source(Store.POSTGRESQL, "notifications_templateversion", str(template.version_id)),),
    )


def _summary(went: Rehearsal, checks: Sequence[Check], ways: Sequence[Way]) -> tuple[Verdict, str]:
    refused = [check for check in checks if check.verdict is Verdict.REFUSE]
    if refused:
        return Verdict.REFUSE, f"{_NOT_ACCEPTED}: {' '.join(check.says for check in refused)}"
    by_outcome: dict[Verdict, list[Way]] = {}
    for way in ways:
        by_outcome.setdefault(way.outcome, []).append(way)
    sentences: list[str] = []
    if going := by_outcome.get(Verdict.PASS):
        sentences.append(f"It goes out now by {_labels([way.channel for way in going])}.")
    for outcome, start in _STARTS.items():
        for says, channels in _alike(by_outcome.get(outcome, ())).items():
            sentences.append(f"{start.format(_labels(channels))}: {says}")
    order = (Verdict.PASS, Verdict.HOLD, Verdict.SKIP, Verdict.REFUSE)
    return next(one for one in order if one in by_outcome), " ".join(sentences)


_STARTS = {
    Verdict.HOLD: "It waits for {}",
    Verdict.SKIP: "It is not sent by {}",
    Verdict.REFUSE: "It fails for {}",
}


def _alike(ways: Sequence[Way]) -> dict[str, list[str]]:
    """Channels by what is said of them."""
    found: dict[str, list[str]] = {}
    for way in ways:
        found.setdefault(way.says, []).append(way.channel)
    return found


def _labels(channels: Sequence[str]) -> str:
    return listed([str(Channel(channel).label) for channel in channels])
