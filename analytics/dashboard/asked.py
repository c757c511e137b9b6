"""What somebody looks at: a span of time and filters, kept in the address of the page so that it can be shared."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from analytics.rollups.reading import Where
from notifications.choices import Channel

#: The ranges on offer, by their name in the address: how they are called, and how long they are.
RANGES: dict[str, tuple[str, timedelta]] = {
    "15m": ("15 min", timedelta(minutes=15)),
    "1h": ("1 hour", timedelta(hours=1)),
    "6h": ("6 hours", timedelta(hours=6)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
DEFAULT = "1h"
#: The longest span: counters are kept for 400 days.
LONGEST = timedelta(days=400)
MINUTE = timedelta(minutes=1)
#: Where a category's id ends: a PostgreSQL smallint.
MOST_CATEGORY = 2**15


class BadQuestion(ValueError):
    """The address asks for something that cannot be shown; the message says what, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A span of whole minutes, `since` inclusive and `until` exclusive, and filters. `now` is the database's clock;
    a live span ends after the running minute, so that nothing is missing from it."""

    range: str  # of RANGES, or "" for a span of one's own
    now: datetime
    since: datetime
    until: datetime
    where: Where

    @classmethod
    def of(cls, query: Mapping[str, str], now: datetime) -> "Asked":
        """From an address's query. Raises BadQuestion."""
        where = Where(
            channel=_channel(query.get("channel", "")),
            category_id=_category(query.get("category", "")),
            provider=_provider(query.get("provider", "")),
        )
        if query.get("since"):
            since, until = _span(query, now)
            return cls(range="", now=now, since=since, until=until, where=where)
        name = query.get("range") or DEFAULT
        if name not in RANGES:
            raise BadQuestion(f"There is no range of that name; there are {', '.join(RANGES)}.")
        until = _minute(now) + MINUTE
        return cls(range=name, now=now, since=until - RANGES[name][1], until=until, where=where)

    @property
    def is_live(self) -> bool:
        """Whether the running minute belongs to it."""
        return self.until > self.now

    @property
    def elapsed(self) -> float:
        """Seconds of the span that are over: what a rate is reckoned by."""
        return (min(self.until, self.now) - self.since).total_seconds()

    @property
    def length(self) -> timedelta:
        return self.until - self.since

    @property
    def before(self) -> tuple[datetime, datetime]:
        """The period just before it, as long."""
        return self.since - self.length, self.since


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _channel(value: str) -> str:
    if value and value not in Channel.values:
        raise BadQuestion("There is no channel of that name.")
    return value


def _provider(value: str) -> str:
    if value and value not in settings.PROVIDERS:
        raise BadQuestion("There is no provider of that name.")
    return value


def _category(value: str) -> int | None:
    if not value:
        return None
    if (
        not (value.isascii() and value.isdecimal())
        or len(value) > len(str(MOST_CATEGORY))
        or int(value) >= MOST_CATEGORY
    ):
        raise BadQuestion("A category is named by its number.")
    return int(value)


def _span(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    since, until = _moment(query["since"]), _moment(query["until"]) if query.get("until") else now
    since, until = _minute(since), min(_minute(until), _minute(now) + MINUTE)
    if since >= until:
        raise BadQuestion("The span must begin before it ends, and before now.")
    if until - since > LONGEST:
        raise BadQuestion(f"A span is at most {LONGEST.days} days long.")
    return since, until


def _moment(text: str) -> datetime:
    """A time as the browser's picker writes it; without an offset it is UTC, as all times of the admin are."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or not 1970 < moment.year < 9999:
        raise BadQuestion("A time is written as 2026-03-01T14:00.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
