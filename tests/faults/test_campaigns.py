"""Campaigns under kill -9: runners die at any moment, a stop comes in between, and each person has one notification."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from campaigns.models import Campaign, CampaignStatus
from campaigns.services import CampaignService
from notifications.choices import Status
from notifications.models import Delivery, HoldKind, Notification
from notifications.services.holds import hold, release
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign
from tests.campaigns.test_fanout import wait_until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("extra", [[], ["--targets"]])
def test_a_fan_out_that_is_killed_five_times_gives_each_person_one_notification(extra: list[str]):
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": settings.DATABASE_URL}
    command = [sys.executable, "-m", "benchmarks.campaign", "--recipients", "30000", "--chunk", "100", *extra]

    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["kills"], result["without"], result["duplicates"]) == (5, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_two_runners_that_are_killed_in_turns_and_a_campaign_that_pauses_and_resumes(process_env: dict[str, str]):
    factories.recipients(6000)
    campaign = make_campaign(canary_percent=5, channels=["in_app"])
    CampaignService().send(campaign.pk)
    environment = {**process_env, "CAMPAIGN_CHUNK": "20", "CAMPAIGN_OUTBOX_LIMIT": "100000"}
    command = [sys.executable, "manage.py", "run_campaigns"]
    runners = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(2)]
    dice = random.Random(11)
    try:
        wait_until(lambda: Campaign.objects.filter(pk=campaign.pk, held_until__isnull=False).exists())
        Campaign.objects.filter(pk=campaign.pk).update(phase="rest", held_until=None, cursor=None)
        for turn in range(6):
            time.sleep(dice.uniform(0.3, 1.2))
            place = turn % 2
            os.kill(runners[place].pid, signal.SIGKILL)
            runners[place].wait()
            if Campaign.objects.filter(pk=campaign.pk, status=CampaignStatus.SENDING).exists():
                CampaignService().pause(campaign.pk)
                before = Notification.objects.count()
                time.sleep(0.5)
                assert Notification.objects.count() == before
                CampaignService().resume(campaign.pk)
            runners[place] = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        wait_until(lambda: Campaign.objects.filter(pk=campaign.pk, status=CampaignStatus.COMPLETED).exists(), 180)
    finally:
        for runner in runners:
            runner.terminate()
            runner.wait(20)

    assert Notification.objects.count() == Notification.objects.values("recipient").distinct().count() == 6000


@pytest.mark.django_db(transaction=True)
def test_a_pause_stops_what_is_queued_within_five_seconds_and_a_resume_sends_all_of_it(process_env: dict[str, str]):
    # Given thousands of queued messages and workers at them, 2,000 in a second: more than leaves before they hear of it
    factories.recipients(12_000)
    campaign = make_campaign(channels=["email"])
    CampaignService().send(campaign.pk)
    hand_out(campaign)
    pace = {"WORKER_THREADS": "2", "SIMULATOR_LATENCY_MS": "1000", "SIMULATOR_LATENCY_SIGMA": "0"}
    calm = {"SIMULATOR_SUCCESS_RATE": "1", "SIMULATOR_TEMPORARY_RATE": "0", "SIMULATOR_INVALID_RATE": "0"}
    environment = {**process_env, **pace, **calm, "SIMULATOR_RECEIPTS": "0"}
    command = [sys.executable, "manage.py", "run_worker", "--channel", "email", "--processes", "2"]
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    sent = Delivery.objects.exclude(sent_at=None)
    try:
        wait_until(lambda: sent.count() > 500)

        # When it is paused, then nothing leaves five seconds later
        hold(campaign.source, HoldKind.HELD)
        time.sleep(5)
        stopped_at = sent.count()
        time.sleep(4)
        assert sent.count() == stopped_at < 12_000
        assert not Delivery.objects.filter(status=Status.SENDING).exists()

        # When it goes on, then everyone gets theirs, with no attempt used up by the wait
        release(campaign.source)
        wait_until(lambda: sent.count() == 12_000, 120)
    finally:
        worker.terminate()
        worker.wait(30)
    assert set(Delivery.objects.values_list("attempts", "holds")) == {(1, 0)}
