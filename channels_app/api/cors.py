"""Other sites that embed the inbox: the few headers of the CORS protocol (Fetch standard) that their pages need.

Only for FEED_ALLOWED_ORIGINS and without credentials: those pages have a feed token, and our cookies stay ours.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from channels_app.handshake import allowed_origins

_PREFLIGHT_SECONDS = "86400"


class CrossOrigin:
    """Mixed into a view: answers preflights before authentication, and marks every answer, errors too."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        answer = _no_content if preflight else super().dispatch  # type: ignore[misc]  # of the view this is mixed into
        response = answer(request, *args, **kwargs)
        patch_vary_headers(response, ["Origin"])
        response.headers.setdefault("Date", http_date())  # daphne sends none, and pages tell the time by it
        origin = request.headers.get("Origin", "")
        if origin.lower() in allowed_origins():
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "Date"
            if preflight:
                response["Access-Control-Allow-Methods"] = "GET, POST"
                response["Access-Control-Allow-Headers"] = "authorization, content-type"
                response["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return response


def _no_content(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    return HttpResponse(status=204)
