"""Sending links for one act each, and using them up."""

import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from core import ids
from preferences.centre import tokens
from preferences.choices import LinkPurpose
from preferences.models import Recipient, SentLink
from preferences.personal import mail
from preferences.services import subjects

#: Links to one person, and downloads by session: a nuisance to nobody, and no way to read a table again and again.
MAX_AN_HOUR = 3
MAX_A_DAY = 10
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_GOOD_SECONDS = {LinkPurpose.EMAIL: tokens.EMAIL_SECONDS, LinkPurpose.DATA: tokens.DATA_SECONDS}


class NotSent(Exception):
    """Why there is no link, in a sentence for the person."""

    def __init__(self, message: str, status: int = 422) -> None:
        self.message, self.status = message, status
        super().__init__(message)


def send_confirmation(recipient: Recipient, address: str) -> None:
    """To `address`, which is the person's once they have confirmed it. Raises NotSent."""
    link = _made(recipient, LinkPurpose.EMAIL, address)
    url = _url("confirm", tokens.make_email(ids.key(link.pk), now=time.time()))
    _check(link, mail.confirm(address, url, tokens.EMAIL_SECONDS // 3600))


def send_data(recipient: Recipient) -> None:
    """To the person's own address, which is confirmed. Raises NotSent."""
    if recipient.email_verified_at is None or not recipient.email:
        raise NotSent("Your email address is not confirmed yet. Please confirm it first.")
    link = _made(recipient, LinkPurpose.DATA, recipient.email)
    url = _url("data", tokens.make_data(ids.key(link.pk), now=time.time()))
    _check(link, mail.data(recipient.email, url, tokens.DATA_SECONDS // 60))


def count_download(recipient: Recipient) -> None:
    """A download by session counts as a link that was sent and used. Raises NotSent."""
    link = _made(recipient, LinkPurpose.DATA, "")
    SentLink.objects.filter(pk=link.pk).update(used_at=Now())


def find(token: str, purpose: LinkPurpose) -> SentLink | None:
    """The link of a token, if it can still be used. Nothing is used up by looking."""
    read = tokens.read_email if purpose is LinkPurpose.EMAIL else tokens.read_data
    link_id = read(token, now=time.time())
    if link_id is None:
        return None
    fresh = SentLink.objects.filter(
        pk=link_id, purpose=purpose, used_at=None, sent_at__gt=Now() - timedelta(seconds=_GOOD_SECONDS[purpose])
    )
    found = fresh.select_related("recipient").first()
    return found if found and found.recipient.email == found.before else None


def use(link: SentLink) -> bool:
    """Use it up; whether this was the first to do so."""
    return SentLink.objects.filter(pk=link.pk, used_at=None).update(used_at=Now()) == 1


def check_room(recipient: Recipient, purpose: LinkPurpose) -> None:
    """Whether one more may be sent to this person, who is held until the transaction ends: two requests at once do not
    both find room. Links and codes are counted apart. Raises NotSent, and Recipient.DoesNotExist."""
    subjects.held(recipient.external_id)
    theirs = SentLink.objects.filter(recipient=recipient)
    theirs.filter(sent_at__lt=Now() - _DAY).delete()
    is_code = purpose == LinkPurpose.PHONE
    alike = theirs.filter(purpose=purpose) if is_code else theirs.exclude(purpose=LinkPurpose.PHONE)
    an_hour = alike.filter(sent_at__gt=Now() - _HOUR).count()
    if an_hour >= MAX_AN_HOUR or alike.count() >= MAX_A_DAY:
        where = "at your phone" if is_code else "into your mail"
        raise NotSent(f"That was asked for several times already. Please look {where}, or wait a while.", 429)


def _made(recipient: Recipient, purpose: LinkPurpose, address: str) -> SentLink:
    with transaction.atomic():
        check_room(recipient, purpose)
        return SentLink.objects.create(recipient=recipient, purpose=purpose, address=address, before=recipient.email)


def _check(link: SentLink, is_sent: bool) -> None:
    if not is_sent:
        raise NotSent("The message could not be sent. Please try again later.", 503)


def _url(what: str, token: str) -> str:
    return f"{settings.PUBLIC_URL}/preferences/{what}/{token}/"
