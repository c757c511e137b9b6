"""The bare address, which a newcomer opens first."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """In a demo, a page with the ways in; otherwise the admin, which asks who is there."""
    if not settings.DEMO:
        return redirect("admin:index")
    return render(request, "start.html", {"demo_recipient": settings.DEMO_RECIPIENT})
