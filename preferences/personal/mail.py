"""The mails about links, through Django's backend and past Carillon's own providers: what comes back of one is no
delivery report, so it suppresses nobody and retires no address."""

import smtplib

import structlog
from django.conf import settings
from django.core.mail import EmailMessage

log = structlog.get_logger(__name__)

_CONFIRM = """Somebody, most likely you, asked us to use this address for their messages.

To confirm it, open this page and press the button:

{url}

The link works once and for {hours} hours. If it was not you, do nothing: nothing changes.
"""
_DATA = """Somebody, most likely you, asked for the data that is kept about you: to take it along, or to have it erased.

Open this page to do so:

{url}

The link works once and for {minutes} minutes. Do not pass it on. If it was not you, do nothing: nothing happens.
"""
_CHANGED = """Your messages go to another address from now on. You asked for it on your preferences page, and the
new address was confirmed.

If it was not you, please write to the service that sent you messages at this address.
"""


def is_possible() -> bool:
    """Whether this installation can send mail of its own."""
    return bool(settings.EMAIL_URL)


def confirm(address: str, url: str, hours: int) -> bool:
    return _sent(address, "Please confirm your address", _CONFIRM.format(url=url, hours=hours))


def data(address: str, url: str, minutes: int) -> bool:
    return _sent(address, "Your data", _DATA.format(url=url, minutes=minutes))


def changed(address: str) -> bool:
    return _sent(address, "Your address was changed", _CHANGED)


def _sent(address: str, subject: str, text: str) -> bool:
    """Whether the mail server took it."""
    if not is_possible():
        return False
    mail = EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [address])
    mail.extra_headers = {"Auto-Submitted": "auto-generated"}
    try:
        return bool(mail.send())
    except (smtplib.SMTPException, OSError) as error:
        log.warning("preferences.mail_not_sent", error=type(error).__name__)
        return False
