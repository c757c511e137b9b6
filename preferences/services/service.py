"""PreferencesService: the one door to recipients, their wishes and their addresses."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from django.db import transaction

from core import ids
from core.ids import Key
from core.postgresql.deadlocks import repeated
from preferences.digesting import words
from preferences.errors import ValidationProblem
from preferences.models import DeviceToken
from preferences.services import addresses, choices, reach, recipients, subjects, undoing
from preferences.services.cache import ReachCache
from preferences.services.categories import CategoryCache, CategoryInfo
from preferences.services.inputs import (
    UNSET,
    DigestChange,
    PreferenceChange,
    RecipientInput,
    Trace,
    UnsetType,
    UpsertResult,
    Window,
)
from preferences.services.reach import Reach
from preferences.validation import is_external_id

log = structlog.get_logger(__name__)

Id = TypeVar("Id", UUID, Key)

#: Shared by every PreferencesService of the process.
reach_cache = ReachCache()
category_cache = CategoryCache()


class PreferencesService:
    """Batches in, batches out; cheap to construct.

    Every write runs in one transaction (the caller's, when one is open), moves `preferences_changed_at` where a route
    may differ afterwards, and drops the cache keys concerned once it has committed. What people can look up in their
    history is written in the same transaction, as `trace` says; without one, as the host application's doing.
    """

    def reach(self, external_ids: Sequence[str]) -> dict[str, Reach]:
        """How these recipients may be reached; unknown ids are absent.

        One MGET, then for what is missing two queries and one write to Redis, whatever the size of the batch.
        """
        wanted = [external_id for external_id in dict.fromkeys(external_ids) if is_external_id(external_id)]
        found = reach_cache.get(wanted)
        missing = [external_id for external_id in wanted if external_id not in found]
        if missing:
            read = reach.by_external_id(missing)
            reach_cache.fill(read)
            found.update((one.external_id, one) for one in read)
        return found

    def reach_fresh(self, recipient_ids: Sequence[Id]) -> dict[Id, Reach]:
        """The same straight from PostgreSQL, by primary key, in two queries: what the claim re-checks with. The answer
        names each as it was asked for."""
        found = {one.id: one for one in reach.by_id([ids.key(id) for id in recipient_ids])}
        return {id: found[ids.key(id)] for id in recipient_ids if ids.key(id) in found}

    def categories(self, knowing: Iterable[str] = ()) -> Mapping[str, CategoryInfo]:
        """Every category by slug, at most 5 s old; 1 s when a slug in `knowing` is not among them."""
        return category_cache.knowing(knowing)

    def categories_by_id(self, ids: Iterable[int]) -> Mapping[int, CategoryInfo]:
        """Every category by id, with certainty those of `ids` that exist."""
        return category_cache.by_id(ids)

    def upsert(self, rows: Sequence[RecipientInput], trace: Trace | None = None) -> UpsertResult:
        """Create or change up to 1,000 recipients by external id, in two statements. Raises BatchRejected."""
        with transaction.atomic():
            result, changed = recipients.upsert(rows, trace or Trace())
            self._drop(changed)
        return result

    def change(self, row: RecipientInput, trace: Trace | None = None) -> None:
        """The same of one recipient, who must be there: nobody comes back who was erased a moment ago. Raises
        Recipient.DoesNotExist and BatchRejected."""
        with transaction.atomic():
            subjects.held(row.external_id)
            self.upsert([row], trace)

    def erase(self, external_id: str) -> bool:
        """Delete a recipient and have every app scrub what it keeps about them; whether there was one."""
        return repeated(lambda: self._erase(external_id))

    def _erase(self, external_id: str) -> bool:
        with transaction.atomic():
            erased = recipients.erase(external_id)
            self._drop([external_id])
        return erased

    def set_preferences(
        self, external_id: str, changes: Sequence[PreferenceChange], trace: Trace | None = None
    ) -> None:
        """Write words on channels and categories. Raises Recipient.DoesNotExist, and BatchRejected for what is unknown
        or for switching off a required category."""
        with transaction.atomic():
            choices.apply(external_id, changes, trace or Trace())
            self._drop([external_id])

    def set_quiet_hours(
        self,
        external_id: str,
        quiet_hours: Window | None,
        *,
        timezone: str | UnsetType = UNSET,
        trace: Trace | None = None,
    ) -> None:
        """Their quiet hours, "none" for none at all, None for those of the installation, and if given the time zone
        they are in. What is held already leaves when the hold ends that it was given. Raises Recipient.DoesNotExist
        and BatchRejected."""
        self.change(RecipientInput(external_id=external_id, quiet_hours=quiet_hours, timezone=timezone), trace)

    def confirm_email(self, external_id: str, address: str, trace: Trace | None = None) -> None:
        """This address is theirs, and they have shown that they read what is sent there. It replaces the one they had.
        Raises Recipient.DoesNotExist and BatchRejected."""
        self.change(RecipientInput(external_id=external_id, email=address, email_verified=True), trace)

    def confirm_phone(self, external_id: str, number: str, trace: Trace | None = None) -> None:
        """The same of a phone number."""
        self.change(RecipientInput(external_id=external_id, phone=number, phone_verified=True), trace)

    def set_digests(self, external_id: str, changes: Sequence[DigestChange], trace: Trace | None = None) -> None:
        """Write what a person says about digests. What was gathered by a rhythm they change leaves at once. Raises
        Recipient.DoesNotExist, and BatchRejected for what is unknown or for gathering a required category."""
        with transaction.atomic():
            words.apply(external_id, changes, trace or Trace())
            self._drop([external_id])

    def undo(self, external_id: str, batch: UUID, trace: Trace | None = None) -> bool:
        """Take back what was changed together as `batch` within the last hour, as far as nothing has changed it since;
        whether there was anything to take back. Raises Recipient.DoesNotExist."""
        with transaction.atomic():
            undone = undoing.undo(self, external_id, batch, trace or Trace())
            self._drop([external_id])
        return undone

    def register_token(
        self, external_id: str, platform: str, token: str, label: str = "", trace: Trace | None = None
    ) -> DeviceToken:
        """Register a device of this recipient; a token belongs to whoever registered it last. The oldest beyond 20 are
        retired. Raises Recipient.DoesNotExist and ValidationProblem."""
        with transaction.atomic():
            device, touched = addresses.register(external_id, platform, token, label, trace or Trace())
            self._drop(touched)
        return device

    def retire_tokens(
        self,
        token_ids: Sequence[UUID],
        reason: str,
        not_after: datetime | None = None,
        trace: Trace | None = None,
    ) -> int:
        """Stop using these devices, except those registered again after `not_after`; how many were in use."""
        with transaction.atomic():
            retired, touched = addresses.retire(token_ids, reason, not_after, trace or Trace())
            self._drop(touched)
        return retired

    def suppress(self, channel: str, address: str, reason: str, source: str = "", trace: Trace | None = None) -> bool:
        """Never use this email or SMS address again, whoever has it; whether that reason is new. Raises
        ValidationProblem."""
        addresses.check_suppressible(channel, address)
        return self.suppress_all([(channel, address)], reason, source, trace) == 1

    def suppress_all(
        self, entries: Sequence[tuple[str, str]], reason: str, source: str = "", trace: Trace | None = None
    ) -> int:
        """The same for a batch of (channel, address) that a provider reported; how many are new. What cannot be
        suppressed is left out and logged: one odd address must not keep the others in use."""
        taken: list[tuple[str, str]] = []
        for channel, address in entries:
            try:
                addresses.check_suppressible(channel, address)
            except ValidationProblem as problem:
                log.warning("preferences.not_suppressed", channel=channel, problem=problem.code)
            else:
                taken.append((channel, address))
        if not taken:
            return 0
        with transaction.atomic():
            made, touched = addresses.suppress(taken, reason, source, trace or Trace())
            self._drop(touched)
        return made

    def lift(
        self, channel: str, address: str, *, only: Collection[str] | None = None, trace: Trace | None = None
    ) -> bool:
        """Take back the reasons why an address must not be used, or with `only` some of them; whether there was one. It
        is used again when none is left. Raises ValidationProblem, also for a STOP: its number alone lifts that."""
        return self.lift_all([(channel, address)], only=only, trace=trace) > 0

    def lift_all(
        self, entries: Sequence[tuple[str, str]], *, only: Collection[str] | None = None, trace: Trace | None = None
    ) -> int:
        """The same for a batch of (channel, address); how many reasons were taken back."""
        if not entries:
            return 0
        with transaction.atomic():
            lifted, touched = addresses.lift(entries, only, trace or Trace())
            self._drop(touched)
        return lifted

    def _drop(self, external_ids: Iterable[str]) -> None:
        """Drop cache keys now and again once committed: now, so that nothing read inside this transaction is kept if it
        is undone; then, because others read the old rows until the commit."""
        gone = list(external_ids)
        if gone:
            reach_cache.drop(gone)
            transaction.on_commit(lambda: reach_cache.drop(gone))
