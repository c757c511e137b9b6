"""What `run_campaigns` does: fair between campaigns, one's bug is its own, and PostgreSQL may go away."""

import signal
import subprocess
import sys

import pytest
from django.db import OperationalError, connection

from campaigns import runner as runner_module
from campaigns.models import Campaign, CampaignStatus
from campaigns.runner import Runner
from campaigns.services import FanOut
from notifications.models import Notification
from tests import factories
from tests.campaigns.conftest import make_campaign, start
from tests.campaigns.test_fanout import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(settings):
    """A campaign to 40 people and one to five of them, both sending."""
    settings.CAMPAIGN_CHUNK = 10
    people = factories.recipients(40)
    template = factories.template("sale")
    return (
        start(make_campaign("Large", template=template)),
        start(make_campaign("Small", template=template, to=people[:5])),
    )


def test_a_large_campaign_does_not_hold_up_a_small_one(two):
    large, small = two

    assert Runner().round() == 15

    assert Notification.objects.filter(source=small.source).count() == 5
    assert Notification.objects.filter(source=large.source).count() == 10


def test_a_bug_in_one_campaign_pauses_it_and_the_others_go_on(two, monkeypatch):
    large, small = two

    class Broken(FanOut):
        def step(self):
            if self.campaign_id == large.pk:
                raise ZeroDivisionError
            return super().step()

    monkeypatch.setattr(runner_module, "FanOut", Broken)

    assert Runner().round() == 5

    large.refresh_from_db()
    assert large.status == CampaignStatus.PAUSED
    assert "unexpected error" in large.problem
    assert Notification.objects.filter(source=small.source).count() == 5


def test_an_outage_pauses_nothing(two, monkeypatch):
    class Away(FanOut):
        def step(self):
            raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr(runner_module, "FanOut", Away)

    with pytest.raises(OperationalError):
        Runner().round()
    assert set(Campaign.objects.values_list("status", flat=True)) == {CampaignStatus.SENDING}


def test_the_command_survives_lost_connections_and_stops_on_sigterm(process_env):
    # Given a runner whose every connection is cut while it works
    factories.recipients(2000)
    campaign = start(make_campaign())
    environment = {**process_env, "CAMPAIGN_CHUNK": "20", "CAMPAIGN_OUTBOX_LIMIT": "100000"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run_campaigns"], env=environment, stderr=subprocess.PIPE, text=True
    )
    for floor in (100, 600):
        wait_until(lambda floor=floor: Notification.objects.count() >= floor)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    # When it is left alone, then it finishes, each with one, and SIGTERM ends it with 0
    wait_until(lambda: Campaign.objects.filter(pk=campaign.pk, status=CampaignStatus.COMPLETED).exists())
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "campaigns_waiting_for_database" in log
    assert Notification.objects.values("recipient").distinct().count() == Notification.objects.count() == 2000
