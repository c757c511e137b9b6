"""What the apps above are told by this one."""

from django.dispatch import Signal

#: Sent inside the erasing transaction, before the row goes, with `recipient_id: UUID`. Every app that keeps something
#: about a recipient scrubs it here; a receiver that raises undoes the erasure.
recipient_erased = Signal()

#: Sent inside the transaction that changes what a person says about digests, with `recipient_id: UUID` and
#: `category_ids: frozenset[int] | None` (None: every category).
digests_changed = Signal()
