"""Frequency caps: how many notifications of a category, and of all marketing, a person gets in a day and in a week.

Counted as the limits of people are: exactly, one by one, once for all channels and retries, when it is about to leave,
in Redis and in one round trip for a batch. But no flush of Redis forgets them: a log that is not there is made from the
record first, by one query for all of the batch, and a log that is there says so by its own mark. Without Redis
marketing waits, and what people wait for goes on.

Required categories, critical messages and test traffic are exempt. Where no cap is set nobody is asked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from core import ids, redis
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.choices import Priority
from notifications.models.limits import CAP_SPANS, LimitScope
from notifications.services import limit_scripts
from notifications.services.limits import limit_cache
from notifications.services.rate_limiter import RateLimiter
from preferences.services import CategoryInfo

DAY, WEEK = CAP_SPANS["day"], CAP_SPANS["week"]
_NAMES = {DAY: "a day", WEEK: "a week"}
#: How far before now a notification was accepted that is looked for on the record: the longest cap, and as much again
#: for what was scheduled or held. What a campaign sends carries the moment at which that started. To look further would
#: cost each of these people a search of every week more; what waited for longer than a week before it left is not
#: counted after a flush, and only then.
LOOK_BACK = timedelta(days=14)

#: What left of these people's, or may be leaving at this moment (false), and microseconds since. Parameters: people,
#: the lowest id, categories, notifications that are asked about.
_LEFT = f"""
    SELECT n.recipient_id, n.id, n.category_id, bool_or(d.status <> 'sending'),
           (extract(epoch FROM now() - coalesce(min(d.sent_at), now())) * 1000000)::bigint
      FROM notifications_notification n JOIN notifications_delivery d ON d.notification_id = n.id AND d.id >= $2
     WHERE n.recipient_id = ANY($1::uuid[]) AND n.id >= $2 AND n.category_id = ANY($3::int[])
       AND NOT n.is_test AND n.priority <> '{Priority.CRITICAL.value}' AND NOT n.id = ANY($4::uuid[])
       AND (d.status IN ('sending', 'sent', 'delivered', 'bounced') OR d.status = 'queued' AND d.attempts > d.holds)
     GROUP BY n.recipient_id, n.id, n.category_id
"""


class Cap(NamedTuple):
    """At most `max` in `seconds`: of a category, or (None) of all marketing together."""

    category_id: int | None
    max: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.max:,} in {_NAMES[self.seconds]}{'' if self.category_id else ' of all marketing'}"


class CapAsk(NamedTuple):
    """May this notification go to this person?"""

    recipient_id: Key
    category_id: int
    notification_id: Key


class Used(NamedTuple):
    """Of a cap: how much counts now, and in how many seconds one more has room."""

    cap: Cap
    used: int
    wait: float


class _Left(NamedTuple):
    """On the record: a notification that left so many microseconds ago, or (not `surely`) is in a worker's hands."""

    notification_id: Key
    category_id: int
    surely: bool
    age: int


