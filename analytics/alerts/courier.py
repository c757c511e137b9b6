"""Sends what waits, on threads of its own: a mail server that hangs holds up neither the rules nor other maintenance.

A message is claimed under a lease, sent with no transaction open, and its outcome recorded. A process that dies in
between leaves a lease that runs out: the message is sent again, with the same id. A route that fails three times, or
for good, hands its message to its second route; without one that could still take it, it is tried for about an hour.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from analytics.alerts import heartbeat
from analytics.alerts.choices import MessageState
from analytics.alerts.composing import compose
from analytics.alerts.models import AlertMessage, AlertRoute
from analytics.alerts.routes import WAYS, Outcome, Outgoing, Target
from core import metrics
from core.moments import database_now

log = structlog.get_logger(__name__)

#: Messages on their way at once, in one process.
THREADS = 8
#: A route is given up on for its second one after this many tries: about twenty seconds.
HAND_OVER_AFTER = 3
#: And altogether after these: an hour and a quarter.
MAX_ATTEMPTS = 12
#: Longer than any try; then another process may take the message.
LEASE_SECONDS = 90
#: How long one turn waits for what it has just sent, in seconds: the other tasks of maintenance wait, too.
TURN_SECONDS = 1.0

_MESSAGES = metrics.counter("alert_messages_total", "Tries to tell people of alerts.", "kind", "outcome")

_CLAIM = """
UPDATE analytics_alertmessage m
   SET attempts = attempts + 1, leased_until = now() + make_interval(secs => %(lease)s)
 WHERE id IN (SELECT id FROM analytics_alertmessage
               WHERE state = 'waiting' AND due_at <= now() AND (leased_until IS NULL OR leased_until < now())
               ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING m.id
"""


def retry_in(attempts: int) -> float:
    """Seconds to the next try after so many: 5, 15, 45, 135, 405, then ten minutes each."""
    return float(min(5 * 3 ** (attempts - 1), 600))


class Courier:
    """Takes messages along and brings back what became of them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="alert")
        self._on_the_way: dict[Future[Outcome], UUID] = {}

    def run(self, *, patience: float = TURN_SECONDS) -> None:
        """Record what has come back, send what is due, and wait for it as long as `patience` says."""
        self._record_done()
        free = THREADS - len(self._on_the_way)
        if free > 0:
            self._send(claim(free))
        if self._on_the_way:
            wait(self._on_the_way, timeout=patience)
            self._record_done()

    def beat(self) -> None:
        """The heartbeat goes out the same way; nobody waits for it."""
        self._threads.submit(heartbeat.beat)

    def _send(self, messages: Sequence[AlertMessage]) -> None:
        if not messages:
            return
        now = database_now()
        for message in messages:
            try:
                outgoing = compose(message, now)
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:  # one that cannot be put into words must not keep the others from being told
                log.exception("alerts.not_composed", message=str(message.pk))
                record(message, None, _ours(error))
                continue
            if WAYS[message.route.kind].needs_database:
                record(message, outgoing, deliver(message.route, outgoing))
            else:
                AlertMessage.objects.filter(pk=message.pk).update(subject=outgoing.subject)
                self._on_the_way[self._threads.submit(deliver, message.route, outgoing)] = message.pk

    def _record_done(self) -> None:
        for future in [future for future in self._on_the_way if future.done()]:
            id = self._on_the_way.pop(future)
            try:
                message = AlertMessage.objects.select_related("route__fallback").filter(pk=id).first()
                if message is not None:  # its route may have been deleted meanwhile
                    record(message, None, future.result())
            except (OperationalError, InterfaceError):
                self._on_the_way[future] = id  # the route has it: forgotten, it would go out a second time
                raise


courier = Courier()


def run() -> None:
    """One turn, as `run_maintenance` asks for it."""
    courier.run()
    courier.beat()


def claim(most: int) -> list[AlertMessage]:
    """Up to `most` messages that are due, for this process alone as long as the lease holds."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"lease": LEASE_SECONDS, "most": most})
        ids = [row[0] for row in cursor.fetchall()]
    return list(AlertMessage.objects.select_related("route__fallback").filter(pk__in=ids)) if ids else []


def deliver(route: AlertRoute, outgoing: Outgoing) -> Outcome:
    """One try. Raises nothing: what nobody thought of is a failure like others."""
    begun = time.monotonic()
    try:
        outcome = WAYS[route.kind].send(Target(route.name, route.target, route.secret), outgoing)
    except Exception as error:
        log.exception("alerts.route_failed", route=route.pk)
        outcome = _ours(error)
    _MESSAGES.inc(route.kind, "sent" if outcome.ok else "failed")
    say = log.info if outcome.ok else log.warning
    seconds = round(time.monotonic() - begun, 3)
    say("alerts.told", route=route.pk, message=outgoing.id, ok=outcome.ok, answer=outcome.answer, seconds=seconds)
    return outcome


def _ours(error: Exception) -> Outcome:
    return Outcome(False, f"An error of ours: {type(error).__name__}.")


def record(message: AlertMessage, outgoing: Outgoing | None, outcome: Outcome) -> None:
    """Write down what became of a try, and what follows from it. A message that somebody else has finished meanwhile
    stays as it is."""
    with transaction.atomic():
        row = AlertMessage.objects.select_for_update().filter(pk=message.pk, state=MessageState.WAITING).first()
        if row is None:
            return
        if outgoing is not None:
            row.subject = outgoing.subject
        row.answer, row.leased_until = outcome.answer[:300], None
        if outcome.ok:
            row.state, row.sent_at = MessageState.SENT, database_now()
        elif (outcome.for_good or row.attempts >= HAND_OVER_AFTER) and _hand_over(row, message.route):
            row.state = MessageState.HANDED_OVER
        elif outcome.for_good or row.is_test or row.attempts >= MAX_ATTEMPTS:
            row.state = MessageState.FAILED
        else:
            row.due_at = database_now() + timedelta(seconds=retry_in(row.attempts))
        row.save()
    if row.state == MessageState.FAILED:
        log.error("alerts.nobody_told", route=message.route.pk, message=str(row.pk), answer=row.answer)


def _hand_over(row: AlertMessage, route: AlertRoute) -> bool:
    """Give it to the second route, unless that one has had it already; whether it was given."""
    second = route.fallback
    if row.is_test or second is None or not second.is_on or second.pk in _had_it(row):
        return False
    given = AlertMessage.objects.create(route=second, group=row.group, instead_of=row, due_at=Now())
    given.events.set(row.events.all())
    return True


def _had_it(row: AlertMessage) -> set[int]:
    """The routes that this message was tried on, one after the other."""
    routes = {row.route_id}
    earlier = row.instead_of
    while earlier is not None:
        routes.add(earlier.route_id)
        earlier = earlier.instead_of
    return routes
