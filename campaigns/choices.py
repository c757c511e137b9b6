"""The vocabulary of campaigns."""

from django.db.models import TextChoices


class CampaignStatus(TextChoices):
    """draft -> in review -> approved -> scheduled -> sending <-> paused -> completed, or cancelled.

    Moved by the services alone; `LEGAL` is the same map as the database's trigger `campaign_guard`."""

    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    APPROVED = "approved", "Approved"
    SCHEDULED = "scheduled", "Scheduled"
    SENDING = "sending", "Sending"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"


_S = CampaignStatus
#: From where to where. What has been started never becomes a draft again.
LEGAL: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    _S.DRAFT: frozenset({_S.IN_REVIEW}),
    _S.IN_REVIEW: frozenset({_S.DRAFT, _S.APPROVED}),
    _S.APPROVED: frozenset({_S.DRAFT, _S.IN_REVIEW, _S.SCHEDULED, _S.SENDING}),
    _S.SCHEDULED: frozenset({_S.DRAFT, _S.IN_REVIEW, _S.SENDING, _S.COMPLETED, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.PAUSED, _S.COMPLETED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.SENDING, _S.CANCELLED}),
    _S.COMPLETED: frozenset({_S.PAUSED, _S.CANCELLED}),
    _S.CANCELLED: frozenset(),
}

#: Nothing has been handed out yet.
BEFORE_START = (_S.DRAFT, _S.IN_REVIEW, _S.APPROVED, _S.SCHEDULED)


class Audience(TextChoices):
    EVERYONE = "everyone", "Everyone"
    SEGMENT = "segment", "A segment"
    SAVED_LIST = "saved_list", "A saved list"
    LIST = "list", "A list pasted here"


class Schedule(TextChoices):
    """When it goes out."""

    NOW = "now", "As soon as it is launched"
    AT = "at", "At a date and time"
    LOCAL = "local", "At each person's own local time"
    RECURRING = "recurring", "Again and again"


class Recurrence(TextChoices):
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "On days of the week"
    MONTHLY = "monthly", "On days of the month"


class Phase(TextChoices):
    """Who gets it first, next and last. The order is that of `PHASES`."""

    CANARY = "canary", "First few"
    TEST = "test", "Test of the variants"
    REST = "rest", "Everybody else"


PHASES = (Phase.CANARY, Phase.TEST, Phase.REST)


class WinnerMetric(TextChoices):
    """What decides between variants."""

    NONE = "none", "I choose the winner myself"
    OPENED = "opened", "The share of people who opened"
    CLICKED = "clicked", "The share of people who clicked"


class Action(TextChoices):
    """What a campaign's audit trail tells of."""

    CREATED = "created", "Created"
    EDITED = "edited", "Edited"
    SUBMITTED = "submitted", "Submitted for review"
    APPROVED = "approved", "Approved"
    SENT_BACK = "sent_back", "Sent back to its author"
    REOPENED = "reopened", "Opened for editing again"
    CHANGED = "changed", "Changed after the approval: back in review"
    SCHEDULED = "scheduled", "Scheduled"
    STARTED = "started", "Started"
    OCCURRED = "occurred", "One of its occurrences started"
    PREPARED = "prepared", "Audience counted"
    PHASE = "phase", "Went on to its next phase"
    WINNER = "winner", "Winner chosen"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Paused by itself"
    RESUMED = "resumed", "Resumed"
    CANCELLED = "cancelled", "Cancelled"
    WITHDRAWN = "withdrawn", "Taken back what had not left"
    COMPLETED = "completed", "Completed"
    DUPLICATED = "duplicated", "Duplicated"
    ARCHIVED = "archived", "Archived"
    UNARCHIVED = "unarchived", "Taken out of the archive"
