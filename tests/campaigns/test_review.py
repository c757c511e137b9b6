"""Who may submit, approve, send back and launch; and what becomes of an approval when something changes."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns import roles
from campaigns.errors import NotAllowed, NotReady, WrongState
from campaigns.models import (
    Action,
    Audience,
    Campaign,
    CampaignEvent,
    CampaignStatus,
    CampaignVariant,
    Schedule,
    Segment,
)
from campaigns.segments.lists import ListService
from campaigns.services import AudienceService, CampaignService
from notifications.models import TemplateVersion
from tests import factories
from tests.campaigns.conftest import make_campaign

pytestmark = pytest.mark.django_db

S = CampaignStatus
service = CampaignService()


def member(*groups: str) -> User:
    user = User.objects.create_user("-".join(["user", *groups, str(User.objects.count())]))
    user.groups.set(Group.objects.filter(name__in=[f"Campaign {group}" for group in groups]))
    return user


@pytest.fixture
def people():
    return factories.recipients(3)


@pytest.fixture
def author(people):
    return member("authors")


@pytest.fixture
def approver():
    return member("approvers")


@pytest.fixture
def operator():
    return member("operators")


@pytest.fixture
def draft(author) -> Campaign:
    return make_campaign(created_by=author)


def trail(campaign: Campaign) -> list[tuple[str, str]]:
    events = CampaignEvent.objects.filter(campaign=campaign).order_by("id")
    return list(events.values_list("action", "actor_name"))


class TestRoles:
    def test_a_migration_makes_them_with_what_their_work_takes(self):
        for name, wanted in roles.ROLES.items():
            group = Group.objects.get(name=name)
            has = {f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type")}
            assert has == set(wanted)

    def test_author_approver_and_operator_take_a_campaign_to_its_start(self, draft, author, approver, operator):
        service.submit(draft.pk, by=author)
        service.approve(draft.pk, by=approver)
        started = service.schedule_or_start(draft.pk, by=operator)

        assert (started.status, started.audience_size) == (S.SENDING, 3)
        assert trail(draft) == [
            (Action.SUBMITTED, author.username),
            (Action.APPROVED, approver.username),
            (Action.STARTED, operator.username),
        ]

    @pytest.mark.parametrize("groups", [(), ("viewers",), ("authors",), ("approvers",), ("operators",)])
    def test_nobody_takes_a_step_that_is_anothers(self, draft, author, groups):
        other = member(*groups)
        steps = [
            ("submit", {}, "authors"),
            ("approve", {}, "approvers"),
            ("schedule_or_start", {}, "operators"),
            ("pause", {}, "operators"),
            ("resume", {}, "operators"),
            ("cancel", {}, "operators"),
        ]
        for step, arguments, needed in steps:
            if needed in groups:
                getattr(service, step)(draft.pk, by=other, **arguments)
                Campaign.objects.update(submitted_by=None)  # what is their own they may approve, as it goes to few
                continue
            before = Campaign.objects.get(pk=draft.pk).status
            with pytest.raises(NotAllowed):
                getattr(service, step)(draft.pk, by=other, **arguments)
            assert Campaign.objects.get(pk=draft.pk).status == before
            getattr(service, step)(draft.pk)


class TestMakerAndChecker:
    def test_below_the_threshold_an_author_approves_their_own(self, draft, author):
        service.submit(draft.pk, by=author)

        assert service.approve(draft.pk, by=author).status == S.APPROVED

    @pytest.mark.parametrize("hand", ["created_by", "edited_by", "submitted_by"])
    def test_above_it_whoever_had_a_hand_in_it_does_not(self, settings, people, hand):
        settings.CAMPAIGN_REVIEW_ABOVE = 2
        both = member("authors", "approvers")
        draft = make_campaign(**({hand: both} if hand != "submitted_by" else {}))
        service.submit(draft.pk, by=both if hand == "submitted_by" else None)

        with pytest.raises(NotAllowed, match="more than 2 people"):
            service.approve(draft.pk, by=both)
        assert service.approve(draft.pk, by=member("approvers")).status == S.APPROVED

    def test_not_even_a_superuser(self, settings, people):
        settings.CAMPAIGN_REVIEW_ABOVE = 2
        chief = User.objects.create_superuser("chief")
        draft = make_campaign(created_by=chief)
        service.submit(draft.pk, by=chief)

        with pytest.raises(NotAllowed):
            service.approve(draft.pk, by=chief)

    def test_a_campaign_is_sent_back_with_a_word(self, draft, author, approver):
        service.submit(draft.pk, by=author)
        with pytest.raises(NotReady, match="what is to be changed"):
            service.send_back(draft.pk, "  ", by=approver)

        back = service.send_back(draft.pk, "Too loud.", by=approver)

        assert (back.status, back.review_note) == (S.DRAFT, "Too loud.")
        assert service.submit(draft.pk, by=author).review_note == ""

    def test_a_large_one_asks_for_its_size(self, settings, draft, operator):
        settings.CAMPAIGN_TYPE_ABOVE = 2
        service.submit(draft.pk)
        service.approve(draft.pk)

        for typed in (None, 2):
            with pytest.raises(NotReady, match="Type the number of people it goes to, 3"):
                service.schedule_or_start(draft.pk, typed_size=typed, by=operator)
        assert service.schedule_or_start(draft.pk, typed_size=3, by=operator).status == S.SENDING


class TestApproval:
    def approved(self, **fields) -> Campaign:
        campaign = make_campaign(**fields)
        service.submit(campaign.pk)
        return service.approve(campaign.pk)

    def test_the_wording_is_the_one_that_was_reviewed(self, people):
        campaign = self.approved()
        later = TemplateVersion.objects.create(
            template=campaign.template, number=2, content=factories.CONTENT, published_at=timezone.now()
        )
        campaign.template.published = later
        campaign.template.save()

        started = service.schedule_or_start(campaign.pk)

        assert started.template_version.number == 1

    def test_a_list_that_changes_afterwards_sends_it_back_to_review(self, people):
        campaign = self.approved(to=people[:2])
        AudienceService().keep(campaign, [person.pk for person in people])

        with pytest.raises(NotReady, match="changed after the approval"):
            service.schedule_or_start(campaign.pk)

        campaign.refresh_from_db()
        assert (campaign.status, campaign.approved_by, campaign.approved_hash) == (S.IN_REVIEW, None, "")
        assert trail(campaign)[-1] == (Action.CHANGED, "")

    @pytest.mark.parametrize("field", ["saved_list", "exclude_lists"])
    def test_other_people_on_a_saved_list_of_the_same_size_send_it_back_to_review(self, people, field):
        some = ListService().create("Some", by=None)
        ListService().add(some.pk, [people[0].external_id])
        campaign = make_campaign(**({"audience": "saved_list", "saved_list": some} if field == "saved_list" else {}))
        if field == "exclude_lists":
            campaign.exclude_lists.add(some)
        service.submit(campaign.pk)
        service.approve(campaign.pk)
        ListService().remove(some.pk, [people[0].external_id])
        ListService().add(some.pk, [people[1].external_id])

        with pytest.raises(NotReady, match="changed after the approval"):
            service.schedule_or_start(campaign.pk)

    def test_a_segment_that_changes_afterwards_sends_it_back_to_review(self, people):
        segment = Segment.objects.create(name="All", definition={})
        campaign = self.approved(audience=Audience.SEGMENT, segment=segment)
        segment.definition = {"all": [{"field": "external_id", "op": "is", "value": "person-1"}]}
        segment.save()

        with pytest.raises(NotReady, match="changed after the approval"):
            service.schedule_or_start(campaign.pk)

    def test_variants_are_pinned_and_kept(self, people):
        campaign = make_campaign()
        for label in "AB":
            other = factories.template(f"variant-{label.lower()}")
            CampaignVariant.objects.create(campaign=campaign, label=label, template=other, weight=50)
        service.submit(campaign.pk)

        assert not campaign.variants.filter(template_version=None).exists()
        for change in (
            lambda: campaign.variants.filter(label="A").update(weight=60),
            lambda: campaign.variants.filter(label="A").delete(),
            lambda: CampaignVariant.objects.create(
                campaign=campaign, label="C", template=factories.template("third"), weight=1
            ),
        ):
            with pytest.raises(IntegrityError, match="keeps its variants"), transaction.atomic():
                change()

    def test_what_is_opened_again_has_to_be_reviewed_anew(self, people):
        campaign = self.approved(schedule=Schedule.AT, send_at=timezone.now() + timedelta(hours=1))
        assert service.schedule_or_start(campaign.pk).status == S.SCHEDULED

        again = service.reopen(campaign.pk)

        assert (again.status, again.approved_hash, again.starts_at) == (S.DRAFT, "", None)
        with pytest.raises(WrongState):
            service.schedule_or_start(campaign.pk)


class TestSchedule:
    def test_what_has_a_moment_waits_for_it(self, people):
        at = timezone.now() + timedelta(hours=1)
        campaign = make_campaign(schedule=Schedule.AT, send_at=at)

        scheduled = service.send(campaign.pk)

        assert (scheduled.status, scheduled.starts_at, scheduled.started_at) == (S.SCHEDULED, at, None)
        with pytest.raises(WrongState, match="moment has not come"):
            service.start(campaign.pk)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"schedule": "at"}, "Say when"),
            ({"schedule": "at", "send_at": datetime(2020, 1, 1, tzinfo=UTC)}, "has passed"),
            ({"schedule": "at", "send_at": datetime(2200, 1, 1, tzinfo=UTC)}, "two years"),
            ({"schedule": "local", "local_time": time(9)}, "Say when"),
            ({"schedule": "local", "local_time": time(9), "local_date": date(2020, 1, 1)}, "everywhere"),
            ({"schedule": "recurring", "recurrence": "weekly", "local_time": time(9)}, "at least one day"),
            ({"schedule": "recurring", "recurrence": "weekly", "local_time": time(9), "recurs_on": [8]}, "from 1 to 7"),
            (
                {"schedule": "recurring", "recurrence": "daily", "local_time": time(9), "recurrence_zone": "Mars"},
                "no time zone",
            ),
            (
                {
                    "schedule": "recurring",
                    "recurrence": "daily",
                    "local_time": time(9),
                    "recurs_until": date(2020, 1, 1),
                },
                "No occurrence is left",
            ),
        ],
    )
    def test_a_schedule_that_says_too_little_is_not_submitted(self, people, fields, says):
        with pytest.raises(NotReady, match=says):
            service.submit(make_campaign(**fields).pk)

    def test_a_scheduled_campaign_that_is_cancelled_has_nothing_to_take_back(self, people):
        campaign = make_campaign(schedule=Schedule.AT, send_at=timezone.now() + timedelta(hours=1))
        service.send(campaign.pk)

        cancelled = service.cancel(campaign.pk)

        assert cancelled.finished_at is not None


class TestTrail:
    def test_it_is_only_added_to(self, draft):
        service.submit(draft.pk)
        for change in (
            lambda: CampaignEvent.objects.update(actor_name="somebody else"),
            lambda: CampaignEvent.objects.all().delete(),
        ):
            with pytest.raises(IntegrityError, match="only added to"), transaction.atomic():
                change()

    def test_it_outlives_a_deleted_draft_and_a_deleted_account(self, draft, author):
        service.submit(draft.pk, by=author)
        service.reopen(draft.pk, by=author)
        name = author.username
        draft.delete()
        author.delete()

        assert [event.actor_name for event in CampaignEvent.objects.all()] == [name, name]

    def test_a_duplicate_is_a_draft_of_the_same(self, people, author):
        campaign = make_campaign(to=people[:2], data={"percent": 20}, throttle_per_minute=60)
        service.send(campaign.pk)

        copy = service.duplicate(campaign.pk, by=author)

        assert (copy.status, copy.created_by, copy.name) == (S.DRAFT, author, "Sale (copy)")
        assert (copy.data, copy.throttle_per_minute, AudienceService().size(copy)) == ({"percent": 20}, 60, 2)

    def test_only_what_is_over_or_never_began_is_archived(self, draft, author):
        assert service.archive(draft.pk, by=author).archived_at is not None
        with pytest.raises(WrongState, match="archived already"):
            service.archive(draft.pk, by=author)
        assert service.unarchive(draft.pk, by=author).archived_at is None
        service.send(draft.pk)
        with pytest.raises(WrongState, match="sending"):
            service.archive(draft.pk, by=author)
