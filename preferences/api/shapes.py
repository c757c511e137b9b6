"""What the calls about recipients read and answer with. The OpenAPI document is made from these."""

from datetime import datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from preferences.api.digest_shapes import DigestConfigBody, DigestConfigShape
from preferences.choices import Channel, Platform, Priority, Purpose, Strategy, Unless
from preferences.models import MAX_CAP, MAX_DEDUP_SECONDS
from preferences.services import RecipientInput
from preferences.services.inputs import Window
from preferences.strategies import DEFAULT_WAIT, MAX_AFTER, MIN_WAIT

ExternalId = Annotated[str, Meta(min_length=1, max_length=128, description="Your id of the person")]
_E164 = "With its country code; stored as E.164, for example +4915112345678"

_VERIFIED = "Your word that they confirmed it; left out, a new address is not confirmed, and the same stays as it is"

Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="As 22:00, in their time zone")]


class QuietHoursShape(Struct, forbid_unknown_fields=True):
    """When they are not to be disturbed, every day; a start after the end passes midnight. Messages wait, except
    critical ones, those in the app and of categories that do not wait."""

    start: Clock
    end: Clock


#: "none" wants no quiet hours, not even those of the installation; null leaves them to it.
QuietHours = QuietHoursShape | Literal["none"]


class RecipientBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A person. `null` clears a field. What is left out stays as it is, or with PUT takes its default."""

    name: Annotated[str, Meta(max_length=200)] | UnsetType | None = UNSET
    email: Annotated[str, Meta(max_length=254)] | UnsetType | None = UNSET
    phone: Annotated[str, Meta(max_length=40, description=_E164)] | UnsetType | None = UNSET
    locale: Annotated[str, Meta(max_length=35, description="BCP 47, for example pt-BR")] | UnsetType | None = UNSET
    timezone: Annotated[str, Meta(max_length=64, description="IANA, as Europe/Berlin")] | UnsetType | None = UNSET
    quiet_hours: QuietHours | UnsetType | None = UNSET
    email_verified: Annotated[bool, Meta(description=_VERIFIED)] | UnsetType = UNSET
    phone_verified: Annotated[bool, Meta(description=_VERIFIED)] | UnsetType = UNSET
    attributes: Annotated[dict[str, Any], Meta(description="Yours, for templates; 16 KB")] | UnsetType | None = UNSET

    def changes(self, external_id: str) -> RecipientInput:
        """Only what was given."""
        return RecipientInput(
            external_id=external_id,
            name=_given(self.name, ""),
            email=_given(self.email, ""),
            phone=_given(self.phone, ""),
            locale=_given(self.locale, ""),
            timezone=_given(self.timezone, ""),
            quiet_hours=_window(self.quiet_hours),
            email_verified=self.email_verified,
            phone_verified=self.phone_verified,
            attributes=_given(self.attributes, {}),
        )

    def whole(self, external_id: str) -> RecipientInput:
        """What was given, and the default for the rest."""
        given = self.changes(external_id)
        return RecipientInput(
            external_id=external_id,
            name=_or(given.name, ""),
            email=_or(given.email, ""),
            phone=_or(given.phone, ""),
            locale=_or(given.locale, ""),
            timezone=_or(given.timezone, ""),
            quiet_hours=_or(given.quiet_hours, None),
            email_verified=given.email_verified,
            phone_verified=given.phone_verified,
            attributes=_or(given.attributes, {}),
        )


def _given(value: Any, cleared: Any) -> Any:
    return cleared if value is None else value


def _window(value: QuietHours | UnsetType | None) -> Window | UnsetType | None:
    if isinstance(value, QuietHoursShape):
        return time.fromisoformat(value.start), time.fromisoformat(value.end)
    return value


def _or(value: Any, default: Any) -> Any:
    return default if value is UNSET else value


class BulkRecipient(RecipientBody, kw_only=True):
    """A person in a bulk call. What is left out stays as it is."""

    external_id: ExternalId


class BulkRecipientsBody(Struct, forbid_unknown_fields=True):
    """Up to 1,000 people, taken all or not at all."""

    recipients: Annotated[list[BulkRecipient], Meta(min_length=1, max_length=1000)]


class BulkResult(Struct):
    """An external id that stood in the call twice counts once."""

    created: int
    updated: int
    unchanged: int


class RecipientShape(Struct):
    """A person as the host system knows them."""

    external_id: str
    name: str
    email: str
    phone: str
    locale: str
    timezone: str
    quiet_hours: QuietHours | None
    email_verified_at: datetime | None
    phone_verified_at: datetime | None
    attributes: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class LookupBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """An address in full: in the body, since web servers log what stands in an address line."""

    email: Annotated[str, Meta(min_length=1, max_length=254)] | None = None
    phone: Annotated[str, Meta(min_length=1, max_length=40)] | None = None


class RecipientPage(Struct):
    """Newest first."""

    results: list[RecipientShape]
    next_cursor: str | None


class ChangeBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A word on one channel: for one category, or for all of them (null), or with `marketing` for all that are
    marketing, those made later among them. `enabled` null takes the word back."""

    channel: Channel
    enabled: bool | None
    category: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    marketing: bool = False


class PreferencesBody(Struct, forbid_unknown_fields=True):
    """Words to write; later ones win."""

    preferences: Annotated[list[ChangeBody], Meta(max_length=1000)]


