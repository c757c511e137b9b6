"""Dead letters as people ask for them: a filter that travels as JSON, and the groups they fall into.

A letter is open until it is replayed or closed. Whatever was replayed before, these queries read open letters alone, by
the partial index on (channel, provider, cause, code, id).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from django.db import connection, transaction
from django.db.models import QuerySet

from notifications.choices import Channel, FailureCode, Priority
from notifications.models import DeadLetter
from notifications.models.dead_letter import DeadCause

#: Open letters counted per group at most, and in one replay; a page says "100,000+" beyond.
COUNT_CAP = 100_000
#: Groups listed at most: 4 channels, 2 causes and 10 codes leave room for dozens of providers.
MAX_GROUPS = 500

_LABELS: Mapping[str, str] = {
    **dict(Channel.choices),
    **dict(Priority.choices),
    **dict(DeadCause.choices),
    **dict(FailureCode.choices),
}


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Open letters by any combination of facts. None: any; "": those that have none. `since` <= died < `until`, both
    aware; `ids` names letters one by one."""

    channel: str | None = None
    priority: str | None = None
    provider: str | None = None
    cause: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "LetterFilter":
        """From the JSON of `stored()`."""
        found = cls(**{**stored, "ids": tuple(stored.get("ids", ()))})
        return replace(found, since=_moment(stored.get("since")), until=_moment(stored.get("until")))

    def stored(self) -> dict[str, Any]:
        """What was asked for, as JSON."""
        asked = {name: value for name, value in asdict(self).items() if value is not None and value != ()}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}

    def open_letters(self) -> QuerySet[DeadLetter]:
        """The letters that are meant, without an order."""
        facts = {
            name: value
            for name in ("channel", "priority", "provider", "cause", "code")
            if (value := getattr(self, name)) is not None
        }
        letters = DeadLetter.objects.order_by().filter(replayed_at=None, **facts)
        if self.since is not None:
            letters = letters.filter(created_at__gte=self.since)
        if self.until is not None:
            letters = letters.filter(created_at__lt=self.until)
        return letters.filter(id__in=self.ids) if self.ids else letters

    def words(self) -> str:
        """The filter as one would say it: "Email · mailhouse · Every attempt failed"."""
        said = [
            label(value) if value else f"no {name}"
            for name in ("channel", "priority", "provider", "cause", "code")
            if (value := getattr(self, name)) is not None
        ]
        said += [f"died from {_clock(self.since)}"] if self.since else []
        said += [f"died before {_clock(self.until)}"] if self.until else []
        if len(self.ids) == 1:
            said.append(f"letter {self.ids[0]}")
        elif self.ids:
            said.append(f"{len(self.ids)} chosen letters")
        return " · ".join(said) or "every open letter"


def label(value: str) -> str:
    """A channel, priority, cause or code in words; anything else, such as a provider's name, as it is."""
    return str(_LABELS.get(value, value))


def _moment(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored else None


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Open letters that agree on channel, provider, cause and code. `count` stops at COUNT_CAP; `newest_detail` is the
    last error in the provider's words."""

    channel: str
    provider: str
    cause: str
    code: str
    count: int
    oldest_id: int
    oldest: datetime
    newest_id: int
    newest: datetime
    newest_detail: str

    @property
    def filter(self) -> LetterFilter:
        return LetterFilter(channel=self.channel, provider=self.provider, cause=self.cause, code=self.code)

    @property
    def count_words(self) -> str:
        return capped(self.count)


def capped(count: int) -> str:
    """A count that stops at COUNT_CAP, in words."""
    return f"{count:,}+" if count >= COUNT_CAP else f"{count:,}"


# From one group to the next by the index, never over the letters between.
_KINDS = f"""
WITH RECURSIVE kind AS (
    (SELECT channel, provider, cause, code FROM notifications_deadletter
      WHERE replayed_at IS NULL ORDER BY channel, provider, cause, code LIMIT 1)
    UNION ALL
    SELECT following.* FROM kind CROSS JOIN LATERAL (
        SELECT l.channel, l.provider, l.cause, l.code FROM notifications_deadletter l
         WHERE l.replayed_at IS NULL
           AND (l.channel, l.provider, l.cause, l.code) > (kind.channel, kind.provider, kind.cause, kind.code)
         ORDER BY l.channel, l.provider, l.cause, l.code LIMIT 1) following
), kinds AS (SELECT * FROM kind LIMIT {MAX_GROUPS})
"""
_OF_KIND = """
  FROM notifications_deadletter l
 WHERE l.replayed_at IS NULL AND l.channel = kinds.channel AND l.provider = kinds.provider
   AND l.cause = kinds.cause AND l.code = kinds.code
"""
_GROUPS = f"""
{_KINDS}
SELECT kinds.*, letters.n, oldest.id, oldest.created_at, newest.id, newest.created_at, newest.detail
  FROM kinds
 CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT 1 {_OF_KIND} LIMIT {COUNT_CAP}) few) letters
 CROSS JOIN LATERAL (SELECT l.id, l.created_at {_OF_KIND} ORDER BY l.id LIMIT 1) oldest
 CROSS JOIN LATERAL (SELECT l.id, l.created_at, l.detail {_OF_KIND} ORDER BY l.id DESC LIMIT 1) newest
 ORDER BY letters.n DESC, newest.id DESC
"""
_OLDEST = f"""
{_KINDS}
SELECT min(oldest.id) FROM kinds
 CROSS JOIN LATERAL (SELECT l.id {_OF_KIND} ORDER BY l.id LIMIT 1) oldest
 WHERE kinds.channel = coalesce(%s, kinds.channel) AND kinds.provider = coalesce(%s, kinds.provider)
   AND kinds.cause = coalesce(%s, kinds.cause) AND kinds.code = coalesce(%s, kinds.code)
"""


def groups() -> list[LetterGroup]:
    """What is open, the largest group first. A group costs its count up to the cap and two single reads."""
    return [LetterGroup(*row) for row in _read(_GROUPS)]


def oldest_id(wanted: LetterFilter) -> int | None:
    """An id that no open letter of `wanted` lies before; None when there is none. Read off the groups: looking for the
    letter itself could walk over all that was ever replayed."""
    [[oldest]] = _read(_OLDEST, [wanted.channel, wanted.provider, wanted.cause, wanted.code])
    return cast("int | None", oldest)


def _read(statement: str, parameters: Sequence[str | None] = ()) -> list[tuple[Any, ...]]:
    """Without the compiler of PostgreSQL, which takes half a second to prepare for a query of 20 ms: the planner cannot
    know how few groups there are."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        cursor.execute("SET LOCAL jit = DEFAULT")  # the caller's transaction may go on
    return rows


def count(wanted: LetterFilter, *, upto: int | None = None, cap: int = COUNT_CAP) -> int:
    """How many open letters are meant, of those up to the id `upto`; counted to `cap` at most."""
    letters = wanted.open_letters()
    if upto is not None:
        letters = letters.filter(id__lte=upto)
    return letters[:cap].count()


def newest_id() -> int:
    """The highest letter id so far, 0 when there was none."""
    return DeadLetter.objects.order_by("-id").values_list("id", flat=True).first() or 0
