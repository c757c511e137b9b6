"""What the calls about digests read and answer with: a category's configuration, and a person's words."""

from datetime import time
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from core.api.problems import FieldProblem, Invalid, pointer
from preferences.choices import Channel, DigestMode, DigestRhythm
from preferences.digesting import config
from preferences.digesting.models import MAX_WINDOW_SECONDS
from preferences.models import Category

TimeOfDay = Annotated[
    str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="As 18:30, in the person's own time zone")
]
Weekday = Annotated[int, Meta(ge=0, le=6, description="0 is Monday")]
Seconds = Annotated[int, Meta(ge=1, le=MAX_WINDOW_SECONDS)]
_DIGEST = "digest"


class DigestConfigBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """How a category's messages are gathered; what is left out stays. `window_seconds`: how long a fixed window lasts,
    or how long a sliding one waits after each message, until `cap_seconds` after the first. `at` and `weekdays` (none:
    every day) go with `local_time`. `template` is the slug of a published template, or empty for a built-in wording;
    `channels` are those on which messages are gathered, on others each goes out at once."""

    mode: DigestMode | UnsetType = UNSET
    window_seconds: Seconds | UnsetType = UNSET
    cap_seconds: Seconds | UnsetType = UNSET
    at: TimeOfDay | UnsetType = UNSET
    weekdays: Annotated[list[Weekday], Meta(max_length=7)] | UnsetType = UNSET
    first_at_once: bool | UnsetType = UNSET
    template: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=4)] | UnsetType = UNSET

    def columns(self) -> dict[str, Any]:
        """What was given, by the category's columns."""
        given = {f"digest_{name}": value for name, value in asdict(self).items() if value is not UNSET}
        if "digest_at" in given:
            given["digest_at"] = time.fromisoformat(given["digest_at"])
        if "digest_channels" in given:
            given["digest_channels"] = [str(channel) for channel in given["digest_channels"]]
        return given


class DigestConfigShape(Struct):
    """How a category's messages are gathered for those who chose nothing else."""

    mode: DigestMode
    window_seconds: int
    cap_seconds: int
    at: str
    weekdays: list[int]
    first_at_once: bool
    template: str
    channels: list[str]


def config_shape(row: Category) -> DigestConfigShape:
    return DigestConfigShape(
        DigestMode(row.digest_mode),
        row.digest_window_seconds,
        row.digest_cap_seconds,
        f"{row.digest_at:%H:%M}",
        list(row.digest_weekdays),
        row.digest_first_at_once,
        row.digest_template,
        list(row.digest_channels),
    )


def check_config(category: Category) -> None:
    """Raises Invalid for a digest that cannot be."""
    if found := config.problems(category):
        raise Invalid(
            [FieldProblem(pointer(_DIGEST, one.field.removeprefix("digest_")), one.code, one.message) for one in found]
        )


class DigestWordBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A word on digests: of one category, or of all of them (null). `rhythm` null takes it back. `at` goes with daily
    and weekly, `weekday` with weekly; left out, they are the category's."""

    rhythm: DigestRhythm | None
    category: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    at: TimeOfDay | None = None
    weekday: Weekday | None = None


class DigestsBody(Struct, forbid_unknown_fields=True):
    """Words to write; later ones win."""

    digests: Annotated[list[DigestWordBody], Meta(max_length=1000)]


class DigestSetting(Struct):
    """What holds, and why: `required` (never gathered), `category` (their word on this category), `all` (their word on
    all categories), `default` (what the category does). `says` puts it in words."""

    rhythm: DigestRhythm
    at: str | None
    weekday: int | None
    source: str
    says: str


class CategoryDigest(Struct):
    """One category."""

    category: str
    name: str
    is_required: bool
    digest: DigestSetting


class DigestsShape(Struct):
    """How often a person wants to hear. `all` is their word on every category, `categories` what holds in the end."""

    recipient: str
    all: DigestSetting
    categories: list[CategoryDigest]
