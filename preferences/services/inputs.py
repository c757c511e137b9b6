"""What callers hand to PreferencesService, and what they get back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Final, Literal, Self
from uuid import UUID

from msgspec import UNSET, UnsetType

from core.ids import uuid7
from preferences.choices import Way
from preferences.digesting.rules import DigestWord

__all__ = [
    "MAX_BATCH", "UNSET", "DigestChange", "PreferenceChange", "RecipientInput", "Trace", "UnsetType", "UpsertResult",
    "Window",
]  # fmt: skip

#: Items in one call of upsert, set_preferences or suppress_all: the bound of the bulk API.
MAX_BATCH: Final = 1000

#: Quiet hours from and until, or none for this person.
Window = tuple[time, time] | Literal["none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientInput:
    """A recipient to be created or changed. A field that is UNSET stays as it is (and takes its default on a new
    recipient); an empty string, and None for the quiet hours, clears it: "none" wants no quiet hours, not even those
    of the installation. `attributes` replaces the whole object. `email_verified` and `phone_verified` are the host's
    word that an address is confirmed; left out, a new address is not."""

    external_id: str
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    quiet_hours: Window | UnsetType | None = UNSET
    email_verified: bool | UnsetType = UNSET
    phone_verified: bool | UnsetType = UNSET
    attributes: Mapping[str, object] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """Recipients created, changed, and left as they were because they already said the same. An external id that stood
    in the batch twice counts once; its later item wins field by field."""

    created: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class PreferenceChange:
    """A word on one channel: for one category, or (None) for all of them, or with `marketing` for all that are
    marketing. `enabled` None takes the word back; of all marketing True does so as well."""

    category_slug: str | None
    channel: str
    enabled: bool | None
    marketing: bool = False


@dataclass(frozen=True, slots=True)
class DigestChange:
    """A word on digests: for one category, or (None) for all of them. `rhythm` None takes the word back.

    `at` is local time and goes with daily and weekly, `weekday` (Monday is 0) with weekly; None leaves them to the
    category.
    """

    category_slug: str | None
    rhythm: str | None
    at: time | None = None
    weekday: int | None = None

    @classmethod
    def of(cls, category_slug: str | None, word: DigestWord | None) -> Self:
        """The change that makes this the word on a category."""
        return cls(category_slug, None) if word is None else cls(category_slug, word.rhythm, word.at, word.weekday)


@dataclass(frozen=True, slots=True)
class Trace:
    """What the history says of a change: by which way it came, the batch it belongs to, and who made it, where that is
    known and not the person ("api:<key>", "admin:<name>")."""

    way: Way = Way.HOST
    batch: UUID = field(default_factory=uuid7)
    by: str = ""
