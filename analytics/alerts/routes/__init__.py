"""The ways to people: a module for each kind, and the table that names them."""

from collections.abc import Mapping

from analytics.alerts.choices import RouteKind
from analytics.alerts.routes import in_app, mail, slack, webhook
from analytics.alerts.routes.base import InvalidTarget, Outcome, Outgoing, Target, Way

__all__ = ["WAYS", "InvalidTarget", "Outcome", "Outgoing", "Target", "Way"]

WAYS: Mapping[str, Way] = {
    RouteKind.EMAIL: Way(mail.check, mail.send),
    RouteKind.WEBHOOK: Way(webhook.check, webhook.send),
    RouteKind.SLACK: Way(webhook.check, slack.send),
    RouteKind.IN_APP: Way(in_app.check, in_app.send, needs_database=True),
}
