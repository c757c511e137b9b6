"""The quiet hours that fall into the life of a message that goes out step by step. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from preferences.quiet_hours import QuietHours, quiet_ended, quiet_until


class Lull(NamedTuple):
    """They are over at `ended`, which may be yet to come. By `cleared` all has had its turn that they held back: it
    leaves spread over some minutes, and each channel at a moment of its own."""

    ended: datetime
    cleared: datetime


def lull_between(hours: QuietHours | None, start: datetime, now: datetime) -> Lull | None:
    """The last quiet hours after `start`, those of this moment among them; None when there were none."""
    if hours is None:
        return None
    ended = quiet_until(hours, now) or quiet_ended(hours, now)
    if ended is None or ended <= start:
        return None
    return Lull(ended, ended + timedelta(seconds=settings.QUIET_HOURS_SPREAD_SECONDS))
