"""Links to the preference centre, for host systems that lead their own users there."""

import time
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import ids
from core.api.openapi import call
from preferences import centre
from preferences.api.faults import recipient_of
from preferences.api.scopes import RECIPIENTS_WRITE
from preferences.api.shapes import PreferencesLink


class PreferencesLinkView(APIView):
    required_scopes: ClassVar = {"POST": RECIPIENTS_WRITE}

    @call("makePreferencesLink", "Make a link to a recipient's preference centre", answers={201: PreferencesLink})
    def post(self, request: Request, external_id: str) -> Response:
        """Good for `PREFERENCES_LINK_DAYS`. No row is kept, so it cannot be taken back: give it to its person alone."""
        recipient, now = recipient_of(external_id), time.time()
        url = centre.address(ids.key(recipient.pk), now=now)
        ends = datetime.fromtimestamp(int(now), UTC) + timedelta(days=settings.PREFERENCES_LINK_DAYS)
        return Response(PreferencesLink(url, ends), status=201)
