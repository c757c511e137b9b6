"""A campaign doesn't go to a list, or around one, while a file is still being read onto it, or was given up halfway."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from campaigns.errors import NotReady, UploadRefused
from campaigns.models import Audience, Campaign, CampaignStatus, ListUpload, RecipientList, Schedule, Segment
from campaigns.runner import Runner
from campaigns.segments import reading, uploads
from campaigns.segments.lists import ListService
from campaigns.segments.reading import Reading, read_waiting
from campaigns.segments.upload_files import Mapping
from campaigns.segments.uploads import UploadService
from campaigns.services import CampaignService
from campaigns.services.readiness import problems
from tests import factories
from tests.campaigns.conftest import make_campaign
from tests.campaigns.segments.people import condition

pytestmark = pytest.mark.django_db


@pytest.fixture
def vips(monkeypatch: pytest.MonkeyPatch) -> RecipientList:
    monkeypatch.setattr(uploads, "INLINE_BYTES", 0)
    factories.recipients(3)
    made = ListService().create("VIPs", by=None)
    ListService().add(made.pk, ["person-0"])
    return made


def begin_reading(to: RecipientList, content: bytes = b"id\nperson-0\n") -> ListUpload:
    upload = UploadService().receive(to, "people.csv", [content], by=None)
    return UploadService().load(upload.pk, Mapping(column=0))


def read() -> None:
    for _ in read_waiting():
        pass


def waits_for(campaign: Campaign) -> list[str]:
    return [field for field, sentence in problems(campaign) if "“VIPs” is still being read" in sentence]


def on_list(vips: RecipientList) -> Segment:
    return Segment.objects.create(name="On it", definition={"all": [condition("list", "in", vips.pk)]})


@pytest.mark.parametrize("field", ["saved_list", "segment", "exclude_lists", "exclude_segments"])
def test_a_draft_says_which_list_it_waits_for_however_that_is_named(vips, field):
    campaign = make_campaign()
    match field:
        case "saved_list":
            campaign.audience, campaign.saved_list = Audience.SAVED_LIST, vips
        case "segment":
            campaign.audience, campaign.segment = Audience.SEGMENT, on_list(vips)
        case "exclude_lists":
            campaign.exclude_lists.add(vips)
        case "exclude_segments":
            campaign.exclude_segments.add(on_list(vips))
    campaign.save()
    assert waits_for(campaign) == []
    begin_reading(vips)

    assert waits_for(campaign) == [field]
    with pytest.raises(NotReady, match=r"still being read from the file “people\.csv”, 0% so far"):
        CampaignService().submit(campaign.pk)

    read()
    assert waits_for(campaign) == []


def test_what_only_has_its_columns_to_be_chosen_keeps_nobody_waiting(vips):
    campaign = make_campaign(audience=Audience.SAVED_LIST, saved_list=vips)
    UploadService().receive(vips, "people.csv", [b"id\n"], by=None)

    assert waits_for(campaign) == []


def test_neither_an_approval_nor_a_launch_goes_past_it(vips):
    campaign = make_campaign(audience=Audience.SAVED_LIST, saved_list=vips)
    service = CampaignService()
    service.submit(campaign.pk)
    begin_reading(vips)
    with pytest.raises(NotReady, match="still being read"):
        service.approve(campaign.pk)
    read()
    service.approve(campaign.pk)
    begin_reading(vips)

    with pytest.raises(NotReady, match="still being read"):
        service.schedule_or_start(campaign.pk)

    read()
    assert service.schedule_or_start(campaign.pk).status == CampaignStatus.SENDING


def test_one_whose_moment_has_come_waits_and_its_page_says_why(vips):
    campaign = make_campaign(
        audience=Audience.SAVED_LIST,
        saved_list=vips,
        schedule=Schedule.AT,
        send_at=timezone.now() + timedelta(hours=1),
    )
    CampaignService().send(campaign.pk)
    begin_reading(vips)
    # Well before this test's transaction began, which on a busy machine is seconds ago.
    Campaign.objects.filter(pk=campaign.pk).update(starts_at=timezone.now() - timedelta(minutes=10))

    Runner().round()
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.SCHEDULED
    assert "“VIPs” is still being read" in campaign.problem

    read()
    Runner().round()
    campaign.refresh_from_db()
    assert (campaign.status, campaign.problem) == (CampaignStatus.SENDING, "")


@pytest.fixture
def halfway(vips: RecipientList, monkeypatch: pytest.MonkeyPatch) -> ListUpload:
    """A file of which the first row is on the list, and the rest never will be."""
    monkeypatch.setattr(reading, "BATCH", 2)
    upload = begin_reading(vips, b"id\nperson-1\nperson-2\n")
    steps = read_waiting()
    while not upload.position:
        next(steps)
        upload.refresh_from_db()
    steps.close()
    ListUpload.objects.filter(pk=upload.pk).update(reader=uuid4())
    upload.refresh_from_db()
    Reading(upload).give_up()
    upload.refresh_from_db()
    return upload


@pytest.mark.parametrize("field", ["saved_list", "exclude_lists"])
def test_a_file_given_up_halfway_keeps_campaigns_back_until_somebody_says_that_the_list_is_right(vips, halfway, field):
    campaign = make_campaign()
    if field == "saved_list":
        campaign.audience, campaign.saved_list = Audience.SAVED_LIST, vips
        campaign.save()
    else:
        campaign.exclude_lists.add(vips)
    service = CampaignService()

    with pytest.raises(NotReady, match=r"“VIPs” has only a part of the file “people\.csv”"):
        service.submit(campaign.pk)
    assert [told for told, _ in problems(campaign)] == [field]

    begin_reading(vips)  # the rest, perhaps: whether it is, nobody but its sender knows
    read()
    with pytest.raises(NotReady, match="only a part"):
        service.submit(campaign.pk)

    UploadService().keep(halfway.pk)
    assert service.submit(campaign.pk).status == CampaignStatus.IN_REVIEW
    with pytest.raises(UploadRefused, match="nothing to decide"):
        UploadService().keep(halfway.pk)


def test_a_file_of_which_nothing_is_on_the_list_keeps_nobody_back(vips):
    upload = begin_reading(vips, b"id\n" + b"\x81\x00,\x81\n" * 9)
    read()
    upload.refresh_from_db()

    assert (upload.state, upload.position) == ("failed", 0)
    assert problems(make_campaign(audience=Audience.SAVED_LIST, saved_list=vips)) == []
    with pytest.raises(UploadRefused):
        UploadService().keep(upload.pk)