class Setting(Struct):
    """Whether a channel is on, and why: `required` (the category cannot be switched off), `category` (their word on
    this category), `marketing` (their no to all marketing), `channel` (their word on the whole channel), `default`
    (they said nothing)."""

    enabled: bool
    source: str


class CategoryPreferences(Struct):
    """One row of the matrix: what holds for each channel."""

    category: str
    name: str
    is_required: bool
    channels: dict[str, Setting]


class PreferencesShape(Struct):
    """What a person wants. `channels` are their words on whole channels, `marketing` is what holds for marketing that
    has no word of its own, `categories` what holds in the end."""

    recipient: str
    channels: dict[str, Setting]
    marketing: dict[str, Setting]
    categories: list[CategoryPreferences]


class PreferencesLink(Struct):
    """Where this person says what they want, without signing in. Whoever has it may change their choices."""

    url: str
    expires_at: datetime


class DeviceTokenBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A device. For Web Push the token is the browser's subscription, as an object or as its JSON."""

    platform: Platform
    token: str | dict[str, Any]
    label: Annotated[str, Meta(max_length=100)] = ""


class DeviceTokenShape(Struct):
    """A device; of its token only the ends are shown. Retired ones get nothing any more."""

    id: UUID
    platform: Platform
    token: str
    label: str
    registered_at: datetime
    retired_at: datetime | None
    retired_reason: str


class DeviceTokens(Struct):
    """Newest first; at most 100."""

    results: list[DeviceTokenShape]


Slug = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[-a-zA-Z0-9_]+$")]
CategoryName = Annotated[str, Meta(min_length=1, max_length=100)]
Description = Annotated[str, Meta(max_length=2000)]
Channels = Annotated[list[Channel], Meta(min_length=1, max_length=4)]

DedupSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_DEDUP_SECONDS,
        description="In which the same message to the same person is sent once; 0 sends it every time",
    ),
]


class StepBody(Struct, forbid_unknown_fields=True):
    """A channel of an escalation: `after` so many seconds from the start, `unless` it was delivered, seen or read by
    then (read, when left out). The first step goes out at once and takes neither."""

    channel: Channel
    after: Annotated[int, Meta(ge=0, le=MAX_AFTER)] = 0
    unless: Unless | None = None


FallbackSeconds = Annotated[int, Meta(ge=MIN_WAIT, le=MAX_AFTER, description="How long `first` waits for a channel")]
Escalation = Annotated[list[StepBody], Meta(max_length=4, description="Steps; empty: in-app, push, email")]
FrequencyCap = Annotated[int, Meta(ge=1, le=MAX_CAP, description="Notifications to one person; null for no cap")]


class CategoryBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """What messages are about. `channels` is where they go when the sender names none; all four by default. `purpose`
    marketing waits while limits cannot be checked. `track_clicks` leads links through this installation, `track_opens`
    puts an invisible image into emails. With `waits_for_quiet_hours` its messages wait while it is quiet for a person,
    except critical ones. Beyond a cap one person's messages are skipped, in 24 hours or 7 days."""

    slug: Slug
    name: CategoryName
    description: Description = ""
    channels: Channels | None = None
    default_priority: Priority = Priority.NORMAL
    is_required: bool = False
    purpose: Purpose = Purpose.TRANSACTIONAL
    dedup_seconds: DedupSeconds = 300
    track_clicks: bool = True
    track_opens: bool = False
    waits_for_quiet_hours: bool = True
    strategy: Strategy = Strategy.ALL
    fallback_seconds: FallbackSeconds = DEFAULT_WAIT
    escalation: Escalation = []
    digest: DigestConfigBody | UnsetType = UNSET
    cap_per_day: FrequencyCap | None = None
    cap_per_week: FrequencyCap | None = None


class CategoryChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays. The slug is the category's name for ever."""

    name: CategoryName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    channels: Channels | UnsetType = UNSET
    default_priority: Priority | UnsetType = UNSET
    is_required: bool | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    dedup_seconds: DedupSeconds | UnsetType = UNSET
    track_clicks: bool | UnsetType = UNSET
    track_opens: bool | UnsetType = UNSET
    waits_for_quiet_hours: bool | UnsetType = UNSET
    strategy: Strategy | UnsetType = UNSET
    fallback_seconds: FallbackSeconds | UnsetType = UNSET
    escalation: Escalation | UnsetType = UNSET
    digest: DigestConfigBody | UnsetType = UNSET
    cap_per_day: FrequencyCap | UnsetType | None = UNSET
    cap_per_week: FrequencyCap | UnsetType | None = UNSET


class CategoryShape(Struct):
    """A category."""

    slug: str
    name: str
    description: str
    channels: list[str]
    default_priority: Priority
    is_required: bool
    purpose: Purpose
    dedup_seconds: int
    track_clicks: bool
    track_opens: bool
    waits_for_quiet_hours: bool
    strategy: Strategy
    fallback_seconds: int
    escalation: list[StepBody]
    digest: DigestConfigShape
    cap_per_day: int | None
    cap_per_week: int | None
    created_at: datetime


class CategoryPage(Struct):
    """By slug."""

    results: list[CategoryShape]
    next_cursor: str | None
