"""A campaign's stop button and its throttle, timed on a running campaign.

    python -m benchmarks.stopping [--recipients 1000000] [--transport rabbitmq] [--throttled 30000] [--minutes 3]

A database of its own with so many people, and a campaign to all of them by email, handed out whole, so that everything
is queued before a worker starts. With workers at it, it is paused, goes on, and is cancelled: after each stop the
provider's own journal tells when its last call came, and the record when all that was queued was taken back. Then
another campaign, to `--throttled` people a minute, with workers at it from the start: the journal tells how many went
out in each minute.

The last line is one JSON object; the exit code is 1 when a stop took longer than 5 seconds, a call came twice, anything
is not accounted for, or a whole minute was off its throttle by more than 5 %.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import dataset
from benchmarks.environment import environment, instant, start, stop

#: Seconds that a stop may take, and the share by which a whole minute may miss its throttle.
STOP_BOUND, THROTTLE_BOUND = 5.0, 0.05
#: The share of the people who may have theirs before each stop.
PAUSE_AT, CANCEL_AT = 0.02, 0.04
#: Seconds to look for calls after a stop.
QUIET = 8.0
WORKERS = 2


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = {**instant(journal), "CAMPAIGN_OUTBOX_LIMIT": 100_000_000}
        with environment(options.transport, **fixed):
            import django

            django.setup()
            dataset.seed(options.recipients)
            run = Run(options, journal)
            result = {"transport": options.transport, **run.stops(), **run.throttle()}
    print(json.dumps(result))
    return 0 if all(result[name] for name in ("stops_in_time", "accounted", "throttle_kept")) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--transport", choices=["database", "rabbitmq"], default="rabbitmq")
    parser.add_argument("--throttled", type=int, default=30_000, help="people a minute")
    parser.add_argument("--minutes", type=int, default=3)
    return parser.parse_args()


class Run:
    def __init__(self, options: argparse.Namespace, journal: Path) -> None:
        self._options = options
        self._journal = journal

    def stops(self) -> dict[str, Any]:
        """A million queued, paused, resumed, cancelled."""
        from campaigns.services import CampaignService
        from notifications.models import Delivery
        from notifications.providers.journal import read_journal

        campaign, people = self._launch(), self._options.recipients
        with processes("run_campaigns"):
            wait(lambda: self._status(campaign) == "completed", 1800)
        with processes("run_campaigns", *self._relay()):
            wait(self._all_queued, 600)
            with processes(f"run_worker --channel email --processes {WORKERS}"):
                wait(lambda: self._calls() > people * PAUSE_AT, 300)
                paused = self._stopped(lambda: CampaignService().pause(campaign))
                CampaignService().resume(campaign)
                wait(lambda: self._calls() > people * CANCEL_AT, 300)
                pressed = time.time()
                cancelled = self._stopped(lambda: CampaignService().cancel(campaign))
                wait(lambda: self._finished_at(campaign) is not None, 1800)
                withdrawn = time.time() - pressed
        left = Delivery.objects.filter(status__in=["queued", "sending"]).count()
        ends = dict(Counter(dict(_by_status())))
        told = read_journal(self._journal)
        return {
            "queued": people,
            "pause_seconds": round(paused, 2),
            "cancel_seconds": round(cancelled, 2),
            "all_taken_back_seconds": round(withdrawn, 1),
            "sent": told.distinct,
            "twice": told.duplicates,
            "ends": ends,
            "stops_in_time": max(paused, cancelled) <= STOP_BOUND,
            "accounted": left == 0 and told.duplicates == 0 and ends.get("sent", 0) == told.distinct,
        }

    def throttle(self) -> dict[str, Any]:
        """People of each whole minute, of a campaign that goes out at its throttle."""
        limit, minutes = self._options.throttled, self._options.minutes
        since = self._journal.stat().st_size
        with processes("run_campaigns", f"run_worker --channel email --processes {WORKERS}", *self._relay()):
            time.sleep(5)  # until the processes are up; then the first minute is a whole one
            campaign = self._launch(throttle=limit)
            wait(lambda: self._calls(since) > 0, 120)
            time.sleep(60 * minutes + 2)
            moments = sorted(self._moments(since))
            self._cancel(campaign)
        counts = Counter(int((moment - moments[0]) // 60) for moment in moments)
        whole = [counts[minute] for minute in range(minutes)]
        off = max(abs(count - limit) / limit for count in whole)
        return {
            "throttle": limit,
            "by_minute": whole,
            "off_by_at_most": round(off, 4),
            "throttle_kept": off <= THROTTLE_BOUND,
        }

    def _launch(self, throttle: int | None = None) -> int:
        from campaigns.models import Campaign
        from campaigns.services import CampaignService
        from notifications.models import MessageTemplate
        from preferences.models import Category

        campaign = Campaign.objects.create(
            name="Benchmark" if throttle is None else "Throttled",
            template=MessageTemplate.objects.get(slug="weekly-offer"),
            category=Category.objects.get(slug="promotions"),
            channels=["email"],
            data={"order": "A-1", "count": 3, "throttle": throttle, **dataset.ALIKE},
            throttle_per_minute=throttle,
        )
        return CampaignService().send(campaign.pk).pk

    def _stopped(self, press: Callable[[], object]) -> float:
        """Seconds between the button and the provider's last call."""
        pressed = time.time()
        press()
        time.sleep(QUIET)
        return max(0.0, max(self._moments(0)) - pressed)

    def _relay(self) -> list[str]:
        return ["run_relay"] if self._options.transport == "rabbitmq" else []

    def _all_queued(self) -> bool:
        """Whether everything is where workers find it: on the broker, where there is one."""
        from notifications.models import OutboxMessage

        return self._options.transport == "database" or not OutboxMessage.objects.exists()

    def _calls(self, since: int = 0) -> int:
        return sum(1 for _ in self._lines(since))

    def _moments(self, since: int) -> list[float]:
        return [float(line.rsplit(b"\t", 1)[1]) for line in self._lines(since)]

    def _lines(self, since: int) -> Iterator[bytes]:
        with self._journal.open("rb") as book:
            book.seek(since)
            yield from (line for line in book if line.endswith(b"\n"))

    def _status(self, campaign: int) -> str:
        from campaigns.models import Campaign

        return Campaign.objects.get(pk=campaign).status

    def _finished_at(self, campaign: int) -> object:
        from campaigns.models import Campaign

        return Campaign.objects.get(pk=campaign).finished_at

    def _cancel(self, campaign: int) -> None:
        from campaigns.services import CampaignService

        CampaignService().cancel(campaign)


def _by_status() -> list[tuple[str, int]]:
    from django.db.models import Count

    from notifications.models import Delivery

    return list(Delivery.objects.values_list("status").annotate(n=Count("id")).order_by())


@contextmanager
def processes(*commands: str) -> Iterator[None]:
    running: list[subprocess.Popen[bytes]] = [start(*command.split()) for command in commands]
    try:
        yield
    finally:
        for process in running:
            stop(process)


def wait(until: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit("It does not move.")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
