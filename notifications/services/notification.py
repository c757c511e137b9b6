"""Acceptance: from drafts to rows, for a batch. One item is a batch of one."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.drafts import MAX_DRAFTS, Accepted, Draft
from notifications.errors import DraftsRejected, FieldError
from notifications.services import deduplication
from notifications.services.acceptance import Batch
from notifications.services.admission import Admission, Admitted
from notifications.services.deduplication import DeduplicationService
from notifications.services.tracking import DeliveryTracker
from preferences.services import PreferencesService, Reach


class NotificationService:
    """The door of the pipeline: API, admin, campaigns and host code all come through `send`.

    validate -> resolve recipients -> route -> find duplicates -> record, in a constant number of round trips for up to
    1,000 drafts.
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
        guarded = any(admitted.terms.category.dedup_seconds for admitted, _ in plans)
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute(deduplication.BEGIN if guarded else "SELECT now(), 0")
            now, lock = cursor.fetchone()[:2]
            known = _already_recorded(cursor, drafts)
            batch = Batch(source, is_test, now)
            items = batch.items(plans)
            asks = [ask for item in items if item.id not in known and (ask := batch.ask(item)) is not None]
            firsts = DeduplicationService().firsts(cursor, asks, lock=lock, now=now, is_test=is_test)
            accepted = [
                Accepted(item.id, 0, 0, existed=True) if item.id in known else batch.add(item, firsts.get(item.id))
                for item in items
            ]
            batch.write(cursor)
        return accepted

    def cancel(self, notification_id: UUID) -> int:
        """Stop what has not left yet; the number of deliveries stopped.

        Raises AlreadyLeft when there is nothing to stop any more, Notification.DoesNotExist for an unknown id. What is
        in a worker's hands at this moment counts as left; if it comes back, held or to be tried again, it is not sent.
        """
        return DeliveryTracker().cancel(notification_id)

    def _plan(self, drafts: Sequence[Draft]) -> list[tuple[Admitted, Reach]]:
        if len(drafts) > MAX_DRAFTS:
            raise DraftsRejected({MAX_DRAFTS: [FieldError("", "too_many", f"At most {MAX_DRAFTS} in one call.")]})
        categories = self.preferences.categories({draft.category for draft in drafts})
        admission = Admission(categories, (draft.template for draft in drafts))
        reaches = self.preferences.reach([draft.recipient for draft in drafts])
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


def _already_recorded(cursor: CursorWrapper, drafts: Sequence[Draft]) -> set[Key]:
    """Which deterministic ids stand on the record: a chunk that is run again adds nothing."""
    given = [ids.key(draft.id) for draft in drafts if draft.id is not None]
    if not given:
        return set()
    cursor.execute("SELECT id FROM notifications_notification WHERE id = ANY($1::uuid[])", [KeyArray.of(given)])
    return {row[0] for row in cursor.fetchall()}
