"""The last look before sending: what came after acceptance, and what a person has had enough of."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from core import ids, redis
from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications.choices import EventType, HoldReason, Priority, SkipReason
from notifications.digests.sources import SOURCE as DIGEST
from notifications.digests.sources import carried
from notifications.services.caps import Cap, CapAsk, FrequencyCaps
from notifications.services.claims import Claim, Result
from notifications.services.holds import holds
from notifications.services.quiet import held_back
from notifications.services.rate_limiter import RateLimiter, RecipientAsk
from notifications.services.routing import refusal
from notifications.strategies import turns
from preferences.services import LOOK_BACK_SECONDS, CategoryInfo, PreferencesService

#: How long marketing waits when the limits cannot be checked, in seconds, before it asks again; twice as long each
#: time, up to settings.RETRY_CAP_SECONDS. Every time is a claim and an event: a million held for an hour would be 120
#: million of both.
REDIS_AWAY_SECONDS = 30.0

#: The same for a digest while something is taken out of it, which takes a campaign's cancel seconds to minutes.
TAKING_BACK_SECONDS = 5.0

_CRITICAL = Priority.CRITICAL.value


class Gates:
    """Decides from PostgreSQL alone who may not get a message any more; counts in Redis how much a person has had.

    A person's limit is asked here and not at acceptance: only what is on the record and about to leave counts, so
    neither a rollback nor a cancel uses it up. Without Redis transactional messages go on, marketing waits.
    """

    def __init__(self, preferences: PreferencesService, limiter: RateLimiter) -> None:
        self.preferences = preferences
        self.limiter = limiter
        self.caps = FrequencyCaps(limiter)

    def check(self, claims: Sequence[Claim], *, mind_time: bool = True) -> tuple[list[Result], list[Claim]]:
        """The results of those that go no further, and the claims that do. Unless `mind_time`, neither a time to send
        that is yet to come nor quiet hours hold anything."""
        categories = self.preferences.categories_by_id({claim.category_id for claim in claims})
        refused = self._refused(claims, categories)
        cancelled = holds.cancelled()
        partly = _partly(claims, cancelled) if cancelled and mind_time else {}
        results: list[Result] = []
        passed: list[Claim] = []
        for claim in claims:
            if claim.cancelled or not claim.recipient_known or claim.source in cancelled:
                reason = SkipReason.CANCELLED.value
            elif claim.expired:
                reason = SkipReason.EXPIRED.value
            elif claim.id in refused:
                reason = refused[claim.id]
            elif not claim.address:
                reason = SkipReason.NO_ADDRESS.value
            elif claim.early and mind_time:  # a row of the outbox was lost, and another took its place
                wait = (claim.wanted_at - claim.claimed_at).total_seconds()
                results.append(Result(claim, EventType.HELD, code=HoldReason.NOT_YET.value, retry_in=wait))
                continue
            elif claim.notification_id in partly:
                results.append(_waiting(claim, HoldReason.TAKING_BACK, TAKING_BACK_SECONDS))
                continue
            else:
                passed.append(claim)
                continue
            results.append(Result(claim, EventType.SKIPPED, code=reason))
        if stopped := turns.check(passed, categories):
            results += stopped.values()
            passed = [claim for claim in passed if claim.id not in stopped]
        if mind_time and (held := held_back(passed, categories)):
            results += held.values()
            passed = [claim for claim in passed if claim.id not in held]
        stopped = self._stopped(passed, categories)
        if stopped:
            results += stopped.values()
            passed = [claim for claim in passed if claim.id not in stopped]
        return results, passed

    def _refused(self, claims: Sequence[Claim], categories: Mapping[int, CategoryInfo]) -> dict[Key, str]:
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
        fresh = self.preferences.reach_fresh(list({ids.uuid(claim.recipient_id) for claim in changed}))
        refused: dict[Key, str] = {}
        for claim in changed:
            reach, category = fresh.get(ids.uuid(claim.recipient_id)), categories.get(claim.category_id)
            if reach is not None and category is not None and (reason := refusal(reach, category, claim.channel)):
                refused[claim.id] = reason
        return refused

    def _stopped(self, claims: Sequence[Claim], categories: Mapping[int, CategoryInfo]) -> dict[Key, Result]:
        """Whom a limit stops, and whom nobody can count. Critical messages and test traffic are exempt."""
        counted = [
            claim
            for claim in claims
            if claim.priority != _CRITICAL and not claim.is_test and claim.category_id in categories
        ]
        # Always looked at: the limits are then known to this process before a provider's is asked, past all waiting.
        are_limited = self.limiter.limits_people()
        marketing = {id for id, category in categories.items() if category.is_marketing}
        uncounted = any(claim.category_id in marketing for claim in counted) and not redis.writable()
        stopped: dict[Key, Result] = {}
        if are_limited or uncounted:
            stopped = self._limited(counted, categories, marketing, uncounted=uncounted)
        if not uncounted and self.caps.exist([categories[id] for id in {claim.category_id for claim in counted}]):
            free = [claim for claim in counted if claim.id not in stopped]
            stopped |= self._capped(free, categories, marketing)
        return stopped

    def _limited(
        self,
        counted: Sequence[Claim],
        categories: Mapping[int, CategoryInfo],
        marketing: Collection[int],
        *,
        uncounted: bool,
    ) -> dict[Key, Result]:
        asks = [RecipientAsk(c.recipient_id, categories[c.category_id].slug, c.notification_id) for c in counted]
        stopped: dict[Key, Result] = {}
        for claim, verdict in zip(counted, self.limiter.recipients(asks), strict=True):
            if verdict is False:
                stopped[claim.id] = Result(claim, EventType.SKIPPED, code=SkipReason.RATE_LIMITED.value)
            elif claim.category_id in marketing and (uncounted or verdict is None):
                stopped[claim.id] = _uncounted(claim)
        return stopped

    def _capped(
        self, claims: Sequence[Claim], categories: Mapping[int, CategoryInfo], marketing: Collection[int]
    ) -> dict[Key, Result]:
        """Whom a frequency cap stops."""
        if not claims:
            return {}
        asks = [CapAsk(claim.recipient_id, claim.category_id, claim.notification_id) for claim in claims]
        stopped: dict[Key, Result] = {}
        for claim, cap in zip(claims, self.caps.refusals(asks, categories, claims[0].claimed_at), strict=True):
            if isinstance(cap, Cap):
                code = SkipReason.FREQUENCY_CAPPED.value
                stopped[claim.id] = Result(claim, EventType.SKIPPED, code=code, detail=f"At most {cap}")
            elif cap is None and claim.category_id in marketing:
                stopped[claim.id] = _uncounted(claim)
        return stopped


def _partly(claims: Sequence[Claim], cancelled: Collection[str]) -> Mapping[Key, str]:
    """Of digests those with something of a cancelled source, which is about to be taken out of them."""
    digests = {claim.notification_id for claim in claims if claim.source.startswith(DIGEST)}
    if not digests:
        return {}
    with transaction.atomic(), direct_cursor() as cursor:
        return carried(cursor, digests, cancelled)


def _uncounted(claim: Claim) -> Result:
    """Nobody can tell what its recipient had."""
    return _waiting(claim, HoldReason.REDIS_AWAY, REDIS_AWAY_SECONDS)


def _waiting(claim: Claim, reason: HoldReason, seconds: float) -> Result:
    """Asked again after so long, and twice as long each time."""
    wait = min(settings.RETRY_CAP_SECONDS, seconds * 2.0 ** min(claim.holds, 32))
    return Result(claim, EventType.HELD, code=reason.value, retry_in=wait)
