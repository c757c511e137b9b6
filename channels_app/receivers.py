"""What this app does when others tell it something."""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from channels_app import identity, live
from channels_app.models import FeedCursor, FeedItem


def scrub(*, recipient_id: UUID, **_: object) -> None:
    """An erased person's feed goes with them. The cursor first: deleting it waits for a batch that is being stored
    for this person, whose items are then visible to the second statement; a later batch finds no recipient."""
    FeedCursor.objects.filter(recipient_id=recipient_id).delete()
    FeedItem.objects.filter(recipient_id=recipient_id).delete()
    transaction.on_commit(partial(live.end, recipient_id))


def signed_out(*, request: HttpRequest | None, **_: object) -> None:
    """Tell the sockets that were opened with a session which is about to end. The session is still whole."""
    if request is None or not hasattr(request, "session"):
        return
    who = identity.from_request(request)
    if who is not None:
        live.end(who.recipient_id, session_key=who.session_key)
