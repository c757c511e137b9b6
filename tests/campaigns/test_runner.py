"""What `run_campaigns` does: fair between campaigns, one's bug is its own, and PostgreSQL may go away."""

import itertools
import signal
import subprocess
import sys

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from campaigns import runner as runner_module
from campaigns.models import Campaign, CampaignStatus
from campaigns.runner import SLOW_AGAIN, Runner
from campaigns.services import CampaignService, FanOut, Withdraw
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


@pytest.fixture
def slow(two, monkeypatch):
    """The large campaign's every step, hand-out or withdrawal, runs into the statement timeout; its tries."""
    large, _ = two
    tried = []

    def too_slow(real):
        class TooSlow(real):
            def step(self):
                if self.campaign_id != large.pk:
                    return super().step()
                tried.append(real.__name__)
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout = 20")
                    cursor.execute("SELECT pg_sleep(5)")

        return TooSlow

    for real in (FanOut, Withdraw):
        monkeypatch.setattr(runner_module, real.__name__, too_slow(real))
    return tried


def test_a_campaign_that_runs_into_the_statement_timeout_waits_alone(two, slow):
    large, small = two
    runner = Runner()

    assert [runner.round() for _ in range(3)] == [5, 0, 0]

    assert Notification.objects.filter(source=small.source).count() == 5
    assert slow == ["FanOut"]
    large.refresh_from_db()
    assert large.status == CampaignStatus.SENDING


def test_it_is_tried_again_later_and_later(two, slow, monkeypatch):
    now = 0.0
    monkeypatch.setattr(runner_module.time, "monotonic", lambda: now)
    runner, tries = Runner(), []
    for second in range(0, 2000, 5):
        now = float(second)
        before = len(slow)
        runner.round()
        tries += [second] * (len(slow) - before)

    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses == [10, 20, 40, 80, 160, 320, 640]
    assert SLOW_AGAIN == (10, 900)


def test_a_cancel_does_not_wait_for_what_the_hand_out_was_put_off_for(two, slow):
    large, _ = two
    runner = Runner()
    runner.round()

    CampaignService().cancel(large.pk)
    runner.round()

    assert slow == ["FanOut", "Withdraw"]


def test_a_withdrawal_that_meets_a_bug_waits_alone(two, monkeypatch):
    large, small = two
    CampaignService().cancel(large.pk)

    class Broken(Withdraw):
        def step(self):
            raise ZeroDivisionError

    monkeypatch.setattr(runner_module, "Withdraw", Broken)

    assert Runner().round() == 5
    assert Notification.objects.filter(source=small.source).count() == 5


@pytest.mark.parametrize("sqlstate", ["57P01", "57P03", "08006", "53300", None])
def test_a_lost_connection_ends_the_round(two, monkeypatch, sqlstate):
    class Away(FanOut):
        def step(self):
            cause = psycopg.OperationalError("gone")
            cause.sqlstate = sqlstate
            raise OperationalError("gone") from cause

    monkeypatch.setattr(runner_module, "FanOut", Away)

    with pytest.raises(OperationalError):
        Runner().round()


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
