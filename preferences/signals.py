"""What the apps above are told by this one."""

from django.dispatch import Signal

#: Sent inside the erasing transaction, before the row goes, with `recipient_id: UUID`. Every app that keeps something
#: about a recipient scrubs it here; a receiver that raises undoes the erasure.
recipient_erased = Signal()
