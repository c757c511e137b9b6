"""Saved lists of people: who is on them, in batches, with a size that is always right."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models.functions import Now

from campaigns.segments.models import RecipientList
from campaigns.segments.services import delete_unused, save_named, used_by
from preferences.models import Recipient
from preferences.validation import is_external_id

#: Ids in one call. More people come as a file.
MAX_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Changed:
    """What a batch of ids came to: how many people were added or taken off, how many were so already, and the ids that
    nobody has, each once, in the order given."""

    changed: int
    unchanged: int
    unknown: tuple[str, ...]


class ListService:
    """Writes lists. Every change holds the list's row, so that its size moves with its members."""

    def create(self, name: str, description: str = "", *, by: AbstractBaseUser | None) -> RecipientList:
        """Raises NameTaken."""
        made = RecipientList(name=name, description=description, created_by_id=by.pk if by else None)
        return self._saved(made)

    def change(self, list: RecipientList, *, name: str | None = None, description: str | None = None) -> RecipientList:
        """What is None stays. Raises NameTaken."""
        list.name = list.name if name is None else name
        list.description = list.description if description is None else description
        return self._saved(list)

    def delete(self, list: RecipientList) -> None:
        """Raises InUse with a sentence. A file that is being read onto it goes too: whoever reads holds the list's row
        for every batch, and finds nothing after ours."""
        with transaction.atomic():
            with contextlib.suppress(RecipientList.DoesNotExist):  # another was faster
                delete_unused(self.held(list.pk), used_by(list))

    def add(self, list_id: int, external_ids: Sequence[str]) -> Changed:
        """Put these people on the list."""
        return self._changed(list_id, external_ids, adding=True)

    def remove(self, list_id: int, external_ids: Sequence[str]) -> Changed:
        """Take these people off the list."""
        return self._changed(list_id, external_ids, adding=False)

    def add_recipients(self, list_id: int, recipients: Sequence[UUID]) -> int:
        """Put people on the list by key, in the caller's transaction, which holds the list's row; how many are new."""
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH added AS (INSERT INTO campaigns_recipientlistmember (list_id, recipient_id)"
                " SELECT %s, id FROM unnest(%s::uuid[]) id ON CONFLICT DO NOTHING RETURNING 1)"
                " UPDATE campaigns_recipientlist SET size = size + found.n, updated_at = now()"
                " FROM (SELECT count(*) AS n FROM added) found WHERE id = %s RETURNING found.n",
                [list_id, list(recipients), list_id],
            )
            return int(cursor.fetchone()[0])

    def held(self, list_id: int) -> RecipientList:
        """The list, its row held to the end of the transaction. Raises RecipientList.DoesNotExist."""
        return RecipientList.objects.select_for_update().get(pk=list_id)

    def _saved(self, list: RecipientList) -> RecipientList:
        list.updated_at = Now()
        saved: RecipientList = save_named(list)
        return saved

    def _changed(self, list_id: int, external_ids: Sequence[str], *, adding: bool) -> Changed:
        if len(external_ids) > MAX_IDS:
            raise ValueError(f"At most {MAX_IDS:,} ids in one call; {len(external_ids):,} given.")
        wanted = list(dict.fromkeys(external_ids))
        known = people([id for id in wanted if is_external_id(id)])
        with transaction.atomic():
            self.held(list_id)
            act = self.add_recipients if adding else self._remove_recipients
            changed = act(list_id, list(known.values()))
        return Changed(changed, len(known) - changed, tuple(id for id in wanted if id not in known))

    def _remove_recipients(self, list_id: int, recipients: Sequence[UUID]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH removed AS (DELETE FROM campaigns_recipientlistmember"
                " WHERE list_id = %s AND recipient_id = ANY(%s::uuid[]) RETURNING 1)"
                " UPDATE campaigns_recipientlist SET size = size - found.n, updated_at = now()"
                " FROM (SELECT count(*) AS n FROM removed) found WHERE id = %s RETURNING found.n",
                [list_id, list(recipients), list_id],
            )
            return int(cursor.fetchone()[0])


def people(external_ids: Sequence[str]) -> dict[str, UUID]:
    """The keys of those who exist, by external id."""
    return dict(Recipient.objects.filter(external_id__in=external_ids).values_list("external_id", "id"))


def forget(*, recipient_id: UUID, **_: object) -> None:
    """An erased person is on no list: a receiver of `recipient_erased`, in the erasing transaction. One look into the
    index of members for each list there is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM campaigns_recipientlistmember m USING campaigns_recipientlist l"
            " WHERE m.list_id = l.id AND m.recipient_id = %s RETURNING m.list_id)"
            " UPDATE campaigns_recipientlist SET size = size - 1 WHERE id IN (SELECT list_id FROM gone)",
            [recipient_id],
        )
