"""The lines of one acceptance: what each draft becomes, gathered and written with one COPY per table."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from core import ids
from notifications import bulk, registry
from notifications.choices import EventType, SkipReason, Status
from notifications.drafts import Accepted
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import OutcomeKey
from notifications.services.admission import Admitted
from notifications.services.deduplication import Ask, detail_of, mark_of
from notifications.services.routing import Route, route
from preferences.services import Reach

_NOTIFICATION = (
    "id, recipient_id, category_id, template_version_id, content, data, priority, source, is_test,"
    " send_at, expires_at, dedup_key, metadata, created_at"
)
_DELIVERY = (
    "id, notification_id, recipient_id, channel, priority, device_token_id, status, skip_reason, attempts,"
    " provider, error_code, created_at"
)
_EVENT = "id, delivery_id, type, at, attempt, provider, code, provider_message_id, detail"


@dataclass(slots=True)
class Item:
    """An admitted draft with its id, its routes, and as COPY fields the person and the wording."""

    admitted: Admitted
    reach: Reach
    id: UUID
    person: str
    wording: str  # template version, content and data
    routes: list[Route]


class Batch:
    """Drafts of one call of `NotificationService.send`, on their way into the record."""

    def __init__(self, source: str, is_test: bool, now: datetime) -> None:
        self.source = source
        self.is_test = is_test
        self.now = now
        self.created_at = now.isoformat()
        self.source_and_test = f"{bulk.text(source)}\t{'t' if is_test else 'f'}"
        self.notifications: list[str] = []
        self.deliveries: list[str] = []
        self.events: list[str] = []
        self.schedule = bulk.Schedule(MAX_DELIVERIES)
        self.counts: Counter[OutcomeKey] = Counter()

    def item(self, admitted: Admitted, reach: Reach) -> Item:
        draft = admitted.draft
        version = bulk.NULL if admitted.template is None else str(admitted.template.version_id)
        content = bulk.NULL if admitted.content is None else bulk.json(admitted.content)
        return Item(
            admitted,
            reach,
            draft.id or ids.uuid7(),
            str(reach.id),
            f"{version}\t{content}\t{bulk.json(draft.data)}",
            route(reach, admitted.category, admitted.channels),
        )

    def ask(self, item: Item) -> Ask | None:
        """What deduplication is asked; None when the category wants none, or when it reaches nobody: that must not
        hold back one that does."""
        draft, category = item.admitted.draft, item.admitted.category
        if not category.dedup_seconds or all(way.skip for way in item.routes):
            return None
        if draft.dedup_key:
            said = f"key\t{draft.dedup_key}"
        else:
            moment = "" if draft.send_at is None else draft.send_at.timestamp()
            said = f"{item.wording}\t{','.join(sorted(item.admitted.channels))}\t{moment}"
        mark = mark_of(f"{item.person}\t{category.id}\t{self.is_test}\t{said}")
        return Ask(item.id, item.reach.id, category.id, mark, category.dedup_seconds, draft.dedup_key)

    def add(self, item: Item, duplicate_of: UUID | None) -> Accepted:
        """Put it with its deliveries into the lines; those of a duplicate are skipped."""
        draft, category, priority = item.admitted.draft, item.admitted.category, item.admitted.priority
        notification_id, person = str(item.id), item.person
        self.notifications.append(
            f"{notification_id}\t{person}\t{category.id}\t{item.wording}\t{priority}\t"
            f"{self.source_and_test}\t{bulk.moment(draft.send_at)}\t{bulk.moment(draft.expires_at)}\t"
            f"{bulk.text(draft.dedup_key)}\t{bulk.json(draft.metadata)}\t{self.created_at}"
        )
        self.counts[OutcomeKey(self.source, category.id, "", "", "accepted")] += 1
        due_at = draft.send_at if draft.send_at is not None and draft.send_at > self.now else None
        skipped = 0
        for position, way in enumerate(item.routes):
            skip, detail = way.skip, ""
            if not skip and duplicate_of is not None:
                skip, detail = SkipReason.DUPLICATE.value, detail_of(duplicate_of)
            delivery_id = (
                ids.uuid7()
                if draft.id is None
                else ids.deterministic(ids.made_at(draft.id), (draft.id, way.channel, way.device or position))
            )
            self.deliveries.append(
                f"{delivery_id}\t{notification_id}\t{person}\t{way.channel}\t{priority}\t{way.device or bulk.NULL}\t"
                f"{Status.SKIPPED.value if skip else Status.QUEUED.value}\t{skip}\t0\t\t\t{self.created_at}"
            )
            if skip:
                skipped += 1
                self._skip(way.channel, delivery_id, category.id, skip, detail)
            else:
                self.schedule.add(way.channel, priority, delivery_id, due_at=due_at)
                self.counts[OutcomeKey(self.source, category.id, way.channel, "", "queued")] += 1
        return Accepted(item.id, len(item.routes) - skipped, skipped, duplicate_of=duplicate_of)

    def _skip(self, channel: str, delivery_id: UUID, category_id: int, reason: str, detail: str) -> None:
        skipped = EventType.SKIPPED.value
        self.events.append(f"{ids.uuid7()}\t{delivery_id}\t{skipped}\t{self.created_at}\t0\t\t{reason}\t\t{detail}")
        self.counts[OutcomeKey(self.source, category_id, channel, "", skipped, reason)] += 1

    def write(self, cursor: CursorWrapper) -> None:
        if not self.notifications:
            return
        bulk.copy(cursor, "notifications_notification", _NOTIFICATION, self.notifications)
        bulk.copy(cursor, "notifications_delivery", _DELIVERY, self.deliveries)
        bulk.copy(cursor, "notifications_deliveryevent", _EVENT, self.events)
        self.schedule.write(cursor)
        for observer in registry.observers():
            observer.record(self.counts, self.now)
