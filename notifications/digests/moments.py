"""When a digest closes. Pure: a rule, a moment and a time zone in, moments out."""

from datetime import UTC, datetime, timedelta, tzinfo

from preferences.choices import DigestMode
from preferences.digesting import DigestRule


def closes_at(rule: DigestRule, now: datetime, zone: tzinfo) -> tuple[datetime, datetime | None]:
    """When a digest with an item at `now` closes, and for a sliding window the latest moment if it opens now."""
    if rule.mode == DigestMode.LOCAL_TIME:
        return next_local(rule, now, zone), None
    window = timedelta(seconds=rule.seconds)
    if rule.mode == DigestMode.SLIDING:
        cap = timedelta(seconds=rule.cap_seconds)
        return now + min(window, cap), now + cap
    return now + window, None


def next_local(rule: DigestRule, now: datetime, zone: tzinfo) -> datetime:
    """The first moment after `now` at which a clock there shows the time, on a day of the rule. A time that the clock
    jumps over is taken as late as the jump is long; of one that comes twice, the first counts."""
    today = now.astimezone(zone).date()
    for days in range(-1, 9):
        day = today + timedelta(days=days)
        if rule.weekdays and day.weekday() not in rule.weekdays:
            continue
        moment = datetime.combine(day, rule.at, tzinfo=zone).astimezone(UTC)
        if moment > now:
            return moment
    raise ValueError(f"No such time: {rule.weekdays}")  # weekdays are checked where they are set
