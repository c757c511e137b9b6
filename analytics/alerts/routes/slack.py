"""An incoming webhook of Slack, Mattermost, Rocket.Chat and the like: `text`, and an attachment for each alert."""

from collections.abc import Mapping
from typing import Any

import orjson

from analytics.alerts.choices import Severity
from analytics.alerts.routes.base import Line, Outcome, Outgoing, Target
from analytics.alerts.routes.webhook import post

#: Slack shows twenty attachments of a message, and asks for no more.
MAX_ATTACHMENTS = 20
_COLOURS: Mapping[str, str] = {Severity.CRITICAL: "#b3261e", Severity.WARNING: "#d98200", Severity.INFO: "#2563a8"}
_OVER = "#23774a"


def send(target: Target, message: Outgoing) -> Outcome:
    return post(target.target.strip(), orjson.dumps(payload(message)), {})


def payload(message: Outgoing) -> dict[str, Any]:
    if message.is_test:
        return {"text": escaped(message.text)}
    shown = message.lines[:MAX_ATTACHMENTS]
    rest = len(message.lines) - len(shown)
    text = message.subject + (f" (and {rest} more)" if rest else "")
    return {"text": escaped(text), "attachments": [_attachment(line) for line in shown]}


def _attachment(line: Line) -> dict[str, Any]:
    advice = "" if line.is_over else line.advice
    return {
        "color": _OVER if line.is_over else _COLOURS[line.severity],
        "title": escaped(line.head),
        "title_link": line.url,
        "text": escaped("\n".join(filter(None, (line.summary, advice)))),
        "fallback": escaped(f"{line.head}. {line.summary}"),
        "ts": int(line.at.timestamp()),
    }


def escaped(text: str) -> str:
    """Slack's three: nothing in a name becomes a link or calls a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
