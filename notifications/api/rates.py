"""What an API key may do in a window: asked once per call, told on every answer.

`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` as in draft-ietf-httpapi-ratelimit-headers-03; the window
slides, so Reset is when all of the limit would be free again.
"""

import math

from django.http import HttpRequest

from core.api.problems import FieldProblem, Invalid, Problem, pointer
from notifications.models import ApiKey
from notifications.services.rate_limiter import KeyAllowance, RateLimiter

#: In an ASGI scope: the KeyAllowance of a call that was counted before Django saw it.
COUNTED = "carillon.counted"

_limiter = RateLimiter()


class RateLimited(Problem):
    """429 with Retry-After: when what was asked for would be allowed if nothing else were asked meanwhile."""

    slug, title, status_code = "rate-limited", "Too many requests", 429


def count_call(request: HttpRequest, key: ApiKey) -> None:
    """One call with this key, whatever becomes of it; raises RateLimited. Counted already, it is not counted again."""
    allowance = getattr(request, "scope", {}).get(COUNTED) or _limiter.api_key(key.prefix)
    _tell(request, allowance)
    if not allowance.allowed:
        raise _refused(allowance, f"This API key has used up its limit of {allowance.limit:,}.")


def count_notifications(request: HttpRequest, key: ApiKey, n: int) -> None:
    """A call that sends n notifications counts n, of which `count_call` counted one. All or none: a refused call does
    not count at all. Raises RateLimited; Invalid when n is more than the key may ever send at once."""
    if n <= 1:
        return
    allowance = _limiter.api_key(key.prefix, n, counted=1)
    if math.isinf(allowance.retry_after):
        detail = (
            f"This API key is limited to {allowance.limit:,}, so a call with {n:,} can never be taken. Split it into"
            " smaller ones."
        )
        raise Invalid([FieldProblem(pointer("notifications"), "over_rate_limit", detail)])
    _tell(request, allowance)
    if not allowance.allowed:
        raise _refused(
            allowance,
            f"These are {n:,} notifications, and of this API key's limit of {allowance.limit:,} only"
            f" {allowance.remaining:,} are left; nothing was accepted.",
        )


def _refused(allowance: KeyAllowance, reason: str) -> RateLimited:
    seconds = max(1, math.ceil(allowance.retry_after))
    return RateLimited(f"{reason} Try again in {seconds:,} s.", headers={"Retry-After": str(seconds)})


def _tell(request: HttpRequest, allowance: KeyAllowance) -> None:
    """Put the key's standing on the answer, whoever makes it."""
    if told := standing(allowance):
        request.api_headers = told  # type: ignore[attr-defined]  # read by core.api.middleware


def standing(allowance: KeyAllowance) -> dict[str, str]:
    """The headers that tell it; none for a key without a limit."""
    if not allowance.limit:
        return {}
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(math.ceil(allowance.reset)),
    }
