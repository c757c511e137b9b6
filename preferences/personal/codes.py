"""Codes by text message that show whose phone a number is: sent to it, kept as a keyed hash, tried a few times.

Only who is signed in gets that far. What is known of a number, that it replied STOP or that somebody else asked for a
code to it, is not told to whoever types it in: the answer is the same and takes as long, and no code comes.
"""

import secrets
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from hmac import compare_digest
from typing import cast
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from preferences.choices import Channel, LinkPurpose
from preferences.models import Recipient, SentLink, Suppression
from preferences.personal import links
from preferences.personal.links import NotSent
from preferences.services import PreferencesService, Trace

DIGITS = 6
#: How long a code works: long enough for a text message that comes late.
CODE_SECONDS = 10 * 60
#: Guesses at one code. With `links.MAX_A_DAY` codes a day that is fifty in a million.
MAX_TRIES = 5
#: Codes to one number, whoever asks: they are a nuisance to who did not, and cost money.
MAX_TO_NUMBER = 3
#: An answer takes just so long, whatever a provider does meanwhile, so that nobody learns from its haste that none was
#: asked. What a provider that is well refuses is known by then, and told.
ANSWER_SECONDS = 0.7
#: Codes that providers are asked to take at once; more wait their turn, and nobody waits for them.
COURIERS = 4
#: Of what somebody typed, more is no code.
MAX_TYPED = 32
#: The advisory lock of the counts below ("Code"): so that many who ask at once do not all find room.
LOCK = 0x436F6465
log = structlog.get_logger(__name__)
_couriers: Executor = ThreadPoolExecutor(COURIERS, "codes")
_HOUR = timedelta(hours=1)
_GOOD = timedelta(seconds=CODE_SECONDS)

_CODE = (
    "{code} is your code to confirm this number. It works for {minutes} minutes. If you did not ask for it, do nothing."
)
_CHANGED = (
    "Your text messages go to another number from now on. If it was not you, please write to the service that sent you"
    " messages at this number."
)


class WrongCode(Exception):
    """What was typed is not the code, or there is none that still works. Which, is nobody's business."""


def is_possible() -> bool:
    """Whether this installation sends text messages of its own."""
    return bool(settings.TEXT_SENDER and settings.PHONE_CODES_PER_HOUR and settings.PROVIDER_CHAINS["sms"])


def send(person: Recipient, number: str) -> None:
    """A code to `number`, which is the person's once they have typed it in. Raises NotSent, also where a provider has
    refused it by the time of the answer; where it takes longer, the code comes later or not at all."""
    due = time.monotonic() + ANSWER_SECONDS
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    text = _CODE.format(code=code, minutes=CODE_SECONDS // 60)
    sending = _couriers.submit(_carry, person.pk, number, text) if _kept(person, number, code) else None
    time.sleep(max(0.0, due - time.monotonic()))
    if sending is not None and sending.done() and not sending.result():
        raise NotSent("The text message could not be sent. Is this the right number? Else please try again later.", 503)


def waiting(person: Recipient) -> str:
    """The number whose code is waited for; empty for none."""
    link = _newest(person)
    return link.address if link else ""


def confirm(person: Recipient, typed: str, trace: Trace) -> None:
    """What was typed is the code of the number that is asked for, which becomes theirs. Raises WrongCode,
    Recipient.DoesNotExist, and BatchRejected for a number that is not taken any more."""
    link = _newest(person)
    if link is None or not _tried(link) or not _is_code(link, typed):
        raise WrongCode
    with transaction.atomic():
        if not links.use(link):
            raise WrongCode
        PreferencesService().confirm_phone(person.external_id, link.address, trace)
    if link.before and link.before != link.address and not _is_suppressed(link.before):
        _send(person.pk, link.before, _CHANGED)


def _kept(person: Recipient, number: str, code: str) -> bool:
    """Write down that a code was asked for; whether it may be sent. Raises NotSent for who asked too often."""
    link = SentLink(recipient=person, purpose=LinkPurpose.PHONE, address=number, before=person.phone)
    with transaction.atomic():
        links.check_room(person, LinkPurpose.PHONE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        sent = SentLink.objects.filter(purpose=LinkPurpose.PHONE, sent_at__gt=Now() - _HOUR).exclude(code_hash="")
        if sent.count() >= settings.PHONE_CODES_PER_HOUR:
            raise NotSent("No more codes can be sent right now. Please try again in an hour.", 429)
        may_go = not _is_suppressed(number) and sent.filter(address=number).count() < MAX_TO_NUMBER
        link.code_hash = _hash(settings.SECRET_KEY, link.pk, code) if may_go else ""
        link.save(force_insert=True)
    return may_go


def _newest(person: Recipient) -> SentLink | None:
    """The code that counts: of several that were asked for the last one, while it can be used."""
    link = SentLink.objects.filter(recipient=person, purpose=LinkPurpose.PHONE).order_by("-sent_at", "-id").first()
    if link is None or link.used_at or link.tries >= MAX_TRIES or link.before != person.phone:
        return None
    return link if SentLink.objects.filter(pk=link.pk, sent_at__gt=Now() - _GOOD).exists() else None


def _tried(link: SentLink) -> bool:
    """Take one of the guesses, before it is looked at: many at once have no more of them."""
    left = SentLink.objects.filter(pk=link.pk, used_at=None, tries__lt=MAX_TRIES, sent_at__gt=Now() - _GOOD)
    return left.update(tries=F("tries") + 1) == 1


def _is_code(link: SentLink, typed: str) -> bool:
    """Blanks and dashes do not count, and a digit is one in every script."""
    digits = [unicodedata.decimal(character, None) for character in typed[:MAX_TYPED]]
    code = "".join(str(digit) for digit in digits if digit is not None)
    secrets_known = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(compare_digest(_hash(secret, link.pk, code), link.code_hash) for secret in secrets_known)


def _hash(secret: str, link_id: UUID, code: str) -> str:
    """A million codes are soon tried, so a plain hash would be no secret: this one needs ours."""
    mac = salted_hmac(key_salt="carillon.confirm-phone", value=f"{link_id}:{code}", secret=secret, algorithm="sha256")
    return mac.hexdigest()


def _is_suppressed(number: str) -> bool:
    return Suppression.objects.filter(channel=Channel.SMS, address_hash=Suppression.hash_of(number)).exists()


def _carry(recipient_id: UUID, number: str, text: str) -> bool:
    """`_send` on a thread of its own, whose connections go back to the pool."""
    try:
        return _send(recipient_id, number, text)
    except Exception as error:  # nobody may be there any more to be told
        log.warning("codes.not_sent", error=type(error).__name__)
        return False
    finally:
        connections.close_all()


def _send(recipient_id: UUID, number: str, text: str) -> bool:
    """Whether a provider took it."""
    sender = cast(Callable[[UUID, str, str], bool], import_string(settings.TEXT_SENDER))
    return sender(recipient_id, number, text)
