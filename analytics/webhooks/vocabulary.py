"""What a webhook can tell, and the words around it."""

from collections.abc import Mapping

from django.db.models import TextChoices

from notifications.choices import EventType

#: What of a delivery's events its sender may hear. The others are the pipeline's own affair: holds, rescues, workers
#: that were lost, machines that opened an email.
EVENTS: Mapping[str, str] = {
    EventType.SKIPPED.value: "It was not sent, and why",
    EventType.WITHDRAWN.value: "It waited in a digest, and was cancelled",
    EventType.SENT.value: "A provider has taken it",
    EventType.DEFERRED.value: "An attempt failed; it will be tried again",
    EventType.DELIVERED.value: "The provider reports that it arrived",
    EventType.BOUNCED.value: "The provider reports that it cannot arrive",
    EventType.COMPLAINED.value: "The person called it spam",
    EventType.FAILED.value: "A provider refused it for good",
    EventType.DEAD.value: "Every attempt failed",
    EventType.REPLAYED.value: "Somebody put it back after that",
    EventType.OPENED.value: "The person opened it, for the first time",
    EventType.CLICKED.value: "The person followed a link in it, for the first time",
}
#: A message that tells of nothing: somebody tries the endpoint.
TEST = "test"


class MessageStatus(TextChoices):
    """Where a webhook message stands."""

    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class AttemptOutcome(TextChoices):
    """What came of one request. All but the first are tried again, as long as there are attempts."""

    OK = "ok", "Taken"
    REFUSED = "refused", "Answered with an error"
    REDIRECT = "redirect", "Redirected, which is not followed"
    GONE = "gone", "Gone: the endpoint wants nothing more"
    THROTTLED = "throttled", "Asked to wait"
    TIMEOUT = "timeout", "No answer in time"
    DNS = "dns", "Host not known"
    CONNECT = "connect", "Not reachable"
    TLS = "tls", "No good certificate"
    BROKEN = "broken", "Connection broken"
    BLOCKED = "blocked", "Address not allowed"


class OffReason(TextChoices):
    """Why an endpoint gets nothing."""

    BY_HAND = "by_hand", "Switched off"
    GONE = "gone", "Answered 410 Gone"
    FAILING = "failing", "Failed for days"


class EndReason(TextChoices):
    """Why a message was given up without a last attempt that says so."""

    EXHAUSTED = "exhausted", "Every attempt failed"
    LOST = "lost", "Its workers were lost again and again"
    OFF = "off", "The endpoint is off"
    GONE = "gone", "The endpoint answered 410 Gone"
