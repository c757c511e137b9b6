from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from core.shutdown import Shutdown
from notifications import depths
from notifications.beats import present
from notifications.maintenance import Maintenance

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Keep partitions ahead, drop old ones, bring back what was left behind, until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="run every task once and exit")

    def handle(self, *, once: bool, **options: Any) -> None:
        if once:
            maintenance = Maintenance()
            while maintenance.step():
                pass
            return
        shutdown = Shutdown()
        maintenance = Maintenance(stopping=lambda: shutdown.requested)
        log.info("maintenance.started")
        with present("maintenance"), depths.watched():
            while not shutdown.requested:
                more = maintenance.step()
                close_old_connections()
                if not more:
                    shutdown.wait(1.0)
            maintenance.close()
        log.info("maintenance.stopped")
