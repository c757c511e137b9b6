"""A campaign's messages as a CSV file that a spreadsheet opens without running anything."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from campaigns import people
from campaigns.models import Campaign
from notifications.choices import Channel, Status
from preferences.importing.rejects import safe_cell

COLUMNS = (
    "recipient", "name", "language", "channel", "outcome", "reason", "provider",
    "sent", "delivered", "opened", "clicked",
)  # fmt: skip


def lines(campaign: Campaign, wanted: people.Wanted) -> Iterator[bytes]:
    """The file, some thousand lines at a time: it is never in memory as a whole. UTF-8 with the mark by which Excel
    knows it; moments in UTC."""
    yield b"\xef\xbb\xbf" + csv_lines([COLUMNS])
    for found in people.everyone(campaign, wanted):
        yield csv_lines([_cells(person) for person in found])


def _cells(person: people.Person) -> tuple[str, ...]:
    row, who = person.delivery, person.recipient
    texts = (
        who.external_id if who else "(erased)",
        who.name if who else "",
        who.locale if who else "",
        str(Channel(row.channel).label),
        str(Status(row.status).label),
        row.get_skip_reason_display() if row.skip_reason else row.get_error_code_display(),
        row.provider,
        *(_moment(at) for at in (row.sent_at, row.delivered_at, row.opened_at, row.clicked_at)),
    )
    return tuple(map(safe_cell, texts))


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def csv_lines(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
