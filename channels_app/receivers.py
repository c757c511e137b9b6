"""What this app does when others tell it something."""

from uuid import UUID

from channels_app.models import FeedCursor, FeedItem


def scrub(*, recipient_id: UUID, **_: object) -> None:
    """An erased person's feed goes with them. The cursor first: deleting it waits for a batch that is being stored
    for this person, whose items are then visible to the second statement; a later batch finds no recipient."""
    FeedCursor.objects.filter(recipient_id=recipient_id).delete()
    FeedItem.objects.filter(recipient_id=recipient_id).delete()
