"""What waits because it is quiet for its recipient, and until when.

Asked twice. At acceptance, so that what comes at night lies in the outbox until the morning and costs no claim; of what
has a later `send_at`, for that moment. And at the claim, with the window and zone that the person has by then and by
the database's clock: for who changed them, and for what a retry or a backlog made late. What is held goes out when the
hold ends that it was given, also if its recipient takes the quiet hours back meanwhile.

Critical messages and test traffic do not wait, nor do categories that say so; the feed makes no noise.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from django.conf import settings

from core.ids import Key
from notifications.choices import Channel, EventType, HoldReason, Priority, SkipReason
from notifications.services.claims import Claim, Result
from preferences.quiet_hours import QuietHours, quiet_until, told
from preferences.services import CategoryInfo, quiet_of
from preferences.services.quiet import of_everybody

QUIET = HoldReason.QUIET_HOURS.value
SILENT = Channel.IN_APP.value
_CRITICAL = Priority.CRITICAL.value


class Quiet(NamedTuple):
    """It is quiet `until` then. It is due at `due_at`, some of the spread later; unless `skip`, a SkipReason, says that
    it would have expired. `says` is all of it in words."""

    until: datetime
    due_at: datetime
    says: str
    skip: str = ""


def waits(category: CategoryInfo, priority: str, *, is_test: bool) -> bool:
    """Whether such messages wait for quiet hours at all."""
    return category.waits_for_quiet_hours and priority != _CRITICAL and not is_test


def share() -> float:
    """Which part of the spread a batch takes. One for all of it: each moment of the outbox is a row of its own, and
    the batches of a big campaign are many enough to fill the spread."""
    return random.random()


def hold(hours: QuietHours, at: datetime, expires_at: datetime | None, share: float) -> Quiet | None:
    """What becomes of a message that would leave at `at`; None when it may. `share` in [0, 1) picks the point in
    settings.QUIET_HOURS_SPREAD_SECONDS, and never one at which it has expired."""
    until = quiet_until(hours, at)
    if until is None:
        return None
    says = told(until, hours.timezone)
    if expires_at is not None and expires_at <= until:
        return Quiet(until, until, f"{says}, and it expires before", SkipReason.EXPIRED.value)
    spread = timedelta(seconds=settings.QUIET_HOURS_SPREAD_SECONDS)
    if expires_at is not None:
        spread = min(spread, (expires_at - until) / 2)
    return Quiet(until, until + share * spread, says)


def held_back(claims: Sequence[Claim], categories: Mapping[int, CategoryInfo]) -> dict[Key, Result]:
    """The results of those that may not leave now. Whoever has no quiet hours costs a look at one field."""
    asked = claims if of_everybody() is not None else [claim for claim in claims if claim.quiet_start is not None]
    if not asked:
        return {}
    now, part = max(claim.claimed_at for claim in asked), share()
    results = ((claim, _result(claim, categories, now, part)) for claim in asked if claim.channel != SILENT)
    return {claim.id: result for claim, result in results if result is not None}


def _result(claim: Claim, categories: Mapping[int, CategoryInfo], now: datetime, part: float) -> Result | None:
    category = categories.get(claim.category_id)
    hours = quiet_of(claim.quiet_start, claim.quiet_end, claim.timezone, never=claim.quiet_never)
    if hours is None or category is None or not waits(category, claim.priority, is_test=claim.is_test):
        return None
    quiet = hold(hours, now, claim.expires_at, part)
    if quiet is None:
        _count_from_the_end(claim, hours)
        return None
    if quiet.skip:
        return Result(claim, EventType.SKIPPED, code=quiet.skip, detail=quiet.says)
    wait = ceil((quiet.due_at - now).total_seconds())
    return Result(claim, EventType.HELD, code=QUIET, detail=quiet.says, retry_in=float(wait))


def _count_from_the_end(claim: Claim, hours: QuietHours) -> None:
    """What was wanted while it was quiet is late only beyond the spread after that."""
    until = quiet_until(hours, claim.wanted_at)
    if until is not None:
        claim.wanted_at = min(claim.claimed_at, until + timedelta(seconds=settings.QUIET_HOURS_SPREAD_SECONDS))
