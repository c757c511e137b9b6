"""The `Idempotency-Key` of a request: asked twice, done once.

The answer is stored in the transaction that makes the rows, so there is no moment in which one exists without the
other: a process that dies after the commit, before the answer was sent, answers the same at the next try. A refused
request stores nothing, and the key can be used again for the corrected body.
"""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from notifications.errors import CarillonError
from notifications.models import ApiKey, IdempotencyRecord

#: How long an answer is repeated: longer than any client retries. `run_maintenance` removes older ones.
KEPT = timedelta(hours=24)
_EXPIRED = ExpressionWrapper(Q(created_at__lte=Now() - KEPT), output_field=BooleanField())


class InFlight(CarillonError):
    """A request with this key is being worked on at this moment."""


class KeyReused(CarillonError):
    """The key was used for a different request within the last 24 hours."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered with; `replayed` when it was done before."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def fingerprint(method: str, path: str, document: object) -> str:
    """The same for the same request, however its JSON is spaced and ordered."""
    canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), canonical))).hexdigest()


def once(api_key: ApiKey, key: str, request: str, act: Callable[[], Answer]) -> Answer:
    """Run `act` in a transaction and remember its answer under (API key, key), or repeat the answer remembered.

    `request` is the fingerprint. Raises InFlight, KeyReused, and whatever `act` raises (then nothing is remembered).
    """
    with transaction.atomic():
        if not _lock(api_key, key):
            raise InFlight()
        records = IdempotencyRecord.objects.filter(api_key=api_key, key=key)
        # Aged by the database's clock, which also wrote the row.
        record = records.annotate(expired=_EXPIRED).first()
        if record is not None and not record.expired:
            if record.fingerprint != request:
                raise KeyReused()
            return Answer(record.status_code, record.body, replayed=True)
        if record is not None:
            records.delete()
        answer = act()
        IdempotencyRecord.objects.create(
            api_key=api_key, key=key, fingerprint=request, status_code=answer.status, body=answer.body
        )
    return answer


def hold(api_key: ApiKey, keys: Collection[str]) -> set[str]:
    """For several requests in one transaction: which of these keys are free, each held until the transaction ends.

    A key that another transaction holds, or under which anything was ever answered, is not among them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key FROM unnest(%s::text[], %s::bigint[]) AS ask(key, number)"
            " WHERE pg_try_advisory_xact_lock(number)",
            [list(keys), [_number(api_key, key) for key in keys]],
        )
        held = {key for (key,) in cursor.fetchall()}
        # Asked only now: an answer that was committed before its key was let go is seen by this statement.
        cursor.execute(
            "SELECT key FROM notifications_idempotencyrecord WHERE api_key_id = %s AND key = ANY(%s)",
            [api_key.pk, list(held)],
        )
        return held.difference(key for (key,) in cursor.fetchall())


def remember(api_key: ApiKey, answers: Collection[tuple[str, str, int, bytes]]) -> None:
    """Keep answers of this transaction: (key, fingerprint, status, JSON) each. Of keys that `hold` answered."""
    keys, fingerprints, statuses, bodies = zip(*answers, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notifications_idempotencyrecord (api_key_id, key, fingerprint, status_code, body)"
            " SELECT %s, key, fingerprint, status, body::jsonb"
            " FROM unnest(%s::text[], %s::text[], %s::int[], %s::text[]) AS a(key, fingerprint, status, body)",
            [api_key.pk, list(keys), list(fingerprints), list(statuses), [body.decode() for body in bodies]],
        )


def _lock(api_key: ApiKey, key: str) -> bool:
    """Hold the key until the transaction ends, unless another one does. Let go only after the commit is visible."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_number(api_key, key)])
        return bool(cursor.fetchone()[0])


def _number(api_key: ApiKey, key: str) -> int:
    """What PostgreSQL's advisory locks know the key by."""
    digest = hashlib.sha256(f"idempotency:{api_key.pk}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
