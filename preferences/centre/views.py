"""`/preferences/`: what a person wants, by session; `/preferences/<token>/`: the same by a signed link.

Forms work without JavaScript: a POST changes something and leads back to the page (303), which says so and offers to
take it back. The page's script sends the same forms, one switch at a time.
"""

from uuid import UUID

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from preferences.centre import actions, visitors
from preferences.centre.actions import Refused
from preferences.centre.page import address, context
from preferences.centre.visitors import Visitor
from preferences.kinds import Part
from preferences.models import Recipient
from preferences.services import Trace

SESSION_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
#: A link's page tells nobody its address. (One by session has to: Django checks where a form comes from.)
LINK_HEADERS = {**SESSION_HEADERS, "Referrer-Policy": "no-referrer"}
_RETRY_SECONDS = 5
METHODS = ["GET", "HEAD", "POST"]
#: What the page is asked to say after these; after all others, that it was saved and can be taken back.
_SAID = {
    "undo": {"undone": "1"},
    "email": {"did": "mail"},
    "data": {"did": "mail"},
    "phone": {"did": "text"},
    "code": {"did": "number"},
}
_NOTICES = {
    "mail": "A link is on its way to you. Please look into your mail.",
    "text": "A code is on its way to that number, if it can get one from us.",
    "number": "Your phone number is confirmed.",
}
#: Of what somebody typed, shown to them again beside what is wrong with it.
_MAX_TYPED = 254


@require_http_methods(METHODS)
def by_session(request: HttpRequest) -> HttpResponse:
    """The page of whoever is signed in, as /inbox/ finds them."""
    visitor = visitors.by_session(request)
    if visitor is not None:
        return _answered(request, visitor)
    if settings.DEMO:
        return redirect("/inbox/")  # where the demo lets people in without a password
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    return _page("preferences/closed.html", {"state": "nobody", "who": request.user.get_username()}, 404)


@csrf_exempt  # the token is what proves it: another site that knows it needs no forged form, and no other can make one
@require_http_methods(METHODS)
def by_link(request: HttpRequest, token: str) -> HttpResponse:
    """No sign-in, no cookie, no session."""
    try:
        visitor = visitors.by_link(token)
    except (OperationalError, InterfaceError):
        return later()
    return gone() if visitor is None else _answered(request, visitor)


def _answered(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    try:
        return _acted(request, visitor) if request.method == "POST" else _shown(request, visitor)
    except Recipient.DoesNotExist:  # erased meanwhile
        return gone()
    except (OperationalError, InterfaceError):
        return later()


def _acted(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    trace = Trace(visitor.way)
    try:
        actions.act(visitor, request.POST, trace)
    except Refused as refused:
        visitor.recipient.refresh_from_db()
        return _page_of(request, visitor, refused=refused)
    said = _SAID.get(request.POST.get("action", ""), {"saved": str(trace.batch)})
    response = HttpResponseRedirect(address(visitor, **Part.read(request.GET).query, **said))
    response.status_code = 303
    return _with_headers(response, visitor)


def _shown(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _page_of(request, visitor)


def _page_of(request: HttpRequest, visitor: Visitor, refused: Refused | None = None) -> HttpResponse:
    saved = None if refused else _batch(request.GET.get("saved", ""))
    values = {
        **context(visitor, Part.read(request.GET), saved=saved, undone=refused is None and "undone" in request.GET),
        "notice": "" if refused else _NOTICES.get(request.GET.get("did", ""), ""),
        "refused": refused,
        "typed": request.POST.get(refused.field, "")[:_MAX_TYPED] if refused else "",
    }
    # A page that anybody with the link is shown says nothing of who is signed in: no context of the request.
    text = render_to_string("preferences/page.html", values, None if visitor.by_link else request)
    return _with_headers(HttpResponse(text, status=refused.status if refused else 200), visitor)


def _batch(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _with_headers(response: HttpResponse, visitor: Visitor) -> HttpResponse:
    for name, value in (LINK_HEADERS if visitor.by_link else SESSION_HEADERS).items():
        response.headers[name] = value
    return response


def gone(state: str = "gone") -> HttpResponse:
    return _page("preferences/closed.html", {"state": state}, 404)


def later() -> HttpResponse:
    response = _page("preferences/closed.html", {"state": "later"}, 503)
    response["Retry-After"] = str(_RETRY_SECONDS)
    return response


def _page(template: str, values: dict[str, object], status: int) -> HttpResponse:
    return HttpResponse(render_to_string(template, values), status=status, headers=LINK_HEADERS)
