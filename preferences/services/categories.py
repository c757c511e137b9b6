"""The categories as routing needs them, kept in the process for a few seconds: they are few and seldom change."""

import time

import msgspec

from preferences.models import Category

#: A change in the admin is in force everywhere after this long, and costs one query a process.
KEEP_SECONDS = 5.0


class CategoryInfo(msgspec.Struct, frozen=True):
    """What routing asks of a category."""

    id: int
    slug: str
    channels: tuple[str, ...]
    default_priority: str
    is_required: bool


class CategoryCache:
    """All categories by slug, re-read when older than KEEP_SECONDS."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._categories: dict[str, CategoryInfo] = {}

    def all(self) -> dict[str, CategoryInfo]:
        now = time.monotonic()
        if now - self._read_at >= KEEP_SECONDS:
            rows = Category.objects.values_list("id", "slug", "channels", "default_priority", "is_required")
            self._categories = {
                slug: CategoryInfo(id, slug, tuple(channels), priority, is_required)
                for id, slug, channels, priority, is_required in rows
            }
            self._read_at = now
        return self._categories

    def forget(self, **_: object) -> None:
        """Read again at the next call. Receives Category's signals, so that a process sees its own writes."""
        self._read_at = float("-inf")
