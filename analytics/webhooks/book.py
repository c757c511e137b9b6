"""The only writer of what becomes of webhook messages: claims them under a lease, records what came of it.

As with deliveries: each move is one guarded UPDATE over a batch, so what was sent twice, came too late or is handed out
again is a no-op; times are the database's; and every message that has not ended is in the outbox, in the broker or
under a lease. The sweep finds what isn't.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from analytics.webhooks.known import known
from analytics.webhooks.listener import CHANNEL
from analytics.webhooks.payload import Told
from analytics.webhooks.sending import Attempted
from analytics.webhooks.vocabulary import AttemptOutcome, EndReason, OffReason
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications import bulk
from notifications.models.outbox import MAX_DELIVERIES

log = structlog.get_logger(__name__)

_CLAIM = """
    UPDATE analytics_webhookmessage
       SET status = 'sending', attempts = attempts + 1, lease_until = now() + $1::float8 * interval '1 second'
     WHERE id = ANY($2::uuid[]) AND (status = 'queued' OR (status = 'sending' AND lease_until < now()))
 RETURNING id, endpoint_id, type, notification_id, delivery_id, channel, code, provider, at, attempts, holds
"""
_HELD = """
    SELECT id, extract(epoch FROM lease_until - now())::float8 FROM analytics_webhookmessage
     WHERE id = ANY($1::uuid[]) AND status = 'sending' AND lease_until >= now()
"""
_ENDPOINTS = """
    SELECT id, url, secrets, old_secret_until IS NOT NULL AND old_secret_until > now(),
           is_on AND EXISTS (
               SELECT FROM analytics_webhookendpoint_keys theirs
                 JOIN notifications_apikey key ON key.id = theirs.apikey_id
                WHERE theirs.webhookendpoint_id = endpoint.id AND key.revoked_at IS NULL)
      FROM analytics_webhookendpoint endpoint WHERE id = ANY($1::uuid[])
"""
#: A receiver's yes is a fact, whoever brings it.
_DELIVERED = """
    UPDATE analytics_webhookmessage SET status = 'delivered', lease_until = NULL, ended_at = now(), end_reason = ''
     WHERE id = ANY($1::uuid[]) AND status IN ('queued', 'sending', 'failed')
"""
#: Every other word counts only from the worker whose claim it was.
_MINE = "m.id = mine.id AND m.status = 'sending' AND m.attempts = mine.number RETURNING m.id"
_AGAIN = f"""
    UPDATE analytics_webhookmessage m SET status = 'queued', lease_until = NULL, holds = m.holds + mine.held
      FROM unnest($1::uuid[], $2::int[], $3::int[]) AS mine (id, number, held) WHERE {_MINE}
"""
_FAILED = f"""
    UPDATE analytics_webhookmessage m
       SET status = 'failed', lease_until = NULL, ended_at = now(), end_reason = mine.reason,
           holds = m.holds + mine.held
      FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[]) AS mine (id, number, held, reason) WHERE {_MINE}
"""
_LOG = """
    INSERT INTO analytics_webhookattempt (message_id, number, outcome, status, milliseconds, answer)
    SELECT one.* FROM unnest($1::uuid[], $2::int[], $3::text[], $4::smallint[], $5::int[], $6::text[])
           AS one (message, number, outcome, status, milliseconds, answer)
     WHERE EXISTS (SELECT FROM analytics_webhookmessage WHERE id = one.message)
"""
#: Not at every batch: the row of a busy endpoint would be rewritten all day, and its writers wait for each other.
_ANSWERS = """
    UPDATE analytics_webhookendpoint SET failing_since = NULL, last_success_at = now()
     WHERE id = ANY($1::uuid[])
       AND (failing_since IS NOT NULL OR last_success_at IS NULL OR last_success_at < now() - interval '10 seconds')
"""
_FAILS = """
    UPDATE analytics_webhookendpoint SET failing_since = now() WHERE id = ANY($1::uuid[]) AND failing_since IS NULL
"""
_OFF = """
    UPDATE analytics_webhookendpoint SET is_on = false, off_at = now(), off_reason = $2
     WHERE id = ANY($1::uuid[]) AND is_on
       AND ($2 = 'gone' OR failing_since < now() - $3::float8 * interval '1 day')
 RETURNING id
