"""A campaign's fan-out, killed and resumed: does each recipient get one notification, and how fast?

    python -m benchmarks.campaign [--recipients 1000000] [--kills 5] [--channels in_app,email] [--targets]

A database of its own with so many people; one `run_campaigns`, killed (SIGKILL) at even distances and started again.
Nobody works the queue meanwhile, so the figures are of the fan-out alone. With --targets the audience is a segment with
a canary, so that everyone is written down first. The last line is one JSON object; the exit code is 1 when somebody has
no notification, or more than one.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import psycopg

from benchmarks import dataset, processes
from benchmarks.environment import ROOT, environment

#: Seconds between two looks at the runner.
_LOOK = 0.2
#: Seconds in which something has to move; a machine that is busy with other things needs some.
_STUCK = 300.0


def main() -> int:
    options = arguments()
    with environment("database", CAMPAIGN_OUTBOX_LIMIT=100_000_000, CAMPAIGN_CHUNK=options.chunk) as settings:
        import django

        django.setup()
        began = time.monotonic()
        dataset.seed(options.recipients)
        seeded = time.monotonic() - began
        campaign_id = _campaign(options)
        with psycopg.connect(settings["DATABASE_URL"], autocommit=True) as database:
            run = Run(database, campaign_id, options)
            run.to_the_end()
            figures = {"recipients": options.recipients, "seed_seconds": round(seeded, 1), **run.figures()}
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if figures["without"] == figures["duplicates"] == 0 else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--chunk", type=int, default=500)
    parser.add_argument("--channels", default="in_app")
    parser.add_argument("--targets", action="store_true")
    return parser.parse_args()


def _campaign(options: argparse.Namespace) -> int:
    """Launched, and waiting for a runner."""
    from campaigns.models import Audience, Campaign, Segment
    from campaigns.services import CampaignService
    from notifications.models import MessageTemplate
    from preferences.models import Category

    campaign = Campaign.objects.create(
        name="Benchmark",
        template=MessageTemplate.objects.get(slug="weekly-offer"),
        category=Category.objects.get(slug="promotions"),
        channels=options.channels.split(","),
        data={"order": "A-1", "count": 3, **dataset.ALIKE},
    )
    if options.targets:
        segment = Segment.objects.create(
            name="Everyone", definition={"all": [{"field": "external_id", "op": "starts_with", "value": "person-"}]}
        )
        Campaign.objects.filter(pk=campaign.pk).update(audience=Audience.SEGMENT, segment=segment)
    return CampaignService().send(campaign.pk).pk


class Run:
    """Runners one after the other, until the campaign is completed."""

    def __init__(self, database: psycopg.Connection[Any], campaign_id: int, options: argparse.Namespace) -> None:
        self._database = database
        self._campaign_id = campaign_id
        self._recipients = options.recipients
        self._kills_at = [options.recipients * n // (options.kills + 1) for n in range(1, options.kills + 1)]
        self._kills = 0
        self._peak_mb = 0.0
        self._seconds = 0.0
        self._cpu = 0.0

    def to_the_end(self) -> None:
        began = time.monotonic()
        while not self._one_runner():
            continue
        self._seconds = time.monotonic() - began

    def _one_runner(self) -> bool:
        """Until the next kill, or the end; whether that was the end."""
        command = [sys.executable, str(ROOT / "manage.py"), "run_campaigns"]
        runner = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moved_at, before, cpu = time.monotonic(), -1, 0.0
        try:
            while True:
                status, handled, prepared = self._progress()
                self._peak_mb = max(self._peak_mb, processes.peak_rss_mb([runner.pid]))
                cpu = processes.cpu_seconds([runner.pid])
                if status == "completed":
                    return True
                if self._kills < len(self._kills_at) and handled >= self._kills_at[self._kills]:
                    self._kills += 1
                    return False
                if handled + prepared != before:
                    moved_at, before = time.monotonic(), handled + prepared
                if status != "sending" or time.monotonic() - moved_at > _STUCK:
                    raise SystemExit(f"The campaign is {status} at {handled:,} people and does not move.")
                time.sleep(_LOOK)
        finally:
            self._cpu += cpu
            runner.kill()
            runner.wait()

    def _progress(self) -> tuple[str, int, int]:
        row = self._database.execute(
            "SELECT status, accepted + dropped, coalesce(hashtext(prepared_to::text), 0)"
            "  FROM campaigns_campaign WHERE id = %s",
            [self._campaign_id],
        ).fetchone()
        assert row is not None
        return row[0], row[1], row[2]

    def figures(self) -> dict[str, Any]:
        row = self._database.execute(
            "SELECT count(*), count(DISTINCT recipient_id) FROM notifications_notification WHERE source = %s",
            [f"campaign:{self._campaign_id}"],
        ).fetchone()
        assert row is not None
        notifications, people = row
        return {
            "kills": self._kills,
            "seconds": round(self._seconds, 1),
            "people_per_second": round(self._recipients / self._seconds),
            "runner_cpu_us_per_person": round(self._cpu * 1_000_000 / self._recipients),
            "runner_peak_mb": round(self._peak_mb),
            "notifications": notifications,
            "without": self._recipients - people,
            "duplicates": notifications - people,
        }


if __name__ == "__main__":
    sys.exit(main())
