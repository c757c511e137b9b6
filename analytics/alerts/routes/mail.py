"""Email through Django's backend, past Carillon's own providers: they may be what is broken."""

import smtplib

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from analytics.alerts.routes.base import MAX_PEOPLE, InvalidTarget, Outcome, Outgoing, Target


def check(target: Target) -> None:
    if not target.lines:
        raise InvalidTarget("Give one address at least.")
    if len(target.lines) > MAX_PEOPLE:
        raise InvalidTarget(f"At most {MAX_PEOPLE} addresses; a list of your mail server's is better for more.")
    for address in target.lines:
        try:
            validate_email(address)
        except ValidationError as error:
            raise InvalidTarget(f"{address} is not an email address.") from error


def send(target: Target, message: Outgoing) -> Outcome:
    if not settings.EMAIL_URL:
        return Outcome(False, "No mail server is set: EMAIL_URL is empty.", for_good=True)
    subject = " ".join(f"[Carillon] {message.subject}".split())[:200]
    mail = EmailMessage(subject, message.text, settings.DEFAULT_FROM_EMAIL, target.lines)
    mail.extra_headers = {"Message-ID": f"<{message.id}@carillon>", "Auto-Submitted": "auto-generated"}
    try:
        taken = mail.send()
    except smtplib.SMTPRecipientsRefused:
        return Outcome(False, "The mail server refused every address.", for_good=True)
    except smtplib.SMTPAuthenticationError:
        return Outcome(False, "The mail server refused our name or password.")
    except (smtplib.SMTPException, OSError) as error:
        return Outcome(False, f"The mail server did not take it ({type(error).__name__}).")
    return Outcome(True, "The mail server took it.") if taken else Outcome(False, "The mail server took nothing.")
