from argparse import ArgumentParser
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from core import collector, supervisor
from core.postgresql.direct import look_up_by_key
from core.shutdown import Shutdown
from notifications import messaging, registry
from notifications.beats import present
from notifications.choices import Priority
from notifications.lanes import CHANNELS

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Send what is queued for one channel, until SIGTERM; then finish what is in hand and exit 0."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--channel", required=True, choices=CHANNELS)
        parser.add_argument(
            "--priority",
            action="append",
            choices=Priority.values,
            metavar="PRIORITY",
            help="serve only this priority; may be given several times (default: all, the higher first)",
        )
        parser.add_argument("--processes", type=int, default=1, help="worker processes (default 1)")

    def handle(self, *, channel: str, priority: list[str] | None, processes: int, **options: Any) -> None:
        if not 1 <= processes <= 64:
            raise CommandError("--processes takes a number from 1 to 64.")
        wanted = [p for p in Priority.values if priority is None or p in priority]
        if processes == 1:
            serve(f"worker-{channel}", channel, wanted)
            return
        connections.close_all()
        names = [f"worker-{channel}-{number}" for number in range(1, processes + 1)]
        children = {name: partial(serve, name, channel, wanted) for name in names}
        code = supervisor.run(children, drain_seconds=settings.DRAIN_SECONDS + 5)
        if code:
            raise CommandError("A worker had to be killed.", returncode=code)


def serve(name: str, channel: str, priorities: list[str]) -> None:
    """One worker process: consume until asked to stop."""
    look_up_by_key()
    collector.relax()
    shutdown = Shutdown()
    worker = registry.lane_worker(channel)(stopping=lambda: shutdown.requested)
    consumer = messaging.consumer(channel, priorities)
    shutdown.on_stop(consumer.stop)
    log.info("worker.started", channel=channel, priorities=priorities)
    try:
        with present("worker", name, channels=[channel], priorities=priorities, stats=worker.stats):
            consumer.run(worker.process)
    except messaging.TopologyMismatch as error:
        raise CommandError(str(error)) from error
    finally:
        worker.close()
    log.info("worker.stopped", channel=channel)
