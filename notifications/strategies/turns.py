"""Whose turn it is: asked of what a worker has claimed, and told when a step has ended in vain."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications import bulk
from notifications.choices import EventType, HoldReason, SkipReason, Status
from notifications.models.outbox import MAX_DELIVERIES
from notifications.services import tracking_sql as sql
from notifications.services.claims import Claim, Result
from notifications.services.quiet import waits
from notifications.strategies import standing
from notifications.strategies.deciding import Decision, Times, decide, is_hopeless
from notifications.strategies.lulls import Lull, lull_between
from notifications.strategies.plan import Plan
from notifications.strategies.standing import Standing
from notifications.strategies.telling import says
from preferences.services import CategoryInfo, quiet_of

#: Ways to end without having reached anybody.
_IN_VAIN = frozenset({EventType.FAILED, EventType.DEAD, EventType.BOUNCED, EventType.SKIPPED})
#: Ends of everything, or of what is not needed: nothing is to follow.
_NOTHING_FOLLOWS = frozenset({SkipReason.NOT_NEEDED.value, SkipReason.CANCELLED.value})


def check(claims: Sequence[Claim], categories: Mapping[int, CategoryInfo]) -> dict[Key, Result]:
    """Which of these are not sent, or not yet. Costs nothing where none has a plan; two queries for a batch with any.
    Raises django.db.Error."""
    planned = [(claim, claim.plan) for claim in claims if claim.plan is not None]
    if not planned:
        return {}
    # The first step of an escalation goes out whatever happens.
    asking = [(claim, plan) for claim, plan in planned if plan.is_first or plan.position(claim.channel)]
    if not asking:
        return {}
    with direct_cursor() as cursor:
        found = standing.of(cursor, {claim.notification_id for claim, _ in asking}, [claim.id for claim, _ in asking])
    inbox = standing.inbox([leg for one in found.values() for leg in one.legs])
    stopped: dict[Key, Result] = {}
    for claim, plan in asking:
        legs = found[claim.notification_id].legs
        times = Times(claim.wanted_at, claim.claimed_at, _lull(claim, categories), claim.holds)
        decision = decide(plan, claim.channel, legs, inbox, times)
        if (result := _result(claim, decision, claim.claimed_at)) is not None:
            stopped[claim.id] = result
    _mark_known(stopped)
    return stopped


def _mark_known(stopped: dict[Key, Result]) -> None:
    """A step that still waits for its turn does not say so at each look: one event, until another comes between. Costs
    a query where any was held before."""
    again = [id for id, result in stopped.items() if result.type is EventType.HELD and result.claim.holds]
    if not again:
        return
    with direct_cursor() as cursor:
        cursor.execute(sql.LAST_EVENTS, [KeyArray.of(again), sql.since(again)])
        for id, type, code in cursor.fetchall():
            if (type, code) == (EventType.HELD.value, HoldReason.ITS_TURN.value):
                stopped[id] = msgspec.structs.replace(stopped[id], is_known=True)


def _lull(claim: Claim, categories: Mapping[int, CategoryInfo]) -> Lull | None:
    category = categories.get(claim.category_id)
    if category is None or not waits(category, claim.priority, is_test=claim.is_test):
        return None
    hours = quiet_of(claim.quiet_start, claim.quiet_end, claim.timezone, never=claim.quiet_never)
    return lull_between(hours, claim.wanted_at, claim.claimed_at)


def _result(claim: Claim, decision: Decision, now: datetime) -> Result | None:
    if decision.found is not None:
        return Result(claim, EventType.SKIPPED, code=SkipReason.NOT_NEEDED.value, detail=says(decision.found))
    if decision.until is not None:
        wait = (decision.until - now).total_seconds()
        return Result(claim, EventType.HELD, code=HoldReason.ITS_TURN.value, retry_in=max(0.0, wait))
    return None


def after_results(cursor: CursorWrapper, news: Sequence[Result]) -> None:
    """What ended in vain among results that are being recorded makes its next step due, in this transaction."""
    ended = {
        r.claim.notification_id: (r.claim.plan, r.claim.id)
        for r in news
        if r.claim.plan is not None and is_in_vain(r.type, r.code)
    }
    if ended:
        _bring_forward(cursor, {n: plan for n, (plan, _) in ended.items()}, [id for _, id in ended.values()])


def after(cursor: CursorWrapper, type: EventType, ended: Mapping[Key, Key]) -> None:
    """The same for deliveries (notification -> one of its deliveries) whose notifications are known to have a plan."""
    if ended and type in _IN_VAIN:
        _bring_forward(cursor, standing.plans(cursor, ended), list(ended.values()))


def is_in_vain(type: EventType, code: str) -> bool:
    return type in _IN_VAIN and code not in _NOTHING_FOLLOWS


def _bring_forward(cursor: CursorWrapper, plans: Mapping[Key, Plan], deliveries: Collection[Key]) -> None:
    """A row of the outbox, due now, for each next step that nothing before can make unnecessary any more. The row that
    waits for its time does no harm: the claim takes a delivery once. Two steps that end in the same moment, in two
    transactions that do not see each other, bring nothing forward; what follows them then goes out at its own time.
    """
    if not plans:
        return
    schedule = bulk.Schedule(MAX_DELIVERIES)
    for notification, found in standing.of(cursor, plans, deliveries).items():
        for channel, id in _next(plans[notification], found):
            schedule.add(channel, found.priority, id)
    schedule.write()


def _next(plan: Plan, found: Standing) -> list[tuple[str, Key]]:
    for position, step in enumerate(plan.steps):
        legs = [leg for leg in found.legs if leg.channel == step.channel]
        if is_hopeless({step.channel}, legs):
            continue
        waiting = [leg for leg in legs if leg.status == Status.QUEUED and not leg.tries]
        return [(leg.channel, leg.id) for leg in waiting] if position else []
    return []
