"""For load balancers and supervisors: is the process up, and can it do its work?

Redis is not needed to accept or send; without it the system is slower and marketing waits, so it is reported and does
not fail the check. The broker is no concern of the web process: it never talks to one.
"""

import threading
from queue import Empty, SimpleQueue

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core import redis
from core.api.rendering import dumps

#: A look at PostgreSQL that takes longer says no: load balancers give up after a few seconds.
ANSWER_SECONDS = 3.0
_looking = threading.Semaphore(4)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; touches nothing else."""
    return _json({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when PostgreSQL answers ("degraded" without Redis), 503 when it does not."""
    postgresql, redis_up = _postgresql(), _redis()
    checks = {"postgresql": _word(postgresql), "redis": _word(redis_up)}
    if not postgresql:
        return _json({"status": "unavailable", "checks": checks}, status=503)
    return _json({"status": "ok" if redis_up else "degraded", "checks": checks})


def _postgresql() -> bool:
    """Whether it answers within ANSWER_SECONDS. A frozen server keeps its connections open and says nothing: the look
    is left behind then, and those who ask meanwhile need not wait for another."""
    if not _looking.acquire(blocking=False):
        return False
    answer: SimpleQueue[bool] = SimpleQueue()
    threading.Thread(target=_look, args=(answer,), name="readyz", daemon=True).start()
    try:
        return answer.get(timeout=ANSWER_SECONDS)
    except Empty:
        return False


def _look(answer: SimpleQueue[bool]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        answer.put(True)
    except Error:
        answer.put(False)
    finally:
        connection.close()
        _looking.release()


def _redis() -> bool:
    try:
        return bool(redis.client().ping())
    except redis.RedisError:
        return False


def _word(up: bool) -> str:
    return "ok" if up else "unavailable"


def _json(content: dict[str, object], status: int = 200) -> HttpResponse:
    return HttpResponse(dumps(content), status=status, content_type="application/json")
