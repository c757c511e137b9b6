"""Everything that is kept about a person, as JSON: made piece by piece, each with a query of its own, so that no
answer stands in memory and no transaction stays open while a slow line takes it.

What other apps keep comes from `settings.PERSONAL_DATA`: dotted paths of functions that take a recipient's id and give
lists of JSON objects, one list a page.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string

from preferences.models import (
    ChangeRecord,
    DeviceToken,
    DigestChoice,
    MarketingStop,
    Preference,
    Recipient,
    SentLink,
    Suppression,
)

PAGE = 500
Pages = Iterable[list[dict[str, Any]]]
Section = Callable[[UUID], Pages]
_HIDDEN = ("id", "recipient_id")


def pieces(recipient: Recipient) -> Iterator[bytes]:
    yield b'{\n"profile": ' + orjson.dumps(_profile(recipient))
    for name, section in _sections().items():
        yield b',\n"' + name.encode() + b'": ['
        first = True
        for page in section(recipient.pk):
            for row in page:
                yield (b"\n" if first else b",\n") + orjson.dumps(row, default=str)
                first = False
        yield b"]"
    yield b"\n}\n"


def _sections() -> dict[str, Section]:
    own: dict[str, Section] = {
        "devices": _whole(DeviceToken, "platform", "token", "label", "registered_at", "retired_at", "retired_reason"),
        "preferences": _whole(Preference, "category__slug", "channel", "enabled", "updated_at"),
        "digests": _whole(DigestChoice, "category__slug", "rhythm", "at", "weekday", "updated_at"),
        "links": _whole(SentLink, "purpose", "address", "sent_at", "used_at"),
        "marketing": _whole(MarketingStop, "channel", "created_at"),
        "changes": _changes,
    }
    for name, path in settings.PERSONAL_DATA.items():
        own[name] = cast(Section, import_string(path))
    return own


def _whole(model: type[Model], *fields: str) -> Section:
    """What one person has only so much of, in one page."""
    return lambda pk: [list(model._default_manager.filter(recipient=pk).values(*fields))]


def _profile(recipient: Recipient) -> dict[str, Any]:
    names = [field.attname for field in Recipient._meta.concrete_fields if field.attname not in _HIDDEN]
    hashes = [Suppression.hash_of(address) for address in (recipient.email, recipient.phone) if address]
    stopped = Suppression.objects.filter(address_hash__in=hashes).values("channel", "reason", "created_at")
    return {**{name: getattr(recipient, name) for name in names}, "not_to_be_used": list(stopped)}


def _changes(recipient_id: UUID) -> Pages:
    after = 0
    while True:
        rows = ChangeRecord.objects.filter(recipient=recipient_id, pk__gt=after).order_by("pk")
        page = list(
            rows.values("pk", "at", "way", "what", "category__slug", "channel", "subject", "before", "after")[:PAGE]
        )
        if not page:
            return
        after = page[-1]["pk"]
        yield [{name: value for name, value in row.items() if name != "pk"} for row in page]
