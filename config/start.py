"""The bare address, which a newcomer opens first."""

import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from core import ids
from preferences.centre import tokens
from preferences.models import Recipient


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """In a demo, a page with the ways in; otherwise the admin, which asks who is there."""
    if not settings.DEMO:
        return redirect("admin:index")
    values = {"demo_recipient": settings.DEMO_RECIPIENT, "preferences_url": _preferences()}
    return render(request, "start.html", values)


def _preferences() -> str:
    """The demo's person at their preferences: by a link as messages have it, where there is such a person."""
    person = Recipient.objects.filter(external_id=settings.DEMO_RECIPIENT).values_list("pk", flat=True).first()
    if person is None:
        return reverse("preferences")
    return reverse("preferences-link", args=[tokens.make(ids.key(person), now=time.time())])