"""


class Claimed(NamedTuple):
    """A message under this worker's lease. `number` proves that the claim still holds; `attempt` counts requests, this
    one included."""

    told: Told
    number: int
    holds: int

    @property
    def attempt(self) -> int:
        return self.number - self.holds


class Standing(NamedTuple):
    """An endpoint as the claim found it; the secrets that sign now, and whether it may be told anything."""

    url: str
    secrets: Sequence[str]
    is_on: bool


class Ending(NamedTuple):
    """What is to be written of a claim: delivered (`wait` and `reason` empty), tried again in `wait` seconds, or given
    up for a `reason`. `attempted` is the request, None when none was made; `is_free`: it does not count as one."""

    claim: Claimed
    attempted: Attempted | None = None
    wait: float | None = None
    reason: EndReason | None = None
    is_free: bool = False


def claim(messages: Sequence[Key], *, priority: str) -> tuple[list[Claimed], Mapping[Key, Standing]]:
    """Take messages for sending, and the endpoints they go to. What another worker holds goes back into the outbox for
    the end of its lease."""
    with transaction.atomic(), direct_cursor() as cursor:
        cursor.execute(_CLAIM, [float(settings.LEASE_SECONDS), KeyArray.of(messages)])
        claims = [Claimed(Told(*row[:9]), row[9], row[10]) for row in cursor.fetchall()]
        if len(claims) < len(messages):
            missed = set(messages).difference(claim.told.id for claim in claims)
            cursor.execute(_HELD, [KeyArray.of(missed)])
            if held := cursor.fetchall():
                schedule([(id, seconds + 1.0) for id, seconds in held], priority)
        return claims, _endpoints(cursor, {claim.told.endpoint for claim in claims})


def _endpoints(cursor: CursorWrapper, wanted: set[Key]) -> Mapping[Key, Standing]:
    if not wanted:
        return {}
    cursor.execute(_ENDPOINTS, [KeyArray.of(wanted)])
    return {
        id: Standing(url, secrets if both else secrets[:1], is_on)
        for id, url, secrets, both, is_on in cursor.fetchall()
    }


def record(endings: Sequence[Ending], *, priority: str) -> None:
    """Write down what became of claims: their status, a row for each request, and the next try in the outbox. Safe to
    repeat after a commit whose answer was lost, but for the log."""
    if not endings:
        return
    with transaction.atomic(), direct_cursor() as cursor:
        delivered = [one.claim.told.id for one in endings if one.wait is None and one.reason is None]
        if delivered:
            cursor.execute(_DELIVERED, [KeyArray.of(delivered)])
        _again(cursor, [one for one in endings if one.wait is not None], priority)
        _give_up(cursor, [one for one in endings if one.reason is not None])
        _log(cursor, [one for one in endings if one.attempted is not None])
        _judge_endpoints(cursor, endings)


def schedule(waits: Sequence[tuple[Key, float]], priority: str) -> None:
    """Into the outbox, each due after so many seconds. With the transaction that is open."""
    outbox = bulk.Schedule(MAX_DELIVERIES)
    for id, seconds in waits:
        outbox.add(CHANNEL, priority, id, delay=round(seconds, 1))
    outbox.write()


def _again(cursor: CursorWrapper, endings: Sequence[Ending], priority: str) -> None:
    if not endings:
        return
    cursor.execute(_AGAIN, [*_mine(endings)])
    mine = {row[0] for row in cursor.fetchall()}
    schedule([(one.claim.told.id, one.wait or 0.0) for one in endings if one.claim.told.id in mine], priority)


def _give_up(cursor: CursorWrapper, endings: Sequence[Ending]) -> None:
    if endings:
        reasons = [one.reason.value for one in endings if one.reason is not None]
        cursor.execute(_FAILED, [*_mine(endings), reasons])


def _mine(endings: Sequence[Ending]) -> tuple[Any, ...]:
    """Ids, the numbers of their claims, and 1 where no attempt is used up."""
    return (
        KeyArray.of([one.claim.told.id for one in endings]),
        [one.claim.number for one in endings],
        [int(one.attempted is None or one.is_free) for one in endings],
    )


def _log(cursor: CursorWrapper, endings: Sequence[Ending]) -> None:
    made = [(one.claim, one.attempted) for one in endings if one.attempted is not None]
    if made:
        cursor.execute(
            _LOG,
            [
                KeyArray.of([claim.told.id for claim, _ in made]),
                [claim.attempt for claim, _ in made],
                [one.outcome.value for _, one in made],
                [one.status for _, one in made],
                [int(one.seconds * 1000) for _, one in made],
                [one.answer for _, one in made],
            ],
        )


def _judge_endpoints(cursor: CursorWrapper, endings: Sequence[Ending]) -> None:
    """Note who answers and who fails; switch off who is gone, or has failed for days. In one order, so that two
    batches do not wait for each other in a circle."""
    asked = [(one.claim.told.endpoint, one.attempted) for one in endings if one.attempted is not None]
    answering = {endpoint for endpoint, one in asked if one.is_ok}
    failing = {endpoint for endpoint, one in asked} - answering
    gone = {endpoint for endpoint, one in asked if one.outcome is AttemptOutcome.GONE}
    if answering:
        cursor.execute(_ANSWERS, [KeyArray.of(sorted(answering))])
    if failing:
        cursor.execute(_FAILS, [KeyArray.of(sorted(failing))])
    _switch_off(cursor, gone, OffReason.GONE)
    _switch_off(cursor, failing - gone, OffReason.FAILING)


def _switch_off(cursor: CursorWrapper, endpoints: set[Key], why: OffReason) -> None:
    if not endpoints:
        return
    cursor.execute(_OFF, [KeyArray.of(sorted(endpoints)), why.value, float(settings.WEBHOOK_DISABLE_DAYS)])
    if off := cursor.fetchall():
        log.warning("webhooks.endpoint_off", endpoints=len(off), why=why.value)
        transaction.on_commit(known.expire)
