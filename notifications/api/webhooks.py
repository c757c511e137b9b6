"""`POST /webhooks/<provider>/`: what a provider has to tell. Its signature is what lets it in, so there is no API key.

The address stands outside /api/v1/: it is nothing that a caller of the API calls.
"""

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from core.api.problems import (
    FieldProblem,
    Invalid,
    Overload,
    Problem,
    Unavailable,
    database_is_away,
    plain_response,
)
from notifications.receivers.base import Unreadable, Unverified
from notifications.services import webhooks
from notifications.services.events_lane import LaneFull


class NoSuchWebhook(Problem):
    slug, title, status_code = "not-found", "Not found", 404


class BadSignature(Problem):
    slug, title, status_code = "unauthenticated", "The signature is not valid", 401


@csrf_exempt
@require_POST
def receive(request: HttpRequest, provider: str) -> HttpResponse:
    """200 once everything in it is durable. The provider sends again what was answered otherwise."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        taken = webhooks.receive(provider, headers, request.body)
    except webhooks.UnknownSender as error:
        problem: Problem = NoSuchWebhook(str(error))
    except Unverified as error:
        problem = BadSignature(str(error))
    except Unreadable as error:
        problem = Invalid([FieldProblem(one.pointer, one.code, one.message) for one in error.errors])
    except LaneFull as error:
        problem = Overload(str(error))
    except (DatabaseError, InterfaceError) as error:
        if not database_is_away(error):
            raise
        problem = Unavailable("The database cannot be reached; nothing was taken. Send it again.")
    else:
        return JsonResponse({"taken": taken})
    return plain_response(problem, instance=request.path)
