"""Replays: dead letters put back at a chosen rate, by whom and for which filter; each leaves a ReplayRun.

A run is carried out by the maintenance process, a pass at a time. What went back and how far the run is are committed
together, so a process that is killed loses nothing and repeats nothing, and two processes share the runs.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models.functions import Now

from core import ids
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.models import DeadLetter, ReplayRun
from notifications.models.replay import ReplayState
from notifications.services import letters, tracking_sql
from notifications.services.letters import LetterFilter
from notifications.services.tracking import DeliveryTracker

log = structlog.get_logger(__name__)

#: Letters a minute: some 17,000 a second, more than workers send. A run at this rate is "at once".
MAX_PER_MINUTE = 1_000_000
#: Letters in one transaction: ten outbox rows and some 0.3 s.
STEP = 5_000
#: What a run may make up for at once after its passes came late, in seconds of its rate. A maintenance process that was
#: away for an hour goes on at the rate; it does not send an hour's worth in a moment.
CATCH_UP = 10.0
#: Runs under way at the same time; a pass visits each.
MAX_RUNNING = 20
#: Letters that can be named one by one.
MAX_IDS = 1_000
#: Letters of a run are counted to this bound, some 0.3 s; whatever is beyond is replayed all the same.
MATCHED_CAP = 1_000_000
#: Characters of a name that are kept.
_NAME = 150


class ReplayRefused(Exception):
    """A replay that cannot begin; the text says why and what to do."""


def start(wanted: LetterFilter, *, per_minute: int, by: str, via: str, upto: int | None = None) -> ReplayRun:
    """Begin to put back the open letters of `wanted` that exist now (or up to the id `upto`): what dies again is not
    replayed in a circle. Raises ReplayRefused."""
    if not 1 <= per_minute <= MAX_PER_MINUTE:
        raise ReplayRefused(f"The rate must be between 1 and {MAX_PER_MINUTE:,} a minute.")
    if len(wanted.ids) > MAX_IDS:
        raise ReplayRefused(f"At most {MAX_IDS:,} letters can be named one by one; a filter takes more.")
    if ReplayRun.objects.filter(state=ReplayState.RUNNING).count() >= MAX_RUNNING:
        raise ReplayRefused(f"{MAX_RUNNING} replays are running. Wait for one to end, or stop one.")
    newest = letters.newest_id()
    upto = newest if upto is None else min(upto, newest)
    matched = letters.count(wanted, upto=upto, cap=MATCHED_CAP)
    if not matched:
        raise ReplayRefused("No open dead letter matches.")
    run = ReplayRun.objects.create(
        filters=wanted.stored(),
        per_minute=per_minute,
        by=by[:_NAME],
        via=via,
        matched=matched,
        upto=upto,
        cursor=(letters.oldest_id(wanted) or 1) - 1,
        # The first letter is due at once, the others follow in their rhythm.
        stepped_at=_clock() - timedelta(minutes=1) / per_minute,
    )
    log.info("replay.started", run=run.pk, by=run.by, matched=matched, per_minute=per_minute, filters=run.filters)
    return run


def at_once(ids: Sequence[int], *, by: str, via: str) -> ReplayRun:
    """Put a few letters back before returning; the run is on the list as any other. Raises ReplayRefused."""
    if len(ids) > MAX_IDS:
        raise ReplayRefused(f"At most {MAX_IDS:,} letters can be named one by one; a filter takes more.")
    wanted = LetterFilter(ids=tuple(sorted(ids)))
    with transaction.atomic():
        found = list(wanted.open_letters().order_by("id").select_for_update().values_list("id", "delivery_id"))
        if not found:
            raise ReplayRefused("Nothing to put back: it was replayed or closed before.")
        return ReplayRun.objects.create(
            filters=wanted.stored(),
            per_minute=MAX_PER_MINUTE,
            by=by[:_NAME],
            via=via,
            matched=len(found),
            replayed=_put_back(found, by=by[:_NAME]),
            cursor=found[-1][0],
            upto=found[-1][0],
            state=ReplayState.DONE,
            finished_at=_clock(),
        )


def stop(run_id: int, *, by: str) -> bool:
    """End a run before its time; what went back stays. False when it is not running (any more)."""
    running = ReplayRun.objects.filter(pk=run_id, state=ReplayState.RUNNING)
    stopped = bool(running.update(state=ReplayState.STOPPED, stopped_by=by[:_NAME], finished_at=Now()))
    if stopped:
        log.info("replay.stopped", run=run_id, by=by)
    return stopped


def step() -> bool:
    """One pass over the running runs. Whether one of them has more due this moment; then the next pass should come at
    once, else in a second."""
    running = ReplayRun.objects.filter(state=ReplayState.RUNNING).order_by("id").values_list("pk", flat=True)
    more = [_advance(run_id) for run_id in running[:MAX_RUNNING]]
    return any(more)


def is_late(run: ReplayRun) -> bool:
    """Whether nobody has served this run for longer than any pass takes: the maintenance process is away."""
    return _clock() - run.stepped_at > timedelta(seconds=3 * CATCH_UP + 60.0 / run.per_minute)


def due(since: datetime, now: datetime, per_minute: int) -> tuple[int, datetime]:
    """How many letters a run may put back that was last served up to `since`, and up to when that serves it.

    Exact over time: what is left of a letter's share is not lost. At most STEP, and CATCH_UP seconds' worth beside the
    letter that is due anyway.
    """
    behind = timedelta(seconds=CATCH_UP + 60.0 / per_minute)
    since = max(since, now - behind)
    microseconds = (now - since) // timedelta(microseconds=1)
    letters_due = min(max(0, microseconds * per_minute // 60_000_000), STEP)
    return letters_due, since + timedelta(microseconds=letters_due * 60_000_000 // per_minute)


def _advance(run_id: int) -> bool:
    """Give a run its share, in one transaction. A run that another process has in hand is left to it."""
    with transaction.atomic():
        running = ReplayRun.objects.select_for_update(skip_locked=True).filter(pk=run_id, state=ReplayState.RUNNING)
        if (run := running.first()) is None:
            return False
        share, run.stepped_at = due(run.stepped_at, _clock(), run.per_minute)
        if not share:
            return False
        left = LetterFilter.of(run.filters).open_letters().filter(id__gt=run.cursor, id__lte=run.upto).order_by("id")
        found = list(left.select_for_update(skip_locked=True).values_list("id", "delivery_id")[:share])
        if found:
            run.replayed += _put_back(found, by=run.by)
            run.cursor = found[-1][0]
        if len(found) < share:
            _end_or_go_back(run)
        run.save(update_fields=["stepped_at", "replayed", "cursor", "state", "finished_at"])
        return len(found) == STEP


def _end_or_go_back(run: ReplayRun) -> None:
    """Done when no letter is left. One that somebody had locked in passing is come back to."""
    wanted = LetterFilter.of(run.filters)
    if (oldest := letters.oldest_id(wanted)) is not None:
        left = wanted.open_letters().filter(id__gte=oldest, id__lte=run.upto).order_by("id")
        if (passed := left.values_list("id", flat=True).first()) is not None:
            run.cursor = passed - 1
            return
    run.state, run.finished_at = ReplayState.DONE, _clock()
    log.info("replay.done", run=run.pk, by=run.by, matched=run.matched, replayed=run.replayed)


#: Dead, and no worker came later with the word that the provider had taken it after all. Parameters: ids, `since`.
_STILL_DEAD = """
    SELECT id FROM notifications_delivery WHERE id = ANY($1::uuid[]) AND status = 'dead'
    EXCEPT
    SELECT delivery_id FROM notifications_deliveryevent
     WHERE delivery_id = ANY($1::uuid[]) AND id >= $2 AND type = 'sent'
"""


def _put_back(found: Sequence[tuple[int, UUID]], *, by: str) -> int:
    """Put locked letters back, (id, delivery); how many really went. One whose delivery is gone with its week, came to
    another end or was taken after all is closed: there is nothing left to send, and nobody replayed it."""
    deliveries = [delivery.bytes for _, delivery in found]
    with direct_cursor() as cursor:
        cursor.execute(_STILL_DEAD, [KeyArray.of(deliveries), tracking_sql.since(deliveries)])
        dead = {ids.uuid(row[0]) for row in cursor.fetchall()}
    back = [id for id, delivery in found if delivery in dead]
    if ended := [id for id, delivery in found if delivery not in dead]:
        DeadLetter.objects.filter(id__in=ended).update(replayed_at=Now(), replayed_by="")
    return DeliveryTracker().replay(back, by=by) if back else 0


def _clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
