"""/inbox/: the feed as a page of its own, and the demo's way to be somebody."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from channels_app import identity, live
from core.content_policy import HEADER, policy
from preferences.models import Recipient

#: What the page's two elements load by themselves, told of ahead, or each would be found in the one before it.
_MODULES = ("client", "socket", "dom", "strings", "panel", "chips", "list", "rows", "title")


@require_GET
@never_cache
@ensure_csrf_cookie
def inbox(request: HttpRequest) -> HttpResponse:
    """The inbox of whoever is signed in; the demo offers someone to be, production a sign-in page."""
    who = identity.from_request(request)
    if who is None and not settings.DEMO and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    known = Recipient.objects.filter(external_id=settings.DEMO_RECIPIENT).exists() if who is None else True
    context = {
        "who": who,
        "demo": settings.DEMO,
        "demo_recipient": settings.DEMO_RECIPIENT,
        "demo_ready": known,
        "modules": _MODULES,
        "as_demo": identity.SESSION_KEY in request.session,
    }
    response = render(request, "inbox/inbox.html" if who else "inbox/welcome.html", context)
    response[HEADER] = _policy(request)
    return response


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """The demo only: be the demo's recipient."""
    if not settings.DEMO:
        raise Http404
    request.session.cycle_key()
    request.session[identity.SESSION_KEY] = settings.DEMO_RECIPIENT
    return redirect("inbox")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Stop being the recipient that the session names; a signed-in account stays signed in."""
    who = identity.from_request(request)
    request.session.pop(identity.SESSION_KEY, None)
    request.session.cycle_key()
    if who is not None:
        live.end(who.recipient_id, session_key=who.session_key)
    return redirect("inbox")


def _policy(request: HttpRequest) -> str:
    """No inline script, nothing from elsewhere but images over https (a sender's icons), no framing. The socket is
    named for browsers in which 'self' means http alone."""
    host = urlsplit(f"//{request.get_host()}").netloc
    return policy(
        script_src="'self'",
        style_src="'self'",
        img_src="'self' https: data:",
        connect_src=f"'self' ws://{host} wss://{host}",
    )
