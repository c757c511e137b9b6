"""What the forms of the page do: each action takes the visitor and what they sent, and changes something or refuses."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import time, timedelta
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.http import QueryDict

from preferences import validation
from preferences.centre import rhythms, words
from preferences.centre.visitors import Visitor
from preferences.choices import Channel
from preferences.errors import ValidationProblem
from preferences.kinds import PART
from preferences.models import ChangeRecord, DeviceToken
from preferences.personal import codes, links, mail
from preferences.services import BatchRejected, PreferencesService, RecipientInput, Trace, subjects
from preferences.services.undoing import REMOVED
from preferences.validation import NO_QUIET_HOURS

#: Changes one person may make in a minute, so that nobody fills the history by a script. People make a handful.
MAX_A_MINUTE = 300
#: Switches in one form: the kinds of a part, all marketing and everything, times the channels.
MAX_SWITCHES = (PART + 2) * len(Channel)


class Refused(Exception):
    """What somebody sent cannot be done. `field` is where it stands on the page, `message` says why."""

    def __init__(self, field: str, message: str, status: int = 422) -> None:
        self.field, self.message, self.status = field, message, status
        super().__init__(message)


Action = Callable[[Visitor, QueryDict, Trace], None]


def act(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """Do what a form of the page asks. Raises Refused, and Recipient.DoesNotExist after an erasure."""
    action = ACTIONS.get(sent.get("action", ""))
    if action is None:
        raise Refused("", "This form is of another time. Please try again.")
    recent = ChangeRecord.objects.filter(recipient=visitor.recipient, at__gt=Now() - timedelta(minutes=1))
    if recent[MAX_A_MINUTE : MAX_A_MINUTE + 1].exists():
        raise Refused("", "That were many changes in a short time. Please wait a minute.", 429)
    action(visitor, sent, trace)


def say_words(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    shown = sent.getlist("shown")
    if len(shown) > MAX_SWITCHES:
        raise Refused("words", "That are more choices than this page has.")
    try:
        changes = words.changes(shown, sent.getlist("on"), subjects.words_of(visitor.recipient.pk))
    except ValueError as error:
        raise Refused("words", str(error)) from None
    if not changes:
        return
    try:
        PreferencesService().set_preferences(visitor.recipient.external_id, changes, trace)
    except BatchRejected as rejected:
        raise Refused("words", next(iter(rejected.errors.values()))[0].message) from None


def say_rhythms(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    try:
        changes = rhythms.changes(sent.getlist("shown"), sent.getlist("rhythm"))
        if changes:
            PreferencesService().set_digests(visitor.recipient.external_id, changes, trace)
    except BatchRejected as rejected:
        raise Refused("rhythms", next(iter(rejected.errors.values()))[0].message) from None
    except ValueError as error:
        raise Refused("rhythms", str(error)) from None


def set_language_and_zone(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """What they left as it was is not looked at: it may be a zone that only another machine knows."""
    person = visitor.recipient
    given: dict[str, Any] = {
        name: sent[name]
        for name, now in (("locale", person.locale), ("timezone", person.timezone))
        if sent.get(name, now) != now
    }
    try:
        PreferencesService().change(RecipientInput(external_id=person.external_id, **given), trace)
    except BatchRejected as rejected:
        problem = rejected.errors[0][0]
        raise Refused(problem.field, problem.message) from None


def set_quiet_hours(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """Both times, or neither for no quiet hours of their own; `quiet` says none at all."""
    if sent.get("quiet") == NO_QUIET_HOURS:
        PreferencesService().set_quiet_hours(visitor.recipient.external_id, "none", trace=trace)
        return
    start, end = (sent.get(name, "").strip() for name in ("quiet_start", "quiet_end"))
    if bool(start) != bool(end):
        raise Refused("quiet_hours", "Give both times, or clear both for no quiet hours.")
    try:
        window = (time.fromisoformat(start), time.fromisoformat(end)) if start else None
    except ValueError:
        raise Refused("quiet_hours", "Give times as hours and minutes, for example 22:00.") from None
    try:
        PreferencesService().set_quiet_hours(visitor.recipient.external_id, window, trace=trace)
    except BatchRejected as rejected:
        raise Refused("quiet_hours", rejected.errors[0][0].message) from None


def remove_device(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """Removing what is removed changes nothing."""
    device_id = _uuid(sent.get("device", ""))
    if device_id is None or not DeviceToken.objects.filter(recipient=visitor.recipient, pk=device_id).exists():
        raise Refused("devices", "There is no such device any more.", 404)
    PreferencesService().retire_tokens([device_id], REMOVED, trace=trace)


def ask_for_email(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """Send a link that confirms an address, to that address. Whoever came by a link may have been forwarded it, so they
    may confirm the address that is known and give no other: with another they would get everything else."""
    person = visitor.recipient
    try:
        address = person.email if visitor.by_link else validation.email(sent.get("email", ""))
    except ValidationProblem as problem:
        raise Refused("email", problem.message) from None
    if not address:
        raise Refused("email", "Give an email address.")
    if address == person.email and person.email_verified_at:
        raise Refused("email", "This is your address, and it is confirmed.")
    with _refusing("email", is_possible=mail.is_possible()):
        links.send_confirmation(person, address)


def ask_for_data(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """Send the way to their data to the address they confirmed: this link alone does not lead there."""
    with _refusing("data", is_possible=mail.is_possible()):
        links.send_data(visitor.recipient)


def ask_for_code(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """Send a code to a phone number, theirs or another."""
    person = visitor.recipient
    _check_signed_in(visitor)
    try:
        number = validation.phone(sent.get("phone", ""))
    except ValidationProblem as problem:
        raise Refused("phone", problem.message) from None
    if not number:
        raise Refused("phone", "Give a phone number.")
    if number == person.phone and person.phone_verified_at:
        raise Refused("phone", "This is your number, and it is confirmed.")
    with _refusing("phone", is_possible=codes.is_possible()):
        codes.send(person, number)


def take_code(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    """What they typed is the code that was sent: the number is theirs."""
    _check_signed_in(visitor)
    try:
        codes.confirm(visitor.recipient, sent.get("code", ""), trace)
    except codes.WrongCode:
        raise Refused("code", "This is not the code, or it is too old. You can have a new one sent.") from None
    except BatchRejected as rejected:
        raise Refused("phone", rejected.errors[0][0].message) from None


def _check_signed_in(visitor: Visitor) -> None:
    """A link may have been forwarded: whoever has it changes no address."""
    if visitor.by_link:
        raise Refused("", "To change or confirm your phone number, please sign in.", 403)


@contextmanager
def _refusing(field: str, *, is_possible: bool) -> Iterator[None]:
    if not is_possible:
        raise Refused(field, "Please write to the service that sends you these messages.")
    try:
        yield
    except links.NotSent as reason:
        raise Refused(field, reason.message, reason.status) from None


def undo(visitor: Visitor, sent: QueryDict, trace: Trace) -> None:
    batch = _uuid(sent.get("batch", ""))
    try:
        undone = batch is not None and PreferencesService().undo(visitor.recipient.external_id, batch, trace)
    except BatchRejected:  # what was before is not taken any more
        undone = False
    if not undone:
        raise Refused("", "This cannot be taken back any more.", 409)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


ACTIONS: Mapping[str, Action] = {
    "words": say_words,
    "rhythms": say_rhythms,
    "about": set_language_and_zone,
    "quiet": set_quiet_hours,
    "device": remove_device,
    "undo": undo,
    "email": ask_for_email,
    "data": ask_for_data,
    "phone": ask_for_code,
    "code": take_code,
}
