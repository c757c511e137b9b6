"""What codes mean, as one would tell a colleague; and addresses so that they can be told apart but not used."""

from collections.abc import Mapping

from notifications.choices import BY_CLICK, MACHINE_CODES, MAYBE_TWICE, FailureCode, HoldReason, SkipReason
from notifications.models.dead_letter import DeadCause

#: Why nothing was sent, as one would tell a colleague.
REASONS: Mapping[str, str] = {
    SkipReason.OPTED_OUT: "The recipient said no to this channel for this category.",
    SkipReason.NO_ADDRESS: "The recipient has no address for this channel.",
    SkipReason.SUPPRESSED: "The address must not be used: it bounced for good, complained or was blocked by hand.",
    SkipReason.DUPLICATE: "The recipient was sent the same message a moment ago.",
    SkipReason.RATE_LIMITED: "The recipient's limit for this span of time was used up.",
    SkipReason.FREQUENCY_CAPPED: "The recipient has had enough messages of this kind for now.",
    SkipReason.EXPIRED: "It was too late: the notification had expired before its turn came.",
    SkipReason.CANCELLED: "It was cancelled before it left.",
    SkipReason.DIGESTED: "It was gathered into a digest, which goes out as one message.",
    SkipReason.NOT_NEEDED: "It was not needed any more: they were reached on another channel.",
}
_WORDS: Mapping[str, str] = {
    **dict(HoldReason.choices),
    **dict(FailureCode.choices),
    **dict(DeadCause.choices),
    **REASONS,
    MAYBE_TWICE: "Nobody knows whether an earlier attempt went through",
    BY_CLICK: "Who clicked has opened it",
    **MACHINE_CODES,
}


def words(code: str) -> str:
    """A SkipReason, HoldReason, FailureCode or DeadCause in words; an unknown code as it is."""
    return str(_WORDS.get(code, code))


def redacted_email(address: str) -> str:
    """`j•••@example.com`: enough to recognise, too little to use."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else "•••"


def redacted_phone(number: str) -> str:
    """`+49 ••• 78`."""
    return f"{number[:3]} ••• {number[-2:]}" if len(number) > 6 else "•••"
