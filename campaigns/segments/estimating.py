"""How many people meet a definition, and some of them: within a second, whatever is asked.

First an exact count, for as long as EXACT_MS. What takes longer is counted among the people on some pages of the
table, taken at random, and scaled up; what is too slow even there is the planner's guess. Only the first is exact, and
each answer says which it is. Of SAMPLE people an estimate is off by a percentage point of everyone at most in nineteen
of twenty cases, of STEP people by three; by more where people were imported in the order of what is asked.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import connection

from campaigns.segments.compiling import where
from campaigns.segments.conditions import WORK_MEM
from core.admin_lists import estimated_rows
from core.statements import StatementTooSlow, bounded
from preferences.models import Recipient

#: Milliseconds of each attempt. Together, with the look at the catalog and the way to the browser, under a second.
EXACT_MS: Final = 400
SAMPLED_MS: Final = 350
SHOWN_MS: Final = 300
#: People whom an estimate looks at, and how many of them at a time: a few at first, should even they take long.
SAMPLE: Final = 10_000
STEP: Final = 1_000
FIRST: Final = 200
_STEPS: Final = (FIRST, *[STEP] * (SAMPLE // STEP))
#: Members that a sample shows at most.
MAX_SHOWN: Final = 50
#: Below so many people nothing is worth estimating by pages: there may be a handful of them.
_SMALL = 20_000

#: What a plan over everybody would use.
_PLANS: Final = ("enable_hashjoin", "enable_mergejoin", "jit")
#: Pages at random; with one seed always the same ones, so that a figure doesn't dance while somebody types.
_PICKED = """
    WITH picked AS MATERIALIZED (
        SELECT * FROM preferences_recipient TABLESAMPLE SYSTEM (%s) REPEATABLE (%s)
    )
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many people. `is_exact`: counted one by one a moment ago; otherwise about so many."""

    people: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.people:,}" if self.is_exact else f"about {self.people:,}"


def estimate(definition: Mapping[str, object]) -> Estimate:
    """People who meet it now. Raises DefinitionInvalid."""
    try:
        return Estimate(_exact(*where(definition)), is_exact=True)
    except StatementTooSlow:
        pass
    return Estimate(estimated(*where(definition, few=True)), is_exact=False)


def estimated(sql: str, parameters: list[Any]) -> int:
    """About how many people this boolean over the alias `r` holds for, without counting them: scaled up from some, or
    else the planner's guess. It wants to be compiled with `few`."""
    everyone = estimated_rows(Recipient)
    try:
        return _rounded(_sampled(sql, parameters, everyone))
    except StatementTooSlow:
        return _rounded(min(_planned(sql, parameters), everyone))


def sample(definition: Mapping[str, object], limit: int = 10) -> list[Recipient]:
    """Some of those who meet it, the newest where that is quick to tell. Raises DefinitionInvalid.

    Of a rare kind among many people there may be fewer than there are, or none: nobody is waited for.
    """
    sql, parameters = where(definition, few=True)
    limit = max(1, min(limit, MAX_SHOWN))
    newest = f"SELECT r.* FROM preferences_recipient r WHERE {sql} ORDER BY r.id DESC LIMIT %s"
    try:
        return _people(newest, [*parameters, limit])
    except StatementTooSlow:
        pass
    among = f"{_PICKED} SELECT r.* FROM picked r WHERE {sql} ORDER BY r.id DESC LIMIT %s"
    percent = min(100.0, 100.0 * STEP / max(estimated_rows(Recipient), 1))
    try:
        return _people(among, [percent, 0, *parameters, limit])
    except StatementTooSlow:
        return []


def _exact(sql: str, parameters: list[Any]) -> int:
    with bounded(EXACT_MS), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
        cursor.execute(f"SELECT count(*) FROM preferences_recipient r WHERE {sql}", parameters)
        return int(cursor.fetchone()[0])


def _sampled(sql: str, parameters: list[Any], everyone: int) -> int:
    """Scaled up from the people on some pages: a few at a time, as many as there is time for."""
    counting = f"{_PICKED} SELECT (SELECT count(*) FROM picked), (SELECT count(*) FROM picked r WHERE {sql})"
    is_small = everyone <= _SMALL  # or was never analysed: then everybody is looked at
    steps = [100.0] if is_small else [min(100.0, 100.0 * n / everyone) for n in _STEPS]
    until = time.monotonic() + SAMPLED_MS / 1000
    looked_at = met = 0
    for seed, percent in enumerate(steps):
        left = round((until - time.monotonic()) * 1000)
        if left <= 0:
            break
        try:
            with bounded(left), _person_by_person(), connection.cursor() as cursor:
                cursor.execute(counting, [percent, seed, *parameters])
                found = cursor.fetchone()
        except StatementTooSlow:
            break
        looked_at, met = looked_at + found[0], met + found[1]
    if not looked_at:
        raise StatementTooSlow()
    everyone = looked_at if is_small else everyone
    if met:
        return round(everyone * met / looked_at)
    # Nobody among so many: there are hardly more than three in as many (the "rule of three", 95 %), and rarely none.
    return min(_planned(sql, parameters), round(3 * everyone / looked_at))


def _people(sql: str, parameters: list[Any]) -> list[Recipient]:
    with bounded(SHOWN_MS), _person_by_person():
        return list(Recipient.objects.raw(sql, parameters))


@contextmanager
def _person_by_person() -> Iterator[None]:
    """Plans that start at a few people and look each one up, instead of reading all that anybody ever did."""
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {name} = off" for name in _PLANS))
    yield
    with connection.cursor() as cursor:  # a caller's transaction goes on as it was
        cursor.execute("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in _PLANS))


def _planned(sql: str, parameters: list[Any]) -> int:
    """What the planner expects. It reads statistics, and no row."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM preferences_recipient r WHERE {sql}", parameters)
        found: Any = cursor.fetchone()[0]
    plan = orjson.loads(found) if isinstance(found, str) else found
    return int(plan[0]["Plan"]["Plan Rows"])


def _rounded(people: int) -> int:
    """Two figures: more would claim what a sample can't tell."""
    if people < 100:
        return people
    unit: int = 10 ** (len(str(people)) - 2)
    return round(people / unit) * unit
