"""Each recipient exactly one notification, however often it is interrupted."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from uuid import uuid4

import pytest
from django.db import connection
from msgspec.structs import replace

from campaigns import selectors
from campaigns.models import Audience, Campaign, CampaignStatus, RecipientList, RecipientListMember, Segment
from campaigns.services import CampaignService, FanOut
from core.ids import made_at
from notifications.models import Delivery, Notification, OutboxMessage, TemplateVersion
from notifications.services.templates import catalogue
from preferences.models import Category, Recipient
from preferences.services import PreferencesService
from preferences.services.service import category_cache
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start, work

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_chunks(settings):
    settings.CAMPAIGN_CHUNK = 10


def external_id(op: str, value: str) -> dict[str, object]:
    return {"all": [{"field": "external_id", "op": op, "value": value}]}


def each_has_one(campaign: Campaign, people: int) -> bool:
    """Whether every recipient there is has one notification of the campaign."""
    had = Counter(Notification.objects.filter(source=campaign.source).values_list("recipient_id", flat=True))
    return len(had) == people and set(had.values()) == {1}


class TestExactlyOnce:
    def test_everyone_gets_one_notification_and_the_campaign_completes(self):
        factories.recipients(25)
        campaign = start(make_campaign())

        assert hand_out(campaign) == 25

        campaign.refresh_from_db()
        assert each_has_one(campaign, 25)
        assert (campaign.status, campaign.accepted, campaign.audience_size) == (CampaignStatus.COMPLETED, 25, 25)
        assert campaign.finished_at is not None

    def test_a_list_reaches_the_people_on_it_and_nobody_else(self):
        people = factories.recipients(25)
        campaign = start(make_campaign(to=people[3:15]))

        assert hand_out(campaign) == 12

        got = Notification.objects.values_list("recipient_id", flat=True)
        assert set(got) == {person.pk for person in people[3:15]}

    def test_a_chunk_is_one_outbox_row_per_channel(self):
        factories.recipients(10)

        FanOut(start(make_campaign()).pk).step()

        rows = OutboxMessage.objects.values_list("channel", "priority", "size")
        assert sorted(rows) == [("email", "low", 10), ("in_app", "low", 10)]

    def test_ids_are_made_from_the_start_so_a_second_run_of_a_chunk_adds_nothing(self):
        factories.recipients(10)
        campaign = start(make_campaign())
        FanOut(campaign.pk).step()
        before = set(Notification.objects.values_list("id", flat=True))

        # When the cursor is lost and the chunk runs again
        Campaign.objects.filter(pk=campaign.pk).update(cursor=None)
        FanOut(campaign.pk).step()

        # Then the same ids come out, within the range a cancel covers
        assert set(Notification.objects.values_list("id", flat=True)) == before
        low, high = campaign.id_range
        assert all(low <= id < high for id in before)
        assert {made_at(id) for id in before} == {campaign.started_at}

    @pytest.mark.parametrize("window", [0, 300])
    def test_a_crash_between_the_send_and_the_cursor_leaves_neither(self, window: int):
        factories.recipients(25)
        campaign = start(make_campaign())
        Category.objects.update(dedup_seconds=window)
        category_cache.forget()
        FanOut(campaign.pk).step()

        class Crashing(FanOut):
            def _advance(self, *args):
                raise RuntimeError("the power went")

        with pytest.raises(RuntimeError):
            Crashing(campaign.pk).step()

        assert Notification.objects.count() == 10
        assert OutboxMessage.objects.count() == 2
        hand_out(campaign)
        assert each_has_one(campaign, 25)
        assert not Delivery.objects.filter(status="skipped").exists()  # no duplicates of what the crash undid

    def test_pause_and_resume_skip_nobody_and_repeat_nobody(self):
        factories.recipients(25)
        campaign = start(make_campaign())
        FanOut(campaign.pk).step()

        CampaignService().pause(campaign.pk)
        assert hand_out(campaign) == 0
        assert Notification.objects.count() == 10

        CampaignService().resume(campaign.pk)
        assert hand_out(campaign) == 15
        assert each_has_one(campaign, 25)


class TestSeveralRunners:
    @pytest.mark.django_db(transaction=True)
    def test_two_runners_share_the_work_without_doing_it_twice(self):
        factories.recipients(200)
        campaign = start(make_campaign())
        failures = []

        def run():
            try:
                while Campaign.objects.filter(pk=campaign.pk, status=CampaignStatus.SENDING).exists():
                    FanOut(campaign.pk).step()
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        runners = [threading.Thread(target=run) for _ in range(2)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join(60)

        assert failures == []
        assert each_has_one(campaign, 200)

    def test_kill_9_in_the_middle_and_a_restart_leave_each_with_exactly_one(self, process_env):
        # Given a runner in a process of its own, at work
        factories.recipients(3000)
        campaign = start(make_campaign())
        Category.objects.update(dedup_seconds=300)
        environment = {**process_env, "CAMPAIGN_CHUNK": "20", "CAMPAIGN_OUTBOX_LIMIT": "100000"}
        command = [sys.executable, "manage.py", "run_campaigns"]
        first = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        wait_until(lambda: Notification.objects.count() >= 200)

        # When it is killed and another takes its place
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        killed_at = Notification.objects.count()
        second = subprocess.Popen(command, env={**environment, "CAMPAIGN_CHUNK": "500"}, stderr=subprocess.DEVNULL)
        wait_until(lambda: Campaign.objects.filter(pk=campaign.pk, status=CampaignStatus.COMPLETED).exists())
        second.terminate()

        # Then nobody was left out and nobody was asked twice, and SIGTERM ended it cleanly
        assert second.wait(15) == 0
        assert 200 <= killed_at < 3000
        assert each_has_one(campaign, 3000)
        assert Delivery.objects.filter(status="queued").count() == 6000


def wait_until(true, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class TestWhoIsIn:
    def test_a_segment_and_a_saved_list_less_whom_they_leave_out(self):
        people = factories.recipients(12)
        first = Segment.objects.create(name="All but 3", definition=external_id("is_not", "person-3"))
        last = Segment.objects.create(name="Just 4", definition=external_id("is", "person-4"))
        half, quarter = (RecipientList.objects.create(name=name) for name in ("Half", "Quarter"))
        for some, until in ((half, 6), (quarter, 3)):
            RecipientListMember.objects.bulk_create(
                RecipientListMember(list=some, recipient=person) for person in people[:until]
            )
        to_segment = make_campaign("Segment", audience=Audience.SEGMENT, segment=first)
        to_list = make_campaign("List", audience=Audience.SAVED_LIST, saved_list=half, template=to_segment.template)
        for campaign in (to_segment, to_list):
            campaign.exclude_segments.add(last)
            campaign.exclude_lists.add(quarter)

        sizes = [start(campaign).audience_size for campaign in (to_segment, to_list)]
        for campaign in (to_segment, to_list):
            hand_out(campaign)

        accepted = [Campaign.objects.get(pk=campaign.pk).accepted for campaign in (to_segment, to_list)]
        assert sizes == accepted == [7, 2]
        got = Notification.objects.filter(source=to_list.source).values_list("recipient__external_id", flat=True)
        assert set(got) == {"person-3", "person-5"}

    def test_who_comes_after_the_start_is_not_in_the_audience(self):
        factories.recipients(15)
        campaign = start(make_campaign())
        FanOut(campaign.pk).step()

        factories.recipient("late")
        hand_out(campaign)

        assert Notification.objects.count() == 15
        assert not Notification.objects.filter(recipient__external_id="late").exists()

    def test_who_is_erased_before_their_turn_is_told_as_erased(self):
        people = factories.recipients(15)
        campaign = start(make_campaign())
        FanOut(campaign.pk).step()

        PreferencesService().erase(people[-1].external_id)
        hand_out(campaign)

        campaign.refresh_from_db()
        assert campaign.status == CampaignStatus.COMPLETED
        where = selectors.people(campaign)
        assert (where["audience"], where["handled"], where["erased"], where["waiting"]) == (15, 14, 1, 0)

    def test_who_vanishes_within_a_chunk_is_dropped_and_the_others_go_on(self):
        people = factories.recipients(25)
        campaign = start(make_campaign())

        class OneVanishes(FanOut):
            def _draft(self, campaign, person, *others):
                draft = super()._draft(campaign, person, *others)
                return replace(draft, recipient=f"gone-{uuid4()}") if person.external_id == "person-4" else draft

        while OneVanishes(campaign.pk).step():
            pass

        campaign.refresh_from_db()
        assert (campaign.status, campaign.accepted, campaign.dropped) == (CampaignStatus.COMPLETED, 24, 1)
        assert not Notification.objects.filter(recipient=people[4]).exists()

    def test_a_chunk_of_nobody_but_the_vanished_does_not_end_the_campaign(self):
        factories.recipients(15)
        campaign = start(make_campaign())

        class FirstTenVanish(FanOut):
            def _draft(self, campaign, person, *others):
                draft = super()._draft(campaign, person, *others)
                gone = int(person.external_id.split("-")[1]) < 10
                return replace(draft, recipient="gone") if gone else draft

        while FirstTenVanish(campaign.pk).step():
            pass

        campaign.refresh_from_db()
        assert (campaign.accepted, campaign.dropped) == (5, 10)


class TestWhatStopsIt:
    def test_a_wording_withdrawn_on_the_way_pauses_it_and_loses_nobody(self):
        factories.recipients(25)
        campaign = start(make_campaign())
        FanOut(campaign.pk).step()
        published_at = campaign.template_version.published_at

        # When nothing can be sent any more
        TemplateVersion.objects.update(published_at=None)
        catalogue.clear()
        assert hand_out(campaign) == 0

        # Then it is paused with the reason, and goes on from there
        campaign.refresh_from_db()
        assert (campaign.status, campaign.dropped) == (CampaignStatus.PAUSED, 0)
        assert "template" in campaign.problem
        TemplateVersion.objects.update(published_at=published_at)
        catalogue.clear()
        assert CampaignService().resume(campaign.pk).problem == ""
        hand_out(campaign)
        assert each_has_one(campaign, 25)

    def test_it_does_not_run_ahead_of_the_workers(self, settings, provider):
        settings.CAMPAIGN_OUTBOX_LIMIT = 4
        factories.recipients(50)
        campaign = start(make_campaign())

        # Given its lanes hold four due rows, two a chunk
        assert hand_out(campaign) == 20
        campaign.refresh_from_db()
        assert campaign.status == CampaignStatus.SENDING

        # When a worker has taken them, then it goes on
        work()
        assert hand_out(campaign) == 20

    def test_work_that_waits_for_a_later_moment_does_not_hold_it_up(self, settings):
        settings.CAMPAIGN_OUTBOX_LIMIT = 4
        factories.recipients(20)
        campaign = start(make_campaign())
        hand_out(campaign)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE notifications_outbox SET due_at = now() + interval '1 hour'")

        assert FanOut(campaign.pk).step() == 0
        campaign.refresh_from_db()
        assert campaign.status == CampaignStatus.COMPLETED


class TestCost:
    def test_a_chunk_costs_the_same_number_of_queries_whatever_its_size(self, settings, django_assert_max_num_queries):
        factories.recipients(300)
        campaign = start(make_campaign())
        FanOut(campaign.pk).step()  # warms the catalogue

        settings.CAMPAIGN_CHUNK = 250
        with django_assert_max_num_queries(22):
            assert FanOut(campaign.pk).step() == 250
        assert Recipient.objects.count() == 300


def test_link_parameters_go_with_every_notification_and_nothing_where_there_are_none():
    factories.recipients(2)
    with_some = start(make_campaign("Spring", utm_source="news", utm_campaign="spring"))
    with_none = start(make_campaign("Plain", template=with_some.template))

    hand_out(with_some)
    hand_out(with_none)

    def metadata(campaign):
        return list(Notification.objects.filter(source=campaign.source).values_list("metadata", flat=True))

    assert metadata(with_some) == [{"utm": {"source": "news", "campaign": "spring"}}] * 2
    assert metadata(with_none) == [{}] * 2
