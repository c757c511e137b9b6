"""Acceptance: from drafts to rows, for a batch. One item is a batch of one."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.deadlocks import repeated
from core.postgresql.direct import direct_cursor
from notifications.digests import gathering
from notifications.drafts import MAX_DRAFTS, Accepted, Draft
from notifications.errors import DraftsRejected, FieldError
from notifications.services import deduplication
from notifications.services.acceptance import Batch
from notifications.services.admission import Admission, Admitted
from notifications.services.deduplication import DeduplicationService
from notifications.services.tracking import DeliveryTracker
from notifications.services.tracking_sql import of_record
from preferences.services import PreferencesService

_GIVEN = "SELECT id FROM notifications_notification WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3"


class NotificationService:
    """The door of the pipeline: API, admin, campaigns and host code all come through `send`.

    validate -> resolve recipients -> route -> find duplicates -> record, in a constant number of round trips for up to
    1,000 drafts.
    """

    def __init__(self, preferences: PreferencesService | None = None) -> None:
        self.preferences = preferences or PreferencesService()

    def send(
        self, drafts: Sequence[Draft], *, source: str, is_test: bool = False, gather: bool = True
    ) -> list[Accepted]:
        """Put drafts on the record, all or none, and schedule their deliveries.

        Joins the caller's transaction if there is one: a rollback sends nothing. Returns one Accepted per draft, in
        order. `gather` False: nothing waits for a digest, being one itself. Raises DraftsRejected with every fault of
        every draft. Nothing leaves the process here: the relay or a worker finds the work in the outbox.
        """
        if not drafts:
            return []
        admitted = self.admitted(drafts)
        guarded = any(one.terms.category.dedup_seconds for one in admitted)
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute(deduplication.BEGIN if guarded else "SELECT now(), 0")
            now, lock = cursor.fetchone()[:2]
            known = _already_recorded(cursor, drafts)
            batch = Batch(source, is_test, now)
            items, firsts = batch.weigh(cursor, admitted, DeduplicationService(), lock=lock, known=known)
            waiting = gathering.gather(cursor, items, {*firsts, *known}, now=now, is_test=is_test) if gather else {}
            accepted = [
                Accepted(item.id, 0, 0, existed=True)
                if item.id in known
                else batch.add(item, firsts.get(item.id), waiting.get(item.id))
                for item in items
            ]
            batch.write(cursor)
        return accepted

    def cancel(self, notification_id: UUID) -> int:
        """Stop what has not left yet; the number of deliveries stopped.

        Raises AlreadyLeft when there is nothing to stop any more, Notification.DoesNotExist for an unknown id. What is
        in a worker's hands at this moment counts as left, and what was given up as ended; if it comes back, held, to be
        tried again or from the dead letters, it is not sent.
        """
        return repeated(lambda: DeliveryTracker().cancel(notification_id))

    def admitted(self, drafts: Sequence[Draft]) -> list[Admitted]:
        """The drafts with their names and people resolved. Raises DraftsRejected with every fault of every draft."""
        if len(drafts) > MAX_DRAFTS:
            raise DraftsRejected({MAX_DRAFTS: [FieldError("", "too_many", f"At most {MAX_DRAFTS} in one call.")]})
        categories = self.preferences.categories({draft.category for draft in drafts})
        reaches = self.preferences.reach([draft.recipient for draft in drafts])
        admission = Admission(categories, reaches, drafts)
        answers = [admission.admit(draft) for draft in drafts]
        errors = {index: answer for index, answer in enumerate(answers) if isinstance(answer, list)}
        if errors:
            raise DraftsRejected(errors)
        return [answer for answer in answers if isinstance(answer, Admitted)]


def _already_recorded(cursor: CursorWrapper, drafts: Sequence[Draft]) -> Collection[Key]:
    """Which deterministic ids stand on the record: a chunk that is run again adds nothing."""
    return of_record(cursor, _GIVEN, [ids.key(draft.id) for draft in drafts if draft.id is not None])
