"""Which step is possible from where, and what a cancel takes back."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import PositiveIntegerField, PositiveSmallIntegerField
from django.utils import timezone

from campaigns.choices import LEGAL
from campaigns.errors import NotReady, WrongState
from campaigns.models import Campaign, CampaignStatus, RecipientList, Schedule, Segment
from campaigns.models.campaign import CONTENT
from campaigns.runner import Runner
from campaigns.services import CampaignService, FanOut, Withdraw
from campaigns.services.withdraw import SLICES
from core.ids import keys_of
from notifications.choices import SkipReason, Status
from notifications.models import Delivery, HoldKind, MessageTemplate, Notification, OutboxMessage, SourceHold
from notifications.services.tracking import DeliveryTracker
from notifications.services.tracking_sql import SOURCE_PAGE
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start, work

pytestmark = pytest.mark.django_db

S = CampaignStatus
DRAFT, SENDING, CANCELLED = S.DRAFT.value, S.SENDING.value, S.CANCELLED.value


def there(status: str, template: MessageTemplate) -> Campaign:
    """A campaign that was put into a state when it was made."""
    return make_campaign(status=status, started_at=timezone.now(), template=template)


class TestGuard:
    @pytest.mark.parametrize(
        ("step", "since", "to"),
        [
            ("submit", [S.DRAFT], S.IN_REVIEW),
            ("approve", [S.IN_REVIEW], S.APPROVED),
            ("reopen", [S.IN_REVIEW, S.APPROVED, S.SCHEDULED], S.DRAFT),
            ("pause", [S.SENDING, S.COMPLETED], S.PAUSED),
            ("resume", [S.PAUSED], S.SENDING),
            ("cancel", [S.SCHEDULED, S.SENDING, S.PAUSED, S.COMPLETED], S.CANCELLED),
        ],
    )
    def test_each_step_is_possible_from_its_own_states_alone(self, step, since, to):
        factories.recipients(1)
        template = factories.template("sale")
        for status in CampaignStatus.values:
            campaign = there(status, template)
            if status in since:
                assert getattr(CampaignService(), step)(campaign.pk).status == to
            else:
                with pytest.raises(WrongState):
                    getattr(CampaignService(), step)(campaign.pk)
                assert Campaign.objects.get(pk=campaign.pk).status == status

    @pytest.mark.parametrize("since", CampaignStatus)
    def test_the_database_refuses_every_move_that_is_not_legal(self, since):
        template = factories.template("sale")
        for to in CampaignStatus:
            campaign = there(since, template)
            if to == since or to in LEGAL[since]:
                Campaign.objects.filter(pk=campaign.pk).update(status=to)
            else:
                with pytest.raises(IntegrityError, match="does not go from"), transaction.atomic():
                    Campaign.objects.filter(pk=campaign.pk).update(status=to)

    @pytest.mark.parametrize("column", CONTENT)
    def test_the_database_refuses_to_change_the_content_of_what_is_not_a_draft(self, column):
        campaign = make_campaign()
        other = {
            "template_id": factories.template("other").pk,
            "category_id": factories.category("other").pk,
            "segment_id": Segment.objects.create(name="Some").pk,
            "saved_list_id": RecipientList.objects.create(name="Some").pk,
            "channels": ["sms"],
            "recurs_on": [1],
            "data": {"a": 1},
            "strategy": {"first": 60},
            "send_at": timezone.now(),
            "local_date": timezone.now().date(),
            "recurs_until": timezone.now().date(),
            "local_time": timezone.now().time(),
        }
        number = isinstance(Campaign._meta.get_field(column), PositiveIntegerField | PositiveSmallIntegerField)
        change = {column: other.get(column, 7 if number else "list")}
        Campaign.objects.filter(pk=campaign.pk).update(**change)

        fresh = there(S.APPROVED, campaign.template)
        with pytest.raises(IntegrityError, match="keeps its content"), transaction.atomic():
            Campaign.objects.filter(pk=fresh.pk).update(**change)

    def test_the_database_refuses_a_started_campaign_without_a_start(self):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_campaign(status=SENDING)

    def test_an_empty_audience_is_not_sent(self):
        campaign = make_campaign()

        with pytest.raises(NotReady, match="nobody"):
            start(campaign)
        assert Campaign.objects.get(pk=campaign.pk).status == DRAFT

    def test_a_template_without_a_published_version_is_not_sent(self):
        factories.recipients(1)
        campaign = make_campaign()
        MessageTemplate.objects.update(published=None)

        with pytest.raises(NotReady, match="published"):
            start(campaign)

    def test_the_start_is_a_whole_millisecond_because_ids_carry_no_more(self):
        factories.recipients(1)

        started = start(make_campaign()).started_at

        assert started.microsecond % 1000 == 0
        assert abs(timezone.now() - started) < timedelta(minutes=1)


class TestCancel:
    @pytest.fixture
    def sending(self, settings):
        """A campaign with 20 of 30 people handed out."""
        settings.CAMPAIGN_CHUNK = 10
        factories.recipients(30)
        campaign = start(make_campaign())
        hand_out(campaign, steps=2)
        return campaign

    def withdraw(self, campaign: Campaign) -> None:
        for _ in range(SLICES + 10):
            if not Withdraw(campaign.pk).step():
                break

    def test_it_hands_out_nothing_more_and_takes_back_what_has_not_left(self, sending, provider):
        CampaignService().cancel(sending.pk)
        self.withdraw(sending)
        assert FanOut(sending.pk).step() == 0
        work()

        assert provider.calls == []
        reasons = set(Delivery.objects.values_list("status", "skip_reason"))
        assert reasons == {(Status.SKIPPED, SkipReason.CANCELLED)}
        assert Notification.objects.filter(cancelled_at=None).count() == 0
        sending.refresh_from_db()
        assert sending.status == CANCELLED
        assert sending.finished_at is not None

    def test_a_step_comes_to_each_digest_once_and_so_takes_its_slice_in_one_go(self, provider):
        campaign = make_campaign()
        factories.recipients(1100)
        start(campaign)
        hand_out(campaign)
        Campaign.objects.filter(pk=campaign.pk).update(accepted=1000)
        CampaignService().cancel(campaign.pk)

        statements: list[str] = []

        def note(execute, sql, *rest):
            statements.append(str(sql))
            return execute(sql, *rest)

        with connection.execute_wrapper(note):
            assert Withdraw(campaign.pk).step() == SLICES

        assert statements.count(SOURCE_PAGE) == 1
        assert not Delivery.objects.filter(status=Status.QUEUED).exists()

    def test_what_has_been_sent_stays_sent(self, sending, provider):
        work()
        CampaignService().cancel(sending.pk)
        self.withdraw(sending)

        assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SENT}
        assert len(provider.calls) == 40

    def test_it_leaves_other_sources_alone(self, sending):
        other = start(make_campaign("Other", template=sending.template))
        hand_out(other)

        CampaignService().cancel(sending.pk)
        self.withdraw(sending)

        kept = Delivery.objects.filter(notification__source=other.source)
        assert set(kept.values_list("status", flat=True)) == {Status.QUEUED}

    def test_a_message_that_is_with_its_provider_is_waited_for_and_not_tried_again(self, sending, provider):
        # Given one batch claimed by a worker
        row = OutboxMessage.objects.filter(channel="email").first()
        claims = DeliveryTracker().claim(keys_of(row.delivery_ids), channel=row.channel, priority=row.priority)
        CampaignService().cancel(sending.pk)

        # When the rest is withdrawn, then the withdrawal is not over
        self.withdraw(sending)
        sending.refresh_from_db()
        assert sending.finished_at is None
        assert Delivery.objects.filter(status=Status.SENDING).count() == len(claims) == 10

        # When they come back to be tried again
        Delivery.objects.filter(status=Status.SENDING).update(status=Status.QUEUED)
        self.withdraw(sending)

        # Then they are withdrawn, too
        sending.refresh_from_db()
        assert sending.finished_at is not None
        assert set(Delivery.objects.values_list("skip_reason", flat=True)) == {SkipReason.CANCELLED}

    def test_what_is_queued_can_be_paused_when_all_is_handed_out_and_nobody_gets_it_twice(self, sending):
        # Given a campaign that has handed out everything, with its messages still queued
        runner = Runner()
        while runner.round():
            pass
        sending.refresh_from_db()
        assert sending.status == S.COMPLETED
        people = Notification.objects.count()

        # When it is paused, then nothing of it may leave
        CampaignService().pause(sending.pk)
        assert SourceHold.objects.get(source=sending.source).kind == HoldKind.HELD

        # When it goes on, then it is completed again, and nobody has two
        CampaignService().resume(sending.pk)
        while runner.round():
            pass
        sending.refresh_from_db()
        assert (sending.status, sending.finished_at is not None) == (S.COMPLETED, True)
        assert not SourceHold.objects.filter(source=sending.source).exists()
        assert Notification.objects.count() == people

    def test_a_recurring_campaign_that_is_over_has_nothing_to_pause(self):
        campaign = make_campaign(status=S.COMPLETED, schedule=Schedule.RECURRING)

        with pytest.raises(WrongState, match="occurrences"):
            CampaignService().pause(campaign.pk)

    def test_a_paused_campaign_can_be_cancelled_and_the_runner_does_the_rest(self, sending):
        CampaignService().pause(sending.pk)
        CampaignService().cancel(sending.pk)

        runner = Runner()
        while runner.round():
            pass

        sending.refresh_from_db()
        assert sending.finished_at is not None
        assert not Delivery.objects.filter(status=Status.QUEUED).exists()
