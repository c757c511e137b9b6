"""The simulator's webhooks without a web process: they go through Django, as they are."""

from collections.abc import Sequence

from django.test import Client

from notifications.management.commands import run_events
from notifications.providers.simulated_courier import Courier, Parcel


def carry(parcels: Sequence[Parcel]) -> list[int]:
    """A `Carry`: each parcel is posted to the real view, behind the real middleware."""
    client = Client()
    return [
        client.post(
            parcel.path,
            data=parcel.body,
            content_type="application/json",
            headers={name.title(): value for name, value in parcel.headers.items()},
        ).status_code
        for parcel in parcels
    ]


def receipts() -> int:
    """Everything that is due is reported and applied; the number of events."""
    courier, applied = Courier(carry), 0
    while courier.step():
        pass
    while found := run_events.step():
        applied += found
    return applied
