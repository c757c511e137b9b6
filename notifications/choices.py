"""The one vocabulary: every status, event, reason and failure code of the pipeline."""

from django.db.models import TextChoices

from preferences.choices import Channel, Platform, Priority, Strategy, Unless

__all__ = [
    "Channel",
    "EventType",
    "FailureCode",
    "HoldReason",
    "MachineKind",
    "Platform",
    "Priority",
    "SkipReason",
    "Status",
    "Strategy",
    "Unless",
]


class Status(TextChoices):
    """Where a delivery stands: queued -> sending -> sent -> delivered, and the other ends."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    DELIVERED = "delivered", "Delivered"
    SKIPPED = "skipped", "Skipped"
    BOUNCED = "bounced", "Bounced"
    FAILED = "failed", "Failed"
    DEAD = "dead", "Dead"


#: Nothing more is to be done by us. `sent` counts: what follows is the provider's word, not our work.
TERMINAL = frozenset({Status.SENT, Status.DELIVERED, Status.SKIPPED, Status.BOUNCED, Status.FAILED, Status.DEAD})

#: Forward only. A late receipt never moves a delivery to a lower rank.
RANK = {
    Status.QUEUED: 0,
    Status.SENDING: 1,
    Status.SENT: 2,
    Status.DELIVERED: 3,
    Status.SKIPPED: 4,
    Status.BOUNCED: 4,
    Status.FAILED: 4,
    Status.DEAD: 4,
}


class SkipReason(TextChoices):
    """Why a delivery was not attempted. A missing address is a skip with a reason, never a failure."""

    OPTED_OUT = "opted_out", "Opted out"
    NO_ADDRESS = "no_address", "No address"
    SUPPRESSED = "suppressed", "Suppressed"
    DUPLICATE = "duplicate", "Duplicate"
    RATE_LIMITED = "rate_limited", "Rate limited"
    FREQUENCY_CAPPED = "frequency_capped", "Frequency capped"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"
    DIGESTED = "digested", "Gathered into a digest"
    NOT_NEEDED = "not_needed", "Reached on another channel"


class EventType(TextChoices):
    """What happened to a delivery. Events are append-only; the status is their fold."""

    SKIPPED = "skipped", "Skipped"
    WITHDRAWN = "withdrawn", "Taken out of its digest"  # it was skipped before, as it was gathered, and counts once
    SENT = "sent", "Sent"
    DEFERRED = "deferred", "Deferred, will be tried again"
    HELD = "held", "Held back, no attempt used"
    DELIVERED = "delivered", "Delivered"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Complained"
    FAILED = "failed", "Failed"
    DEAD = "dead", "Gave up"
    REPLAYED = "replayed", "Replayed"
    RECLAIMED = "reclaimed", "Taken over from a lost worker"
    RESCUED = "rescued", "Put back by the reconciler"
    OPENED = "opened", "Opened"  # for the first time, by a person
    CLICKED = "clicked", "Clicked"
    REOPENED = "reopened", "Opened again"
    RECLICKED = "reclicked", "Clicked again"
    MACHINE = "machine", "Visited by a program"  # nobody's opening or click; the code says what and why


class HoldReason(TextChoices):
    """Why a delivery waits although nobody was asked to take it: no attempt is used."""

    RATE_LIMIT = "rate_limit", "The provider's limit is reached"
    CIRCUIT_OPEN = "circuit_open", "The provider's circuit is open"
    THROTTLED = "throttled", "The provider asked us to wait"
    SWITCHED_OFF = "switched_off", "The provider is switched off"
    REDIS_AWAY = "redis_away", "The limits cannot be checked"
    UNAVAILABLE = "unavailable", "The provider could not be asked"
    QUIET_HOURS = "quiet_hours", "Quiet hours of the recipient"
    ITS_TURN = "its_turn", "Another channel comes first"
    NOT_YET = "not_yet", "Its time to be sent has not come"
    TAKING_BACK = "taking_back", "Part of it was cancelled and is being taken out"


class MachineKind(TextChoices):
    """Why a hit on a link or a pixel is not a person's. The code of a MACHINE event is "open:" or "click:" and this."""

    HEAD = "head", "Asked for the headers only"
    PREFETCH = "prefetch", "Fetched in advance by a browser"
    PRIVACY_PROXY = "privacy_proxy", "Fetched in advance by a mail privacy proxy"
    SCANNER = "scanner", "Followed by a security scanner"
    PREVIEW = "preview", "Fetched for a preview of the link"
    BOT = "bot", "Followed by a program"
    NO_AGENT = "no_agent", "Came from a program without a name"
    TOO_SOON = "too_soon", "Sooner after sending than a person can be"
    BURST = "burst", "Several links at once"


#: The code of an OPENED event that was only known from the click that came with it.
BY_CLICK = "by_click"
#: The codes of MACHINE events, in words.
MACHINE_CODES: dict[str, str] = {
    f"{hit}:{kind.value}": f"{said}: {kind.label[0].lower()}{kind.label[1:]}"
    for hit, said in (("open", "Open"), ("click", "Click"))
    for kind in MachineKind
}

#: The code of a SENT event after an attempt whose outcome nobody knows: the person may get the message twice.
MAYBE_TWICE = "maybe_twice"


#: Counted of a provider that was asked and did not take a message, which then went to the next. It is no event.
DECLINED = "declined"


class FailureCode(TextChoices):
    """Why a provider did not take a message, in our words. Each adapter maps its vendor's words here by a table."""

    INVALID_ADDRESS = "invalid_address", "Address is not valid (any more)"
    REJECTED = "rejected", "Refused by the provider"
    CONTENT_REFUSED = "content_refused", "Content refused"
    TOO_LARGE = "too_large", "Message too large"
    RENDER_ERROR = "render_error", "Template could not be rendered"
    NOT_CONFIGURED = "not_configured", "Provider not configured"
    UNAVAILABLE = "unavailable", "Provider unavailable"
    TIMEOUT = "timeout", "Provider timed out"
    THROTTLED = "throttled", "Provider throttled us"
    INTERNAL = "internal", "Unexpected error"
