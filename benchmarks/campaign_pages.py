"""How long a manager waits for the pages of campaigns when a million people are in the audience.

    python -m benchmarks.campaign_pages [--recipients 1000000] [--repeat 15]

A database of its own; a campaign in two wordings to a segment of everyone who takes orders, handed out whole and partly
sent, and a draft to another segment. Then each page of the admin is asked for in turn, from a web process as it is
deployed: the draft's pages to check and to plan, the live page with its figures, and the people behind its numbers. The
figures by wording are kept between two readings of the record, so the reading itself is measured, too. The last line is
one JSON object, in milliseconds.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks import dataset
from benchmarks.environment import environment, instant, start, stop
from benchmarks.pages import Took, admin_cookie, get, web

WARM_UP = 2
#: Seconds in which workers send a part of what is queued, so that there are figures.
SENDING = 25
#: Readings of the record for the figures by wording.
READINGS = 5


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        fixed = {**instant(Path(folder) / "journal"), "CAMPAIGN_OUTBOX_LIMIT": 100_000_000}
        with environment("database", **fixed):
            import django

            django.setup()
            dataset.seed(options.recipients)
            draft, running = _campaigns()
            _hand_out(running)
            found = measure(draft, running, options.repeat) | {"by wording, read": _readings(running)}
    print(json.dumps({"recipients": options.recipients, "pages": found}))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=15)
    return parser.parse_args()


def measure(draft: int, running: int, repeat: int) -> dict[str, dict[str, float]]:
    """Each page `repeat` times on one connection, in turns."""
    cookie = admin_cookie()
    found = {name: Took(name) for name in _pages(draft, running)}
    with web() as connection:
        for turn in range(WARM_UP + repeat):
            for name, path in _pages(draft, running).items():
                milliseconds = get(connection, path, cookie)
                if turn >= WARM_UP:
                    found[name].times.append(milliseconds)
    for name, took in found.items():
        print(f"{name}: {took.figures()}", file=sys.stderr)
    return {name: took.figures() for name, took in found.items()}


def _pages(draft: int, running: int) -> Mapping[str, str]:
    base = "/admin/campaigns/campaign"
    return {
        "campaigns, list": f"{base}/",
        "draft, page": f"{base}/{draft}/change/",
        "draft, plan": f"{base}/{draft}/plan/",
        "draft, check": f"{base}/{draft}/check/",
        "running, page": f"{base}/{running}/change/",
        "running, figures": f"{base}/{running}/live/",
        "running, by wording": f"{base}/{running}/variants/",
        "running, by language": f"{base}/{running}/languages/",
        "running, people": f"{base}/{running}/people/",
        "running, people sent to": f"{base}/{running}/people/?outcome=sent",
        "running, people skipped": f"{base}/{running}/people/?outcome=skipped",
    }


def _campaigns() -> tuple[int, int]:
    from campaigns.models import Audience, Campaign, Segment
    from campaigns.services import CampaignService
    from notifications.models import MessageTemplate
    from preferences.models import Category

    ids = []
    for name, value in (("Everyone", "person-"), ("A tenth", "person-1")):
        segment = Segment.objects.create(
            name=name, definition={"all": [{"field": "external_id", "op": "starts_with", "value": value}]}
        )
        campaign = Campaign.objects.create(
            name=name,
            template=MessageTemplate.objects.get(slug="weekly-offer"),
            category=Category.objects.get(slug="promotions"),
            channels=["email"],
            data={"order": "A-1", "count": 3, **dataset.ALIKE},
            audience=Audience.SEGMENT,
            segment=segment,
        )
        ids.append(campaign.pk)
    _two_wordings(ids[0])
    CampaignService().send(ids[0])
    return ids[1], ids[0]


def _two_wordings(campaign: int) -> None:
    """Half of the people each: the offer, and the same words as a template of its own."""
    from campaigns.models import CampaignVariant
    from notifications.models import MessageTemplate
    from notifications.services.templates import new_version, publish

    offer = MessageTemplate.objects.get(slug="weekly-offer")
    other = MessageTemplate.objects.create(slug="other-offer", name="Other offer", variables=offer.variables)
    publish(new_version(other, dataset.TEMPLATES["weekly-offer"], by=None), by=None)
    for label, template in (("A", offer), ("B", other)):
        CampaignVariant.objects.create(campaign_id=campaign, label=label, template=template, weight=50)


def _readings(running: int) -> dict[str, float]:
    """What one page in a while waits for, and no other: all of the campaign's rows."""
    from campaigns.models import Campaign
    from campaigns.variants import figures

    campaign, took = Campaign.objects.get(pk=running), Took("by wording, read")
    for _ in range(READINGS):
        began = time.perf_counter()
        found = figures(campaign)
        took.times.append(1000 * (time.perf_counter() - began))
    print(f"by wording, read: {took.figures()} for {[(one.recipients, one.people) for one in found]}", file=sys.stderr)
    return took.figures()


def _hand_out(campaign: int) -> None:
    from campaigns.models import Campaign, CampaignStatus

    runner, worker = start("run_campaigns"), start("run_worker", "--channel", "email")
    maintenance = start("run_maintenance")
    while not Campaign.objects.filter(pk=campaign, status=CampaignStatus.COMPLETED).exists():
        time.sleep(0.5)
    time.sleep(SENDING)
    for process in (runner, worker, maintenance):
        stop(process)


if __name__ == "__main__":
    sys.exit(main())
