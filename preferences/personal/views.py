"""The pages behind links that were sent to a person, and the same by session: confirming an address, and one's data.

Looking never acts: mail programs open links. A link works once: what it was sent for uses it up.
"""

from collections.abc import Callable

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from preferences.centre import visitors
from preferences.centre.views import LINK_HEADERS, METHODS, SESSION_HEADERS, gone, later
from preferences.choices import LinkPurpose, Way
from preferences.models import Recipient, SentLink
from preferences.personal import export, links, mail
from preferences.services import BatchRejected, PreferencesService, Trace
from preferences.visiting import SESSION_KEY

#: What has to be typed before everything goes.
WORD = "ERASE"
Use = Callable[[], None]


class _Used(Exception):
    """Somebody was faster with the same link."""


@csrf_exempt  # the token is what proves it, as for the page of choices
@require_http_methods(METHODS)
def confirm(request: HttpRequest, token: str) -> HttpResponseBase:
    """An address becomes the person's."""
    try:
        link = links.find(token, LinkPurpose.EMAIL)
        if link is None:
            return gone("link")
        if request.method != "POST":
            return _page("confirm", {"state": "ask", "address": link.address}, LINK_HEADERS)
        _confirmed(link)
    except (_Used, Recipient.DoesNotExist):
        return gone("link")
    except (OperationalError, InterfaceError):
        return later()
    return _page("confirm", {"state": "done", "address": link.address}, LINK_HEADERS)


def _confirmed(link: SentLink) -> None:
    try:
        with transaction.atomic():
            _use(link)
            PreferencesService().confirm_email(link.recipient.external_id, link.address, Trace(Way.LINK))
    except BatchRejected:  # taken when it was sent, and not any more
        raise _Used from None
    if link.before and link.before != link.address:
        mail.changed(link.before)


def _use(link: SentLink) -> None:
    if not links.use(link):
        raise _Used


@csrf_exempt  # as above
@require_http_methods(METHODS)
def data_by_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """A person's data, by the link that was sent to their confirmed address."""
    try:
        link = links.find(token, LinkPurpose.DATA)
        if link is None:
            return gone("link")
        found = link
        return _data(request, found.recipient, lambda: _use(found), is_once=True)
    except _Used:
        return gone("link")
    except (OperationalError, InterfaceError):
        return later()


@require_http_methods(METHODS)
def data_by_session(request: HttpRequest) -> HttpResponseBase:
    """The data of whoever is signed in."""
    visitor = visitors.by_session(request)
    if visitor is None:
        return redirect("preferences")
    person = visitor.recipient
    try:
        answer = _data(request, person, lambda: links.count_download(person), is_once=False)
    except links.NotSent as refused:
        return _page("data", {"fault": refused.message}, SESSION_HEADERS, refused.status, request)
    except Recipient.DoesNotExist:  # erased meanwhile, in another tab
        return gone("link")
    except (OperationalError, InterfaceError):
        return later()
    if request.method == "POST" and not Recipient.objects.filter(pk=person.pk).exists():
        request.session.pop(SESSION_KEY, None)
    return answer


def _data(request: HttpRequest, person: Recipient, use: Use, *, is_once: bool) -> HttpResponseBase:
    headers, shown_to = (LINK_HEADERS, None) if is_once else (SESSION_HEADERS, request)
    values: dict[str, object] = {"is_once": is_once, "word": WORD}
    act = request.POST.get("act") if request.method == "POST" else None
    if act == "export":
        use()
        return _download(person)
    if act == "erase":
        if request.POST.get("word", "").strip().upper() != WORD:
            return _page("data", {**values, "wrong_word": True}, headers, 422, shown_to)
        with transaction.atomic():
            if is_once:
                use()
            PreferencesService().erase(person.external_id)
        return _page("data", {"state": "erased"}, headers, request=shown_to)
    return _page("data", values, headers, 200 if act is None else 422, shown_to)


def _download(person: Recipient) -> HttpResponseBase:
    return StreamingHttpResponse(
        export.pieces(person),
        content_type="application/json",
        headers={**LINK_HEADERS, "Content-Disposition": 'attachment; filename="my-data.json"'},
    )


def _page(
    name: str, values: dict[str, object], headers: dict[str, str], status: int = 200, request: HttpRequest | None = None
) -> HttpResponse:
    text = render_to_string(f"preferences/{name}.html", values, request)
    return HttpResponse(text, status=status, headers=headers)
