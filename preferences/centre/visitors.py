"""Who looks at the preference centre, and what lets them in: their session, or a signed link that somebody may have
forwarded."""

import time
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from preferences.centre import tokens
from preferences.choices import Way
from preferences.models import Recipient
from preferences.visiting import external_id_of


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person at their own page. `way` says how they came: Way.PAGE by session, or Way.LINK. `home` is its path."""

    recipient: Recipient
    way: Way
    home: str

    @property
    def by_link(self) -> bool:
        """Whoever comes by a link may not be the person: they see no address, and get no data."""
        return self.way is Way.LINK


def by_session(request: HttpRequest) -> Visitor | None:
    external_id = external_id_of(request.session)
    found = Recipient.objects.filter(external_id=external_id).first() if external_id else None
    return Visitor(found, Way.PAGE, reverse("preferences")) if found else None


def by_link(token: str) -> Visitor | None:
    """None for a token that is not ours or too old, and for one whose recipient is gone."""
    recipient_id = tokens.read(token, now=time.time())
    found = Recipient.objects.filter(pk=recipient_id).first() if recipient_id else None
    return Visitor(found, Way.LINK, reverse("preferences-link", args=[token])) if found else None
