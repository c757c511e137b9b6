"""`POST /webhooks/<provider>/`: what a provider has to tell. Its signature is what lets it in, so there is no API key.

The address stands outside /api/v1/: it is nothing that a caller of the API calls. Webhooks with few events are mostly
answered before they come here (`express_webhooks`).
"""

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from core.api.problems import FieldProblem, Invalid, Overload, Problem, Unavailable, database_is_away, plain_response
from core.api.rendering import dumps
from notifications.errors import CarillonError
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
    except (CarillonError, DatabaseError, InterfaceError) as error:
        problem = problem_of(error)
        if problem is None:
            raise
        return refusal(problem, request.path)
    return HttpResponse(acceptance(taken), content_type="application/json")


def acceptance(events: int) -> bytes:
    """The body of a 200."""
    return dumps({"taken": events})


def problem_of(error: Exception) -> Problem | None:
    """How a webhook is refused that met this; None for a bug."""
    match error:
        case webhooks.UnknownSender():
            return NoSuchWebhook(str(error))
        case Unverified():
            return BadSignature(str(error))
        case Unreadable():
            return Invalid([FieldProblem(one.pointer, one.code, one.message) for one in error.errors])
        case LaneFull():
            return Overload(str(error))
        case _ if database_is_away(error):
            return Unavailable("The database cannot be reached; nothing was taken. Send it again.")
    return None


def refusal(problem: Problem, path: str) -> HttpResponse:
    """The answer."""
    return plain_response(problem, instance=path)
