"""A signed POST, as Standard Webhooks has it: `webhook-id` is the message's and stays the same at every try."""

from typing import Any

import orjson

from analytics.alerts.routes.base import InvalidTarget, Line, Outcome, Outgoing, Target
from core.outbound_http import Answer, OutboundFailed, OutboundRefused, check_url, request_once
from core.standard_webhooks import sign

#: Statuses that say "not now": another try may be taken.
_LATER = frozenset({408, 425, 429})


def check(target: Target) -> None:
    try:
        check_url(target.target.strip())
    except OutboundRefused as error:
        raise InvalidTarget(str(error)) from error


def send(target: Target, message: Outgoing) -> Outcome:
    body = orjson.dumps(payload(message))
    signed = sign([target.secret], id=message.id, timestamp=int(message.at.timestamp()), body=body)
    return post(target.target.strip(), body, signed)


def payload(message: Outgoing) -> dict[str, Any]:
    """`{"type": "alerts", "timestamp": ..., "data": {"subject": ..., "alerts": [...]}}`; a test has the type
    "alerts.test" and no alerts."""
    return {
        "type": "alerts.test" if message.is_test else "alerts",
        "timestamp": message.at,
        "data": {"subject": message.subject, "url": message.url, "alerts": [_alert(line) for line in message.lines]},
    }


def _alert(line: Line) -> dict[str, Any]:
    return {
        "id": line.alert_id,
        "fingerprint": line.fingerprint,
        "event": line.what,
        "at": line.at,
        "title": line.title,
        "severity": line.severity,
        "channel": line.channel,
        "provider": line.provider,
        "summary": line.summary,
        "advice": line.advice,
        "opened_at": line.opened_at,
        "resolved_at": line.resolved_at,
        "url": line.url,
    }


def post(url: str, body: bytes, headers: dict[str, str]) -> Outcome:
    """One try; a redirect and a 4xx will not get better by themselves."""
    try:
        answer = request_once("POST", url, body=body, headers={"Content-Type": "application/json", **headers})
    except OutboundRefused as error:
        return Outcome(False, str(error), for_good=True)
    except OutboundFailed as error:
        return Outcome(False, str(error))
    if answer.is_ok:
        return Outcome(True, _words(answer))
    return Outcome(False, _words(answer), for_good=300 <= answer.status < 500 and answer.status not in _LATER)


def _words(answer: Answer) -> str:
    return f"HTTP {answer.status} after {answer.seconds * 1000:,.0f} ms"
