"""`/u/<token>/`: the page of a message's way out. No sign-in, no cookie, no session.

Looking never acts: mail scanners and previews follow every link. A bare POST acts, as a mail program's button sends it
(RFC 8058 3.2) and as the page's own does; once more changes nothing.
"""

import time

import structlog
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.ids import key
from preferences.centre import tokens as centre_tokens
from preferences.choices import Channel, Purpose, Way
from preferences.models import ALL_MARKETING, Category, Preference, Recipient
from preferences.services import PreferenceChange, PreferencesService, Trace, marketing
from preferences.unsubscribing.tokens import Ask, read

log = structlog.get_logger(__name__)

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_RETRY_SECONDS = 5
#: How a channel stands in a sentence.
_BY = {
    Channel.EMAIL.value: "email",
    Channel.SMS.value: "text message",
    Channel.PUSH.value: "push message",
    Channel.IN_APP.value: "message in the inbox",
}


@csrf_exempt  # the token is what proves it: a mail program has no cookie of ours, and neither has the reader
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    ask = read(token, now=time.time())
    if ask is None:
        return _page("gone", 404)
    try:
        return _acted(ask, _wanted(request)) if request.method == "POST" else _shown(ask)
    except (OperationalError, InterfaceError):
        later = _page("later", 503)
        later["Retry-After"] = str(_RETRY_SECONDS)
        return later


def _wanted(request: HttpRequest) -> str:
    """What the page's own form asks for. A body that cannot be read asks for nothing besides: the address alone says
    what is to be stopped, and a mail program may send whatever it likes with it."""
    try:
        return request.POST.get("what", "")
    except (BadRequest, MultiPartParserError, SuspiciousOperation):
        return ""


def _shown(ask: Ask) -> HttpResponse:
    category = Category.objects.filter(pk=ask.category).first()
    if category is None or not Recipient.objects.filter(pk=ask.recipient).exists():
        return _page("done", category=category, by=_BY[ask.channel])  # there is nothing left to stop
    if category.is_required:
        return _page("required", category=category, home=_home(ask))
    return _state(ask, category)


def _state(ask: Ask, category: Category) -> HttpResponse:
    """What holds for somebody who is there: what is stopped already, and what else may be."""
    word = Preference.objects.filter(recipient=ask.recipient, category=category, channel=ask.channel).first()
    is_marketing = category.purpose == Purpose.MARKETING
    has_no_word = word is None or not word.enabled
    if is_marketing and has_no_word and ask.channel in marketing.stopped(ask.recipient):
        state = "all"
    else:
        state = "ask" if word is None or word.enabled else "done"
    return _page(state, category=category, by=_BY[ask.channel], offers_all=is_marketing, home=_home(ask))


def _acted(ask: Ask, wanted: str) -> HttpResponse:
    """A bare POST stops what the token names, whatever else it says. All marketing of the same channel is stopped by
    who asks for it, with a token of marketing alone."""
    category = Category.objects.filter(pk=ask.category).first()
    external_id = Recipient.objects.filter(pk=ask.recipient).values_list("external_id", flat=True).first()
    if category is not None and category.is_required:
        return _page("required", category=category, home=_home(ask))
    if category is None or external_id is None:
        return _page("done", category=category, by=_BY[ask.channel])
    if wanted == ALL_MARKETING and category.purpose == Purpose.MARKETING:
        change = PreferenceChange(None, ask.channel, False, marketing=True)
    else:
        change = PreferenceChange(category.slug, ask.channel, False)
    try:
        PreferencesService().set_preferences(external_id, [change], Trace(Way.UNSUBSCRIBE))
    except Recipient.DoesNotExist:  # erased meanwhile
        log.info("unsubscribe.recipient_gone")
        return _page("done", category=category, by=_BY[ask.channel])
    return _state(ask, category)


def _home(ask: Ask) -> str:
    """Where this person finds everything they may choose; empty when a link that is as old as this message would not
    lead there any more."""
    token = centre_tokens.make(key(ask.recipient), now=ask.made)
    is_good = centre_tokens.read(token, now=time.time()) is not None
    return reverse("preferences-link", args=[token]) if is_good else ""


def _page(state: str, status: int = 200, **context: object) -> HttpResponse:
    """No template context of the request: a page that anybody may be shown says nothing of who is signed in."""
    text = render_to_string("unsubscribing/page.html", {"state": state, **context})
    return HttpResponse(text, status=status, headers=_HEADERS)
