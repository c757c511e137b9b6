"""The categories as routing needs them, kept in the process for a few seconds: they are few and seldom change."""

import time
from collections.abc import Iterable

import msgspec

from preferences.choices import Purpose
from preferences.digesting.rules import DIGEST_COLUMNS, NO_DIGEST, DigestRule, digest_rule
from preferences.models import Category
from preferences.strategies import DEFAULT_STEPS, DEFAULT_WAIT, Step, escalation_of

#: A change in the admin is in force everywhere after this long, and costs one query a process.
KEEP_SECONDS = 5.0
#: How often a slug that is not there may cost a look: a caller's typing error must not become a query a request.
MISS_SECONDS = 1.0


class CategoryInfo(msgspec.Struct, frozen=True):
    """What routing, sending and tracking ask of a category."""

    id: int
    slug: str
    channels: tuple[str, ...]
    default_priority: str
    is_required: bool
    is_marketing: bool = False
    dedup_seconds: int = 0
    track_clicks: bool = True
    track_opens: bool = False
    waits_for_quiet_hours: bool = True
    digest: DigestRule = NO_DIGEST
    cap_per_day: int | None = None
    cap_per_week: int | None = None
    strategy: str = "all"
    fallback_seconds: int = DEFAULT_WAIT
    escalation: tuple[Step, ...] = DEFAULT_STEPS


class CategoryCache:
    """All categories by slug, re-read when older than KEEP_SECONDS."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._categories: dict[str, CategoryInfo] = {}

    def all(self) -> dict[str, CategoryInfo]:
        now = time.monotonic()
        if now - self._read_at >= KEEP_SECONDS:
            self._categories = {info.slug: info for info in map(_info, Category.objects.all())}
            self._read_at = now
        return self._categories

    def knowing(self, slugs: Iterable[str]) -> dict[str, CategoryInfo]:
        """All categories, read again when one of these is not among them: it may be new."""
        if not all(slug in self._categories for slug in slugs):
            self._expire(MISS_SECONDS)
        return self.all()

    def by_id(self, ids: Iterable[int]) -> dict[int, CategoryInfo]:
        """All categories by id, read again when one of these is not among them. What a worker checks an opt-out with
        must not be missing only because it is new."""
        found = {info.id: info for info in self.all().values()}
        if not all(id in found for id in ids):
            self.forget()
            found = {info.id: info for info in self.all().values()}
        return found

    def _expire(self, seconds: float) -> None:
        """Read again at the next call if what is known is older than this."""
        if time.monotonic() - self._read_at >= seconds:
            self.forget()

    def forget(self, **_: object) -> None:
        """Read again at the next call. Receives Category's signals, so that a process sees its own writes."""
        self._read_at = float("-inf")


def _info(row: Category) -> CategoryInfo:
    return CategoryInfo(
        id=row.id,
        slug=row.slug,
        channels=tuple(row.channels),
        default_priority=row.default_priority,
        is_required=row.is_required,
        is_marketing=row.purpose == Purpose.MARKETING,
        dedup_seconds=row.dedup_seconds,
        track_clicks=row.track_clicks,
        track_opens=row.track_opens,
        waits_for_quiet_hours=row.waits_for_quiet_hours,
        cap_per_day=row.cap_per_day,
        cap_per_week=row.cap_per_week,
        strategy=row.strategy,
        fallback_seconds=row.fallback_seconds,
        escalation=escalation_of(row.escalation),
        digest=digest_rule([getattr(row, name) for name in DIGEST_COLUMNS]),
    )
