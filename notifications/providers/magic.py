"""Magic recipients: addresses that force one outcome of the simulator each, as test card numbers do.

| channel | address |
|---|---|
| email | `<name>@carillon.test`, `<name>+anything@carillon.test` |
| sms | `+1 907 555 01<digits>`, a range kept for fiction |
| push | a device token `magic-<name>` or `magic-<name>-anything` |
| in_app | an external id `magic-<name>` or `magic-<name>-anything` (test keys; the real feed knows no magic) |
"""

from collections.abc import Callable
from dataclasses import dataclass

from notifications.choices import Channel, EventType, FailureCode
from notifications.providers.base import Failure, OutboundMessage

EMAIL_DOMAIN = "@carillon.test"  # .test never resolves (RFC 6761 6.2)
PHONE_PREFIX = "+190755501"  # 555-0100 to 555-0199 are fictitious in every area code of the North American plan
DEVICE_PREFIX = "magic-"


@dataclass(frozen=True, slots=True)
class Magic:
    """One forced outcome. `failure` is the answer up to and including attempt `fails_until` (None: to every attempt; a
    429 uses none up, so there it is the claim); once the message is taken, `reports` is what the vendor says of it
    later, in that order."""

    name: str
    digits: str
    meaning: str
    failure: Failure | None = None
    fails_until: int | None = None
    reports: tuple[EventType, ...] = ()

    def answer(self, message: OutboundMessage) -> Failure | None:
        """The vendor's answer to this attempt; None says that it takes the message."""
        if self.failure is None or self.fails_until is None:
            return self.failure
        count = message.claim if self.failure.code == FailureCode.THROTTLED else message.attempt
        return self.failure if count <= self.fails_until else None


def _temporary(code: FailureCode, detail: str, retry_after: float | None = None) -> Failure:
    return Failure(code, temporary=True, detail=detail, retry_after=retry_after)


def _permanent(code: FailureCode, detail: str) -> Failure:
    return Failure(code, temporary=False, detail=detail)


UNAVAILABLE = _temporary(FailureCode.UNAVAILABLE, "Simulated: 503 Service Unavailable.")
TIMED_OUT = _temporary(FailureCode.TIMEOUT, "Simulated: no answer in time.")
INVALID = _permanent(FailureCode.INVALID_ADDRESS, "Simulated: there is no such address.")
REJECTED = _permanent(FailureCode.REJECTED, "Simulated: refused.")
CONTENT_REFUSED = _permanent(FailureCode.CONTENT_REFUSED, "Simulated: the content was refused.")
TOO_LARGE = _permanent(FailureCode.TOO_LARGE, "Simulated: the message is too large.")


def throttled(retry_after: float | None, header: str = "") -> Failure:
    """A 429 that names a time, where one can be made out; `header` quotes what was said instead of seconds."""
    said = f", Retry-After: {header}" if header else ""
    return _temporary(FailureCode.THROTTLED, f"Simulated: 429 Too Many Requests{said}.", retry_after)


_DELIVERED = (EventType.DELIVERED,)
TABLE: tuple[Magic, ...] = (
    Magic("success", "00", "taken, then delivered", reports=_DELIVERED),
    Magic("open", "01", "delivered, then opened", reports=(EventType.DELIVERED, EventType.OPENED)),
    Magic(
        "click",
        "02",
        "delivered, opened, clicked",
        reports=(EventType.DELIVERED, EventType.OPENED, EventType.CLICKED),
    ),
    Magic("silent", "03", "taken; nothing is ever heard of it"),
    Magic("bounce", "10", "taken, then bounced for good", reports=(EventType.BOUNCED,)),
    Magic("complaint", "11", "delivered, then marked as spam", reports=(EventType.DELIVERED, EventType.COMPLAINED)),
    Magic("temporary", "20", "a temporary failure at every attempt: ends as dead", failure=UNAVAILABLE),
    Magic("flaky", "21", "two temporary failures, then delivered", UNAVAILABLE, 2, _DELIVERED),
    Magic("throttle", "22", "429 with a Retry-After of 2 s once, then delivered", throttled(2.0), 1, _DELIVERED),
    Magic("timeout", "23", "no answer in time, at every attempt", failure=TIMED_OUT),
    Magic("invalid", "30", "no such address: permanent, and the address is retired", failure=INVALID),
    Magic("reject", "31", "refused for good", failure=REJECTED),
    Magic("content", "32", "the content is refused", failure=CONTENT_REFUSED),
    Magic("large", "33", "the message is too large", failure=TOO_LARGE),
)
_BY_NAME = {magic.name: magic for magic in TABLE}
_BY_DIGITS = {magic.digits: magic for magic in TABLE}

Finder = Callable[[str], Magic | None]


def _by_email(address: str) -> Magic | None:
    if not address.endswith(EMAIL_DOMAIN):
        return None
    return _BY_NAME.get(address.removesuffix(EMAIL_DOMAIN).partition("+")[0])


def _by_phone(address: str) -> Magic | None:
    return _BY_DIGITS.get(address[len(PHONE_PREFIX) :]) if address.startswith(PHONE_PREFIX) else None


def _by_prefix(address: str) -> Magic | None:
    return _BY_NAME.get(address.split("-", 2)[1]) if address.startswith(DEVICE_PREFIX) else None


#: By channel: the forced outcome of an address, or None for everybody else. Called once a message: cheap.
FINDERS: dict[str, Finder] = {
    Channel.EMAIL: _by_email,
    Channel.SMS: _by_phone,
    Channel.PUSH: _by_prefix,
    Channel.IN_APP: _by_prefix,
}
