"""What a Retry-After header says (RFC 9110, section 10.2.3). Pure."""

import re
from datetime import datetime

from django.utils.http import parse_http_date

#: No vendor means more than this; what is obeyed is capped by RETRY_CAP_SECONDS besides.
LONGEST = 365 * 86_400.0

#: Whole seconds by the RFC; some vendors send fractions.
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds to wait, from 0 to LONGEST: of a number of seconds or of an HTTP date, in any of its three forms. A date
    that is past is 0.0. None when the header is missing or says nothing that the RFC knows, such as a negative number.

    `now` is aware: the moment of the answer, best by the answer's own Date header, so that a wrong clock here moves
    nothing.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST)
    try:
        at = parse_http_date(text)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, at - now.timestamp()), LONGEST)
