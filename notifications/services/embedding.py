"""Carillon inside a host project: one function, safe inside the host's own transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from notifications.choices import Channel, Priority
from notifications.drafts import Accepted, Draft


class NotifyOptions(TypedDict, total=False):
    """The rest of a Draft's fields; see `notifications.drafts.Draft`."""

    template: str
    content: Mapping[str, object]
    data: Mapping[str, object]
    channels: Sequence[Channel | str]
    priority: Priority | str
    send_at: datetime
    expires_at: datetime
    dedup_key: str
    digest_key: str
    metadata: Mapping[str, object]
    strategy: str | Mapping[str, object]


def notify(*, recipient: str, category: str, **options: Unpack[NotifyOptions]) -> Accepted:
    """Send one notification, as part of the caller's transaction.

    Inside `transaction.atomic()` the notification exists when and only when the caller's own rows do: a rollback sends
    nothing. Raises `DraftsRejected` with a pointer per fault.
    """
    from notifications.services.notification import NotificationService  # the app registry is not ready at import

    return NotificationService().send([Draft(recipient=recipient, category=category, **options)], source="notify")[0]
