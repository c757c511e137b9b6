"""A campaign's schedule as moments."""

from datetime import datetime, timedelta

from campaigns.models import Campaign, Schedule
from campaigns.schedule import FIRST_ZONE, Rule, local_moment

#: People of one local time are handed out this long before it, so that their messages leave at the minute.
AHEAD = timedelta(minutes=5)


def first_moment(campaign: Campaign, now: datetime) -> datetime | None:
    """When the first message leaves; None for as soon as it is launched, or when no occurrence is left."""
    if campaign.schedule == Schedule.AT:
        return campaign.send_at
    if campaign.schedule == Schedule.LOCAL and campaign.local_date and campaign.local_time:
        return local_moment(campaign.local_date, campaign.local_time, FIRST_ZONE)
    if campaign.schedule == Schedule.RECURRING and (rule := recurrence(campaign)):
        return rule.next(now)
    return None


def recurrence(campaign: Campaign) -> Rule | None:
    """The rule of a recurring campaign; None when it says too little."""
    if not campaign.recurrence or campaign.local_time is None:
        return None
    return Rule(
        campaign.recurrence,
        campaign.recurs_on,
        campaign.local_time,
        campaign.recurrence_zone,
        campaign.recurs_until,
    )
