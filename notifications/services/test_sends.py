"""A wording sent to a few people to look at it, as a draft or published, through the pipeline like any message."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from notifications.choices import Priority
from notifications.drafts import Accepted, Draft
from notifications.errors import ContentInvalid, DraftsRejected, FieldError, RenderError
from notifications.models import MessageTemplate, TemplateVersion
from notifications.services.notification import NotificationService
from notifications.services.template_previews import context_of, preview, reader
from preferences import unsubscribing
from preferences.services import PreferencesService

#: People of one test. It is for those who wrote the message and those who approve it.
MAX_PEOPLE = 20
#: What the source of a test begins with; the user's name or the API key's prefix follows.
SOURCE = "test:"
#: Characters that a source may have.
MAX_SOURCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom a test goes to and as what. The samples stand in for what `data` leaves out; without `channels` it
    takes the category's."""

    recipients: Sequence[str]
    category: str
    channels: Sequence[str] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def send_test(version: TemplateVersion, wanted: Wanted, *, by: str, is_test: bool = False) -> list[Accepted]:
    """Send this version, published or not, to each of these recipients in their language. One Accepted each, in order.

    Opt-outs and suppressions count as always. Limits per person don't, and a test is never a duplicate: whoever asks
    for it wants to see it. Raises ContentInvalid, whose pointers are `/recipients/<n>`, `/category`, `/channels`.
    """
    people = list(dict.fromkeys(wanted.recipients))
    if not people or len(people) > MAX_PEOPLE:
        message = f"Name at least one and at most {MAX_PEOPLE} people."
        raise ContentInvalid([FieldError("/recipients", "count", message)])
    drafts: list[Draft] = []
    errors: list[FieldError] = []
    for position, external_id in enumerate(people):
        try:
            content = _content(version, external_id, wanted)
        except RenderError as error:
            errors.append(FieldError(f"/recipients/{position}", "render_error", str(error)))
            continue
        drafts.append(
            Draft(
                recipient=external_id,
                category=wanted.category,
                content=content,
                channels=wanted.channels,
                priority=Priority.CRITICAL,  # which no limit per person counts or stops
                dedup_key=f"test {uuid4()}",
                metadata={"test_of": version.template.slug, "version": version.number},
            )
        )
    if errors:
        raise ContentInvalid(errors)
    try:
        return NotificationService().send(drafts, source=f"{SOURCE}{by}"[:MAX_SOURCE], is_test=is_test)
    except DraftsRejected as rejected:
        raise ContentInvalid(_told(rejected)) from None


def _content(version: TemplateVersion, external_id: str, wanted: Wanted) -> dict[str, Mapping[str, str]]:
    """The finished fields by channel. Raises RenderError."""
    person = reader(external_id)
    if person is None:
        raise RenderError(f"There is no recipient {external_id[:128]!r}.")
    template: MessageTemplate = version.template
    context = context_of(template.variables, data=wanted.data, recipient=person, locale=person["locale"])
    shown = preview(
        version.content,
        default_locale=template.default_locale,
        locale=person["locale"],
        context=context,
        way_out=_way_out(external_id, wanted.category),
    )
    chosen = [one for one in shown if wanted.channels is None or one.channel in wanted.channels]
    for one in chosen:
        if one.error:
            raise RenderError(f"{one.label}: {one.error}.")
    return {one.channel: one.fields for one in chosen}


def _way_out(external_id: str, slug: str) -> Callable[[str], str] | None:
    """By channel, as in the message that this is a test of; None for a category that is not there, which is told."""
    service = PreferencesService()
    category, person = service.categories([slug]).get(slug), service.reach([external_id]).get(external_id)
    if category is None or person is None:
        return None
    return lambda channel: unsubscribing.address(person.id, category.id, channel, now=time.time())


def _told(rejected: DraftsRejected) -> list[FieldError]:
    """The faults of all drafts, a fault that all have once; of content there is none beside what a person brings."""
    errors: dict[tuple[str, str], FieldError] = {}
    for position, faults in rejected.errors.items():
        for fault in faults:
            is_personal = fault.pointer.startswith(("/recipient", "/content"))
            pointer = f"/recipients/{position}" if is_personal else fault.pointer
            errors.setdefault((pointer, fault.code), FieldError(pointer, fault.code, fault.message))
    return list(errors.values())
