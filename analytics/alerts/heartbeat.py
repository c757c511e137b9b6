"""The dead man's switch: as long as rules are evaluated, somebody outside is told so. When nobody hears of us any more,
that service raises the alarm: for a machine that is gone, a process that stands still, a PostgreSQL that is away."""

import time

import structlog
from django.conf import settings

from core.outbound_http import OutboundFailed, OutboundRefused, request_once

log = structlog.get_logger(__name__)

#: Seconds for the request. A service that is slow costs the maintenance process no more than this a minute.
TIMEOUT_SECONDS = 3.0


class _Heart:
    """When rules were last evaluated and when that was last told, in this process, by its monotonic clock."""

    evaluated_at = float("-inf")
    told_at = float("-inf")


def evaluated() -> None:
    """Note that rules were evaluated just now."""
    _Heart.evaluated_at = time.monotonic()


def beat() -> bool:
    """Tell, if it is due and there is something new to tell; whether the service took it."""
    url: str = settings.ALERT_HEARTBEAT_URL
    is_due = time.monotonic() - _Heart.told_at >= settings.ALERT_HEARTBEAT_SECONDS
    if not url or not is_due or _Heart.evaluated_at <= _Heart.told_at:
        return False
    _Heart.told_at = time.monotonic()
    try:
        answer = request_once("POST", url, timeout=TIMEOUT_SECONDS)
    except (OutboundRefused, OutboundFailed) as error:
        log.warning("alerts.heartbeat_failed", error=str(error))  # never the URL: it is a secret
        return False
    if not answer.is_ok:
        log.warning("alerts.heartbeat_failed", status=answer.status)
    return answer.is_ok
