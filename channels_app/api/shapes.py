"""What the feed API takes (msgspec, checked) and gives (DRF serializers, for the documentation)."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from rest_framework import serializers

from channels_app.store import COUNT_CAP

AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]


class Snooze(msgspec.Struct, forbid_unknown_fields=True):
    """The body of snooze: until when the item stays hidden; null shows it again."""

    until: AwareDatetime | None


class ReadAll(msgspec.Struct, forbid_unknown_fields=True):
    """The body of read-all, which may be left out: of which category; null means all."""

    category: str | None = None


class FeedItemSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The delivery's id.")
    seq = serializers.IntegerField(
        help_text="1, 2, 3, ... per recipient, in the order of arrival. An item that wakes up gets the next number."
    )
    category = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField()
    link = serializers.CharField(help_text="http, https, a path, or empty.")
    icon = serializers.CharField(help_text="An image's address, a short text such as an emoji, or empty.")
    data = serializers.DictField(  # type: ignore[assignment]  # DRF takes its fields off the class, so nothing is hidden
        help_text="What the sender put under `metadata.in_app`."
    )
    created_at = serializers.DateTimeField()
    woken_at = serializers.DateTimeField(allow_null=True, help_text="When it last came back from being snoozed.")
    seen_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)


class FeedCountsSerializer(serializers.Serializer[Any]):
    unseen = serializers.IntegerField(help_text=f"Not yet looked at; {COUNT_CAP} means that many or more.")
    unread = serializers.IntegerField(help_text=f"Not yet read; {COUNT_CAP} means that many or more.")
    version = serializers.IntegerField(help_text="Moves with every change of the feed. The higher one is the younger.")


class FeedPageSerializer(serializers.Serializer[Any]):
    results = FeedItemSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    counts = FeedCountsSerializer()


class FeedChangeSerializer(serializers.Serializer[Any]):
    item = FeedItemSerializer()
    counts = FeedCountsSerializer()


class FeedCategorySerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField(help_text="Empty when the category does not exist any more.")
    items = serializers.IntegerField(help_text="Neither archived nor asleep.")
    unread = serializers.IntegerField()


class FeedCategoriesSerializer(serializers.Serializer[Any]):
    results = FeedCategorySerializer(many=True)


class ReadAllSerializer(serializers.Serializer[Any]):
    category = serializers.CharField(
        required=False, allow_null=True, help_text="A category's slug: only its items. All when left out."
    )


class FeedReadAllSerializer(serializers.Serializer[Any]):
    changed = serializers.IntegerField(help_text="Items that this call marked as read.")
    more = serializers.BooleanField(help_text="Whether unread items remain: call again.")
    counts = FeedCountsSerializer()


class SnoozeSerializer(serializers.Serializer[Any]):
    until = serializers.DateTimeField(allow_null=True, help_text="Hidden until then; null shows it again.")


class FeedTokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class SocketTicketSerializer(serializers.Serializer[Any]):
    ticket = serializers.CharField()
    expires_at = serializers.DateTimeField()