class FrequencyCaps:
    """Asks the limiter's Redis; one that is looking uses nothing up and writes nothing."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    def exist(self, categories: Iterable[CategoryInfo]) -> bool:
        """Whether any cap concerns any of these."""
        overall = _overall()
        return any(_caps(category, overall) for category in categories)

    def refusals(
        self, asks: Sequence[CapAsk], categories: Mapping[int, CategoryInfo], now: datetime
    ) -> list[Cap | bool | None]:
        """Per ask the cap that is used up; False when it may go (and then it counts), None when Redis is away."""
        overall = _overall()
        caps = {id: _caps(category, overall) for id, category in categories.items()}
        answers: dict[int, Cap | bool | None] = dict.fromkeys(range(len(asks)), False)
        wanted = [n for n in answers if caps[asks[n].category_id]]
        unknown = self._answer(asks, wanted, caps, answers)
        if unknown:
            record = _record([asks[n] for n in unknown], asks, categories, now)
            if self._limiter.is_looking:
                answers |= {n: _full(asks[n], caps, record, categories) for n in unknown}
            elif self._seed([asks[n] for n in unknown], caps, record, categories):
                self._answer(asks, unknown, caps, answers)
        return list(answers.values())

    def _answer(
        self,
        asks: Sequence[CapAsk],
        wanted: Sequence[int],
        caps: Mapping[int, tuple[Cap, ...]],
        answers: dict[int, Cap | bool | None],
    ) -> list[int]:
        """Ask for those of these numbers; the numbers of whom a log is not known. They have no answer yet."""
        answers |= dict.fromkeys(wanted)
        told = self._ask([asks[n] for n in wanted], caps) if wanted else []
        for n, code in zip(wanted, told or (), strict=bool(told)):
            if code:
                answers[n] = False if code > 0 else caps[asks[n].category_id][-code - 1]
        return [] if told is None else [n for n, code in zip(wanted, told, strict=True) if not code]

    def used(self, ask: CapAsk, categories: Mapping[int, CategoryInfo], now: datetime) -> list[Used] | None:
        """How much this person had of each cap that concerns a category; None when Redis is away."""
        caps = _caps(categories[ask.category_id], _overall())
        if not caps:
            return []
        args = [part for cap in caps for part in (cap.max + 1, cap.seconds * 1_000_000)]
        answer = self._limiter.run(limit_scripts.LOGS, [_key(ask.recipient_id, cap) for cap in caps], args)
        if answer is None:
            return None
        left = _record([ask], [ask], categories, now).get(ask.recipient_id, [])
        found = []
        for cap, marked, wait in zip(caps, answer[::2], answer[1::2], strict=True):
            ages = sorted((one.age for one in _within(left, cap, categories)), reverse=True)
            if marked:
                found.append(Used(cap, marked - 1, wait / 1_000_000))
            else:
                rest = cap.seconds - ages[len(ages) - cap.max] / 1_000_000 if len(ages) >= cap.max else 0.0
                found.append(Used(cap, len(ages), max(0.0, rest)))
        return found

    def _ask(self, asks: Sequence[CapAsk], caps: Mapping[int, tuple[Cap, ...]]) -> list[int] | None:
        """Per ask 1 for yes, 0 when a log is not known, else minus the number of the cap that is used up."""
        logs: dict[str, int] = {}
        bounds: list[int] = []
        lines: list[object] = []
        for ask in asks:
            numbers = [0] * limit_scripts.MAX_CAPS
            for place, cap in enumerate(caps[ask.category_id]):
                key = _key(ask.recipient_id, cap)
                if key not in logs:
                    logs[key] = len(logs) + 1
                    bounds += [cap.max + 1, cap.seconds * 1_000_000]  # and the mark that the log is known
                numbers[place] = logs[key]
            lines += [ask.notification_id.hex(), *numbers]
        script = limit_scripts.CAPS_LOOK if self._limiter.is_looking else limit_scripts.CAPS
        answer: list[int] | None = self._limiter.run(script, list(logs), [*bounds, *lines])
        return answer

    def _seed(
        self,
        asks: Sequence[CapAsk],
        caps: Mapping[int, tuple[Cap, ...]],
        record: Mapping[Key, Sequence[_Left]],
        categories: Mapping[int, CategoryInfo],
    ) -> bool:
        """Make the logs of these people from the record, where there are none yet; False when Redis is away."""
        logs = {_key(ask.recipient_id, cap): (ask, cap) for ask in asks for cap in caps[ask.category_id]}
        args: list[object] = []
        for ask, cap in logs.values():
            left = _within(record.get(ask.recipient_id, []), cap, categories)
            args += [cap.seconds * 1_000_000, len(left)]
            for one in left:
                args += [f"{'' if one.surely else '?'}{one.notification_id.hex()}", one.age]
        return self._limiter.run(limit_scripts.SEED, list(logs), args) is not None


def caps_of(category: CategoryInfo) -> tuple[Cap, ...]:
    """What limits messages of a category to one person: its own caps, then for marketing those of all of it."""
    return _caps(category, _overall())


def _overall() -> tuple[Cap, ...]:
    limits = limit_cache.all()
    found = ((limits.get((LimitScope.CAP, name)), seconds) for name, seconds in CAP_SPANS.items())
    return tuple(Cap(None, limit.max, seconds) for limit, seconds in found if limit is not None)


def _caps(category: CategoryInfo, overall: tuple[Cap, ...]) -> tuple[Cap, ...]:
    if category.is_required:
        return ()
    together = overall if category.is_marketing else ()
    if category.cap_per_day is None and category.cap_per_week is None:
        return together
    own = ((category.cap_per_day, DAY), (category.cap_per_week, WEEK))
    return (*(Cap(category.id, max, seconds) for max, seconds in own if max is not None), *together)


def _within(left: Sequence[_Left], cap: Cap, categories: Mapping[int, CategoryInfo]) -> list[_Left]:
    """What of it a cap counts."""
    span = cap.seconds * 1_000_000
    return [one for one in left if one.age <= span and _counts(cap, one.category_id, categories)]


def _counts(cap: Cap, category_id: int, categories: Mapping[int, CategoryInfo]) -> bool:
    if cap.category_id is not None:
        return cap.category_id == category_id
    category = categories.get(category_id)
    return category is not None and category.is_marketing and not category.is_required


def _full(
    ask: CapAsk,
    caps: Mapping[int, tuple[Cap, ...]],
    record: Mapping[Key, Sequence[_Left]],
    categories: Mapping[int, CategoryInfo],
) -> Cap | bool:
    """By the record alone: the cap that is used up, or False."""
    left = record.get(ask.recipient_id, [])
    return next((cap for cap in caps[ask.category_id] if len(_within(left, cap, categories)) >= cap.max), False)


def _record(
    asks: Collection[CapAsk], batch: Collection[CapAsk], categories: Mapping[int, CategoryInfo], now: datetime
) -> dict[Key, list[_Left]]:
    """What these people had, from the record in one query, by person; without what the batch itself asks about."""
    since = ids.floor(now - LOOK_BACK)
    people, asked = {ask.recipient_id for ask in asks}, {ask.notification_id for ask in batch}
    counted = [id for id, category in categories.items() if not category.is_required]
    with direct_cursor() as cursor:
        cursor.execute(_LEFT, [KeyArray.of(people), since, counted, KeyArray.of(asked)])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    found: dict[Key, list[_Left]] = {}
    for person, *what in rows:
        found.setdefault(person, []).append(_Left(*what))
    return found


def _key(recipient: Key, cap: Cap) -> str:
    return redis.key("cap", recipient.hex(), cap.category_id or "all", cap.seconds)
