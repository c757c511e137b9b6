"""Where the things behind a number are: addresses of the admin's lists, for those who may see them."""

from datetime import datetime
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse

from analytics.dashboard.asked import Asked

User = AbstractBaseUser | AnonymousUser
_TIME = "%Y-%m-%dT%H:%M"


class Links:
    """Addresses for one reader; "" where they may not look. A list is narrowed as the question is, so that it shows
    what was counted; it goes by when messages were accepted, a count by when a thing happened."""

    def __init__(self, user: User) -> None:
        self._user = user

    def may(self, model: str, action: str = "view") -> bool:
        """Whether the reader may see (or `add`, `delete`) rows of a model, "app.model"."""
        app, _, name = model.partition(".")
        actions = ("view", "change") if action == "view" else (action,)
        return any(self._user.has_perm(f"{app}.{one}_{name}") for one in actions)  # type: ignore[union-attr]  # both have it

    def list(self, model: str, **query: object) -> str:
        """A model's list in the admin, narrowed."""
        if not self.may(model):
            return ""
        address = reverse(f"admin:{model.replace('.', '_')}_changelist")
        chosen = {name: value for name, value in query.items() if value not in ("", None)}
        return f"{address}?{urlencode(chosen)}" if chosen else address

    def deliveries(self, asked: Asked, *, outcome: str = "", reason: str = "", channel: str = "") -> str:
        """The deliveries behind a count of the span."""
        where = asked.where
        return self.list(
            "notifications.delivery",
            created_from=_time(asked.since),
            created_to="" if asked.is_live else _time(asked.until),
            channel__exact=channel or where.channel,
            category=where.category_id,
            provider=where.provider,
            outcome=outcome,
            reason=reason,
        )

    def notifications(self, asked: Asked, *, source: str = "", category: str = "") -> str:
        """The notifications behind a count of the span."""
        return self.list(
            "notifications.notification",
            created_from=_time(asked.since),
            created_to="" if asked.is_live else _time(asked.until),
            category=category or asked.where.category_id,
            source=source,
        )


def _time(moment: datetime) -> str:
    return moment.strftime(_TIME)
