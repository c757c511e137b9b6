"""`Idempotency-Key` for the calls that send."""

import re
from collections.abc import Callable

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.problems import BadRequest, Conflict, Problem
from notifications.api.authentication import key_of
from notifications.services import idempotency
from notifications.services.idempotency import Answer

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyReusedProblem(Problem):
    slug, title, status_code = "idempotency-key-reused", "The Idempotency-Key was used for another request", 422


def is_key(text: str) -> bool:
    """Whether this may be an Idempotency-Key."""
    return _KEY.fullmatch(text) is not None


def answer_once(request: Request, status: int, act: Callable[[], msgspec.Struct]) -> Response:
    """Act and answer; with a key, at most once. A repeated answer carries `Idempotent-Replayed: true`."""
    key = request.headers.get(HEADER)
    if key is None:
        return Response(msgspec.Raw(msgspec.json.encode(act())), status=status)
    if not is_key(key):
        raise BadRequest(f"{HEADER} has 1 to 255 printable ASCII characters without spaces.")
    seal = idempotency.fingerprint(str(request.method), request.path, request.data)
    try:
        answer = idempotency.once(key_of(request), key, seal, lambda: Answer(status, msgspec.to_builtins(act())))
    except idempotency.InFlight:
        detail = "A request with this Idempotency-Key is being worked on. Ask again in a moment."
        raise Conflict(detail, headers={"Retry-After": "1"}) from None
    except idempotency.KeyReused:
        raise KeyReusedProblem(f"Within 24 hours this {HEADER} stood for a different request.") from None
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    return Response(answer.body, status=answer.status, headers=headers)
