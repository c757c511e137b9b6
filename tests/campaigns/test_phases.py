"""Who gets it first, next and last: the first few, the test of variants, everybody else, and each at their own hour."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from campaigns import variants
from campaigns.choices import Phase
from campaigns.errors import NotReady, WrongState
from campaigns.models import Action, Campaign, CampaignEvent, CampaignStatus, CampaignTarget
from campaigns.runner import Runner
from campaigns.services import CampaignService, FanOut, preparation
from campaigns.services.phases import choose_winner
from notifications.models import Delivery, Notification, OutboxMessage
from preferences.models import Recipient
from tests import factories
from tests.campaigns.conftest import fresh, hand_out, hold_over, make_campaign, start, with_wordings, work

pytestmark = pytest.mark.django_db

S = CampaignStatus


@pytest.fixture(autouse=True)
def _small(settings, monkeypatch):
    settings.CAMPAIGN_CHUNK = 10
    monkeypatch.setattr(preparation, "SLICE", 30)


def got(campaign: Campaign) -> Counter:
    return Counter(Notification.objects.filter(source=campaign.source).values_list("recipient_id", flat=True))


class TestCanary:
    @pytest.fixture
    def campaign(self):
        factories.recipients(100)
        return start(make_campaign(canary_percent=20, canary_minutes=30, canary_max_failures=5))

    def test_it_waits_after_the_first_few_and_goes_on_when_few_failed(self, campaign, provider):
        first = hand_out(campaign) - 6  # four slices and the end of the preparation, and the step into the wait
        held = fresh(campaign)
        assert (held.phase, held.status) == (Phase.CANARY, S.SENDING)
        assert 5 <= first == Notification.objects.count() <= 40
        assert timedelta(minutes=29) < held.held_until - timezone.now() < timedelta(minutes=31)
        assert FanOut(campaign.pk).step() == 0

        work()
        hold_over(campaign)
        hand_out(campaign)

        done = fresh(campaign)
        assert (done.status, done.accepted, done.audience_size) == (S.COMPLETED, 100, 100)
        assert set(got(campaign).values()) == {1}

    def test_it_pauses_by_itself_when_too_many_failed_and_a_person_lets_it_go_on(self, campaign, provider):
        hand_out(campaign)
        provider.refuse_address()
        work()
        hold_over(campaign)

        hand_out(campaign)

        paused = fresh(campaign)
        assert (paused.status, paused.phase) == (S.PAUSED, Phase.REST)
        assert "100.0% failed; 5% is the bound" in paused.problem
        CampaignService().resume(campaign.pk)
        hand_out(campaign)
        assert fresh(campaign).status == S.COMPLETED
        assert set(got(campaign).values()) == {1}

    def test_it_pauses_when_nothing_has_left_yet(self, campaign):
        hand_out(campaign)
        hold_over(campaign)
        hand_out(campaign)

        assert "Nothing has been sent to the first few yet" in fresh(campaign).problem


class TestVariants:
    @pytest.fixture
    def make(self):
        factories.recipients(120)

        def made(**fields) -> Campaign:
            campaign = make_campaign(**{"test_percent": 50, "winner_metric": "clicked", **fields})
            return start(with_wordings(campaign, A=30, B=70))

        return made

    def by_variant(self, campaign: Campaign) -> dict[str, int]:
        labels = {v.template_version_id: v.label for v in fresh(campaign).variants.all()}
        versions = Notification.objects.filter(source=campaign.source).values_list("template_version_id", flat=True)
        return Counter(labels[version] for version in versions)

    def test_the_test_is_split_by_weight_and_the_winner_goes_to_the_rest(self, make, provider):
        campaign = make()
        hand_out(campaign)
        tested = self.by_variant(campaign)
        assert 35 <= tested.total() <= 85
        assert tested["A"] < tested["B"]

        # When those of A click
        work()
        a = fresh(campaign).variants.get(label="A")
        theirs = Notification.objects.filter(template_version_id=a.template_version_id).values("id")
        Delivery.objects.filter(notification_id__in=theirs, channel="email").update(clicked_at=timezone.now())
        hold_over(campaign)
        hand_out(campaign)

        done = fresh(campaign)
        assert (done.status, done.winner.label) == (S.COMPLETED, "A")
        assert self.by_variant(campaign) == {"A": 120 - tested["B"], "B": tested["B"]}
        assert set(got(campaign).values()) == {1}
        told = CampaignEvent.objects.get(campaign=campaign, action=Action.WINNER).detail
        assert told["variants"]["A"] == {"people": tested["A"], "opened": 0, "clicked": tested["A"]}

    def test_without_a_metric_a_person_chooses(self, make, provider):
        campaign = make(winner_metric="none")
        hand_out(campaign)
        hold_over(campaign)
        hand_out(campaign)
        assert (fresh(campaign).status, "Choose the winner" in fresh(campaign).problem) == (S.PAUSED, True)

        with pytest.raises(NotReady):
            choose_winner(campaign.pk, "D")
        choose_winner(campaign.pk, "B")
        CampaignService().resume(campaign.pk)
        hand_out(campaign)

        assert fresh(campaign).status == S.COMPLETED
        with pytest.raises(WrongState):
            choose_winner(campaign.pk, "A")

    def test_a_choice_while_the_test_goes_out_ends_it(self, make):
        campaign = make(winner_metric="none")
        while not Notification.objects.exists():
            FanOut(campaign.pk).step()
        had = self.by_variant(campaign)

        choose_winner(campaign.pk, "A")
        hand_out(campaign)

        assert fresh(campaign).status == S.COMPLETED
        assert had["B"] > 0
        assert self.by_variant(campaign) == {"A": 120 - had["B"], "B": had["B"]}

    def test_all_of_it_may_be_the_test(self, make):
        campaign = make(test_percent=100)
        hand_out(campaign)

        split = self.by_variant(campaign)
        assert fresh(campaign).status == S.COMPLETED
        assert split.total() == 120
        assert 15 <= split["A"] <= 60

    def test_of_equal_rates_the_variant_with_more_people_wins(self, make):
        campaign = make()
        a, b = (variants.VariantFigures(v, people=n) for v, n in zip(campaign.variants.all(), (3, 9), strict=True))

        assert variants.best([a, b], "opened") is b


def by_the_clock_of_utc() -> dict[str, object]:
    """A local time that has passed in the east and is still to come in the west."""
    now = datetime.now(UTC)
    return {"schedule": "local", "local_date": now.date(), "local_time": now.time(), "channels": ["email"]}


class TestLocalTime:
    def test_each_wave_is_sent_at_its_own_hour(self):
        now = timezone.now()
        day = (now + timedelta(days=2)).date()
        zones = {"Asia/Tokyo": 9, "Europe/Berlin": 8, "America/Lima": 7, "nowhere": 6}
        for zone, number in zones.items():
            factories.recipients(number, prefix=zone.replace("/", "-"), timezone=zone)
        campaign = CampaignService().send(
            make_campaign(schedule="local", local_date=day, local_time=time(9), channels=["email"]).pk
        )
        assert campaign.status == S.SCHEDULED
        Campaign.objects.filter(pk=campaign.pk).update(starts_at=now)
        runner = Runner()
        for _ in range(20):
            runner.round()

        # Then nobody is handed out before their time comes near
        waves = fresh(campaign).waves
        assert [wave.hour for wave in waves] == [0, 8 if waves[1].hour == 8 else 7, 9, 14]
        assert Notification.objects.count() == 0
        order = list(CampaignTarget.objects.order_by("step").values_list("step", flat=True))
        assert Counter(order) == {2: 9, 3: 8, 4: 6, 5: 7}

        # When the first wave is near, then it has its moment and the others wait
        soon = [timezone.now() + timedelta(minutes=1), *waves[1:]]
        Campaign.objects.filter(pk=campaign.pk).update(waves=soon)
        hand_out(campaign)
        assert set(Notification.objects.values_list("send_at", "recipient__timezone")) == {(soon[0], "Asia/Tokyo")}
        assert set(OutboxMessage.objects.values_list("due_at", flat=True)) == {soon[0]}

        # When all have come, then everyone has one
        past = timezone.now() - timedelta(hours=1)
        Campaign.objects.filter(pk=campaign.pk).update(waves=[past] * 4)
        hand_out(campaign)
        assert fresh(campaign).status == S.COMPLETED
        assert (len(got(campaign)), set(got(campaign).values())) == (30, {1})

    def test_a_moment_that_has_passed_is_now(self):
        factories.recipients(3, timezone="Pacific/Kiritimati")
        factories.recipients(2, prefix="late", timezone="Etc/GMT+12")
        campaign = start(make_campaign(**by_the_clock_of_utc()))
        hand_out(campaign)

        now = Notification.objects.filter(recipient__timezone="Pacific/Kiritimati")
        assert set(now.values_list("send_at", flat=True)) == {None}


class TestTargets:
    def test_the_audience_is_as_of_the_start_and_who_is_erased_is_left_out(self):
        people = factories.recipients(40)
        campaign = start(make_campaign(canary_percent=1))
        while fresh(campaign).prepared_at is None:
            FanOut(campaign.pk).step()
        late = factories.recipient("late")
        Recipient.objects.filter(pk=people[7].pk).delete()

        hand_out(campaign)
        hold_over(campaign)
        work_off(campaign)

        assert late.pk not in got(campaign)
        assert people[7].pk not in got(campaign)
        assert fresh(campaign).audience_size == 40

    def test_they_are_deleted_when_it_is_over(self):
        factories.recipients(40)
        campaign = start(make_campaign(**by_the_clock_of_utc()))
        Campaign.objects.filter(pk=campaign.pk).update(waves=[timezone.now()])
        hand_out(campaign)
        assert CampaignTarget.objects.count() == 40

        runner = Runner()
        while runner.round():
            pass

        assert CampaignTarget.objects.count() == 0
        assert fresh(campaign).prepared_to is None

    def test_a_preparation_that_is_killed_goes_on_where_it_was(self):
        factories.recipients(100)
        campaign = start(make_campaign(canary_percent=10))
        FanOut(campaign.pk).step()
        written = CampaignTarget.objects.count()

        class Killed(preparation.Preparation):
            def _write(self, end):
                super()._write(end)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            Killed(fresh(campaign)).step()
        hand_out(campaign)

        assert written == 30
        assert CampaignTarget.objects.count() == 100


def work_off(campaign: Campaign) -> None:
    """Sent or not, the first few are done with; then everybody else."""
    hand_out(campaign)
    if fresh(campaign).status == S.PAUSED:
        CampaignService().resume(campaign.pk)
        hand_out(campaign)
