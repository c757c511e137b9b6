from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection

from campaigns.runner import OUTAGES, Runner
from core import collector
from core.postgresql.direct import look_up_by_key
from core.shutdown import Shutdown
from notifications.beats import present

log = structlog.get_logger(__name__)

#: Seconds to wait for PostgreSQL, doubling from the first to the second.
BACKOFF = (0.5, 15.0)


class Command(BaseCommand):
    help = "Hand sending campaigns to the pipeline, chunk by chunk, until SIGTERM. Any number may run."

    def handle(self, *args: Any, **options: Any) -> None:
        look_up_by_key()
        collector.relax()
        shutdown, runner = Shutdown(), Runner()
        log.info("campaigns_started", chunk=settings.CAMPAIGN_CHUNK, outbox_limit=settings.CAMPAIGN_OUTBOX_LIMIT)
        with present("campaigns"):
            run(runner, shutdown)
        connection.close()
        log.info("campaigns_stopped")


def run(runner: Runner, shutdown: Shutdown) -> None:
    """Rounds until a stop is asked for. PostgreSQL's absence is waited out."""
    pause = BACKOFF[0]
    while not shutdown.requested:
        try:
            done = runner.round()
        except OUTAGES as error:
            log.warning("campaigns_waiting_for_database", error=type(error).__name__, seconds=pause)
            connection.close()
            shutdown.wait(pause)
            pause = min(pause * 2, BACKOFF[1])
            continue
        pause = BACKOFF[0]
        if not done:
            shutdown.wait(settings.CAMPAIGN_POLL_SECONDS)
