"""An item in the inboxes of people on the staff, through the pipeline itself: a required category, so that nobody has
opted out of it, and critical, so that no limit holds it up. It is the one route that a broken pipeline delays."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DatabaseError

from analytics.alerts.choices import Severity
from analytics.alerts.routes.base import MAX_PEOPLE, InvalidTarget, Outcome, Outgoing, Target
from core import ids
from notifications.choices import Channel, Priority
from notifications.drafts import Draft
from notifications.errors import DraftsRejected
from notifications.services.notification import NotificationService
from preferences.models import Category, Recipient

CATEGORY = "alerts"
SOURCE = "alerts"
#: The feed shows so much of a body; the rest is a click away.
MAX_BODY = 2_000


def check(target: Target) -> None:
    if len(target.lines) > MAX_PEOPLE:
        raise InvalidTarget(f"At most {MAX_PEOPLE} people.")
    if unknown := sorted(set(target.lines) - set(_known(target.lines))):
        raise InvalidTarget(f"Nobody has this external id: {', '.join(unknown)}.")


def send(target: Target, message: Outgoing) -> Outcome:
    """One draft a person, with an id of its own for this message: told twice, it is one item."""
    people = _known(target.lines) if target.lines else _staff()
    if not people:
        return Outcome(False, "None of these people is known here.", for_good=True)
    _category()
    drafts = [_draft(person, message) for person in people]
    try:
        NotificationService().send(drafts, source=SOURCE)
    except DraftsRejected as error:
        return Outcome(False, str(error)[:200], for_good=True)
    except DatabaseError as error:
        return Outcome(False, f"It could not be put on the record ({type(error).__name__}).")
    return Outcome(True, f"On the record for {len(people)} {'person' if len(people) == 1 else 'people'}.")


def _draft(person: str, message: Outgoing) -> Draft:
    title = message.subject[:200]
    body = "\n\n".join(filter(None, (line.summary for line in message.lines))) or message.text
    is_urgent = any(line.severity == Severity.CRITICAL and not line.is_over for line in message.lines)
    content = {"title": title, "body": body[:MAX_BODY], "link": message.url, "icon": "🚨" if is_urgent else "🔔"}
    return Draft(
        recipient=person,
        category=CATEGORY,
        content={Channel.IN_APP.value: content},
        channels=[Channel.IN_APP],
        priority=Priority.CRITICAL,
        # The message's own moment, not now: the id must be the same at every try.
        id=ids.deterministic_key(ids.made_at(UUID(message.id)), ("alert", message.id, person)),
    )


def _known(external_ids: Sequence[str]) -> list[str]:
    return list(Recipient.objects.filter(external_id__in=external_ids).values_list("external_id", flat=True))


def _staff() -> list[str]:
    """Those whose user name here is their external id."""
    users = get_user_model().objects.filter(is_staff=True, is_active=True).order_by("pk")
    return _known(list(users.values_list("username", flat=True)[:MAX_PEOPLE]))


def _category() -> None:
    Category.objects.get_or_create(
        slug=CATEGORY,
        defaults={
            "name": "Alerts",
            "description": "What is wrong with this installation, for those who run it.",
            "channels": [Channel.IN_APP.value],
            "default_priority": Priority.CRITICAL,
            "is_required": True,
            "dedup_seconds": 0,  # told again is meant so
        },
    )
