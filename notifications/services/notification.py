"""Acceptance: from drafts to rows, for a batch. One item is a batch of one."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core import ids
from notifications import bulk, registry
from notifications.choices import EventType, Status
from notifications.drafts import MAX_DRAFTS, Accepted, Draft
from notifications.errors import DraftsRejected, FieldError
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import OutcomeKey
from notifications.services.admission import Admission, Admitted, storable
from notifications.services.routing import Route, route
from notifications.services.tracking import DeliveryTracker
from preferences.services import PreferencesService, Reach

log = structlog.get_logger(__name__)

_NOTIFICATION = (
    "id, recipient_id, category_id, template_version_id, content, data, priority, source, is_test,"
    " send_at, expires_at, dedup_key, metadata, created_at"
)
_DELIVERY = (
    "id, notification_id, recipient_id, channel, priority, device_token_id, status, skip_reason, attempts,"
    " provider, error_code, created_at"
)
_EVENT = "id, delivery_id, type, at, attempt, provider, code, provider_message_id, detail"


class NotificationService:
    """The door of the pipeline: API, admin, campaigns and host code all come through `send`.

    validate -> resolve recipients -> route -> record, in a constant number of round trips for up to 1,000 drafts.
    """

    def __init__(self, preferences: PreferencesService | None = None) -> None:
        self.preferences = preferences or PreferencesService()

    def send(self, drafts: Sequence[Draft], *, source: str, is_test: bool = False) -> list[Accepted]:
        """Put drafts on the record, all or none, and schedule their deliveries.

        Joins the caller's transaction if there is one: a rollback sends nothing. Returns one Accepted per draft, in
        order. Raises DraftsRejected with every fault of every draft. Nothing leaves the process here: the relay or a
        worker finds the work in the outbox.
        """
        if not drafts:
            return []
        plans = self._plan(drafts)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT now()")
            (now,) = cursor.fetchone()
            known = _already_recorded(cursor, drafts)
            batch = _Batch(source, is_test, now)
            accepted = []
            for admitted, reach in plans:
                if admitted.draft.id is not None and admitted.draft.id in known:
                    accepted.append(Accepted(admitted.draft.id, 0, 0, existed=True))
                else:
                    accepted.append(batch.add(admitted, reach))
            batch.write(cursor)
        return accepted

    def cancel(self, notification_id: UUID) -> int:
        """Stop what has not left yet; the number of deliveries stopped.

        Raises AlreadyLeft when there is nothing to stop any more, Notification.DoesNotExist for an unknown id.
        """
        return DeliveryTracker().cancel(notification_id)

    def _plan(self, drafts: Sequence[Draft]) -> list[tuple[Admitted, Reach]]:
        if len(drafts) > MAX_DRAFTS:
            raise DraftsRejected({MAX_DRAFTS: [FieldError("", "too_many", f"At most {MAX_DRAFTS} in one call.")]})
        categories = self.preferences.categories({draft.category for draft in drafts})
        admission = Admission(categories, (draft.template for draft in drafts))
        reaches = self.preferences.reach([draft.recipient for draft in drafts if storable(draft.recipient)])
        plans: list[tuple[Admitted, Reach]] = []
        errors: dict[int, list[FieldError]] = {}
        for index, draft in enumerate(drafts):
            found = admission.admit(draft)
            reach = reaches.get(draft.recipient)
            faults = found if isinstance(found, list) else []
            if reach is None:
                faults = [
                    FieldError("/recipient", "unknown", f"There is no recipient {draft.recipient[:128]!r}."),
                    *faults,
                ]
            if faults:
                errors[index] = faults
            elif reach is not None and isinstance(found, Admitted):
                plans.append((found, reach))
        if errors:
            raise DraftsRejected(errors)
        return plans


def _already_recorded(cursor: CursorWrapper, drafts: Sequence[Draft]) -> set[UUID]:
    """Which deterministic ids stand on the record: a chunk that is run again adds nothing."""
    given = [draft.id for draft in drafts if draft.id is not None]
    if not given:
        return set()
    cursor.execute("SELECT id FROM notifications_notification WHERE id = ANY(%s::uuid[])", [bulk.uuid_array(given)])
    return {row[0] for row in cursor.fetchall()}


class _Batch:
    """The lines of one acceptance: gathered draft by draft, written with one COPY per table."""

    def __init__(self, source: str, is_test: bool, now: datetime) -> None:
        self.source = source
        self.now = now
        self.created_at = now.isoformat()
        self.source_and_test = f"{bulk.text(source)}\t{'t' if is_test else 'f'}"
        self.notifications: list[str] = []
        self.deliveries: list[str] = []
        self.events: list[str] = []
        self.schedule = bulk.Schedule(MAX_DELIVERIES)
        self.counts: Counter[OutcomeKey] = Counter()

    def add(self, admitted: Admitted, reach: Reach) -> Accepted:
        draft, category, priority = admitted.draft, admitted.category, admitted.priority
        notification_id = draft.id or ids.uuid7()
        version = bulk.NULL if admitted.template is None else str(admitted.template.version_id)
        content = bulk.NULL if admitted.content is None else bulk.json(admitted.content)
        self.notifications.append(
            f"{notification_id}\t{reach.id}\t{category.id}\t{version}\t{content}\t{bulk.json(draft.data)}\t{priority}\t"
            f"{self.source_and_test}\t{bulk.moment(draft.send_at)}\t{bulk.moment(draft.expires_at)}\t"
            f"{bulk.text(draft.dedup_key)}\t{bulk.json(draft.metadata)}\t{self.created_at}"
        )
        self.counts[OutcomeKey(self.source, category.id, "", "", "accepted")] += 1
        routes = route(reach, category, admitted.channels)
        due_at = draft.send_at if draft.send_at is not None and draft.send_at > self.now else None
        for position, way in enumerate(routes):
            delivery_id = (
                ids.uuid7()
                if draft.id is None
                else ids.deterministic(ids.made_at(draft.id), (draft.id, way.channel, way.device or position))
            )
            status = Status.SKIPPED.value if way.skip else Status.QUEUED.value
            self.deliveries.append(
                f"{delivery_id}\t{notification_id}\t{reach.id}\t{way.channel}\t{priority}\t{way.device or bulk.NULL}\t"
                f"{status}\t{way.skip}\t0\t\t\t{self.created_at}"
            )
            self._follow(way, delivery_id, category.id, priority, due_at)
        skipped = sum(1 for way in routes if way.skip)
        return Accepted(notification_id, len(routes) - skipped, skipped)

    def _follow(self, way: Route, delivery_id: UUID, category_id: int, priority: str, due_at: datetime | None) -> None:
        if not way.skip:
            self.schedule.add(way.channel, priority, delivery_id, due_at=due_at)
            self.counts[OutcomeKey(self.source, category_id, way.channel, "", "queued")] += 1
            return
        skipped = EventType.SKIPPED.value
        self.events.append(f"{ids.uuid7()}\t{delivery_id}\t{skipped}\t{self.created_at}\t0\t\t{way.skip}\t\t")
        self.counts[OutcomeKey(self.source, category_id, way.channel, "", skipped, way.skip)] += 1

    def write(self, cursor: CursorWrapper) -> None:
        if not self.notifications:
            return
        bulk.copy(cursor, "notifications_notification", _NOTIFICATION, self.notifications)
        bulk.copy(cursor, "notifications_delivery", _DELIVERY, self.deliveries)
        bulk.copy(cursor, "notifications_deliveryevent", _EVENT, self.events)
        self.schedule.write(cursor)
        for observer in registry.observers():
            observer.record(self.counts, self.now)
