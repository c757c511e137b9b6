"""The campaign manager's pages: who may do what, what the form refuses, and what the buttons do."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from campaigns.forms import CampaignForm
from campaigns.models import Audience, Campaign, CampaignMember, CampaignStatus, CampaignVariant, Segment
from campaigns.services import AudienceService, CampaignService
from notifications.models import Notification
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start

pytestmark = pytest.mark.django_db

LIST = "/admin/campaigns/campaign/"
ADD = f"{LIST}add/"


def sign_in(name: str, *permissions: str, enforce_csrf_checks: bool = False) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{p}_campaign" for p in permissions]))
    client = Client(enforce_csrf_checks=enforce_csrf_checks)
    client.force_login(user)
    return client


@pytest.fixture
def manager() -> Client:
    return sign_in("manager", "add", "change", "view", "delete", "submit", "operate")


@pytest.fixture
def viewer() -> Client:
    return sign_in("viewer", "view")


def page(campaign: Campaign) -> str:
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


def button(campaign: Campaign, name: str) -> str:
    return reverse(f"campaign-{name}", args=[campaign.pk])


def errors(answer) -> dict[str, list[str]]:
    return answer.context["adminform"].form.errors


@pytest.fixture
def fields() -> dict[str, str]:
    """A form that is fine."""
    return {
        "name": "Sale",
        "template": str(factories.template("sale").pk),
        "category": str(factories.category("news", channels=["email", "in_app"]).pk),
        "audience": Audience.EVERYONE.value,
        "data": '{"percent": 20}',
    }


class TestForm:
    def test_a_draft_is_saved_and_remembers_who_made_it(self, manager, fields):
        answer = manager.post(ADD, fields)

        assert answer.status_code == 302
        campaign = Campaign.objects.get()
        assert (campaign.status, campaign.data, campaign.created_by.username) == ("draft", {"percent": 20}, "manager")

    def test_save_and_check_leads_to_the_check(self, manager, fields):
        answer = manager.post(ADD, {**fields, "_review": "1"})

        assert answer["Location"] == button(Campaign.objects.get(), "check")

    def test_a_pasted_list_may_have_blank_lines_and_repeats(self, manager, fields):
        people = factories.recipients(3)
        pasted = "person-0\r\n\r\n  person-2  \r\nperson-0\r\n"

        manager.post(ADD, {**fields, "audience": "list", "recipients": pasted})

        members = CampaignMember.objects.values_list("recipient_id", flat=True)
        assert set(members) == {people[0].pk, people[2].pk}

    def test_unknown_ids_are_named_beside_the_field(self, manager, fields):
        factories.recipients(2)

        answer = manager.post(ADD, {**fields, "audience": "list", "recipients": "person-0\nmoon\nmars"})

        assert answer.status_code == 200
        assert list(errors(answer)) == ["recipients"]
        assert "moon, mars" in errors(answer)["recipients"][0]
        assert not Campaign.objects.exists()

    def test_unknown_ids_can_be_left_out(self, manager, fields):
        factories.recipients(2)
        pasted = {"audience": "list", "recipients": "person-0\nmoon", "leave_out_unknown": "on"}

        manager.post(ADD, {**fields, **pasted})

        assert AudienceService().size(Campaign.objects.get()) == 1

    @pytest.mark.parametrize("pasted", ["", "\n\n", "nobody"])
    def test_a_list_of_nobody_is_refused(self, manager, fields, pasted):
        answer = manager.post(ADD, {**fields, "audience": "list", "recipients": pasted, "leave_out_unknown": "on"})

        assert list(errors(answer)) == ["recipients"]

    def test_a_list_longer_than_the_bound_is_refused_with_the_bound(self, manager, fields):
        pasted = "\n".join(f"u{n}" for n in range(50_001))

        answer = manager.post(ADD, {**fields, "audience": "list", "recipients": pasted})

        assert "50,000" in errors(answer)["recipients"][0]

    @pytest.mark.parametrize(
        "data",
        ["[1]", '"text"', "{", '{"a": "\\u0000"}', '{"a": "\\ud800"}', "17", "x" * 100, "[" * 9000, '{"a": NaN}'],
    )
    def test_data_that_is_not_a_sound_object_is_refused(self, manager, fields, data):
        answer = manager.post(ADD, {**fields, "data": data})

        assert answer.status_code == 200
        assert list(errors(answer)) == ["data"]

    def test_data_over_the_bound_is_refused(self, manager, fields):
        answer = manager.post(ADD, {**fields, "data": '{"a": "%s"}' % ("x" * 40_000)})

        assert list(errors(answer)) == ["data"]

    def test_a_channel_the_template_has_no_words_for_is_refused(self, manager, fields):
        template = factories.template("mail-only", {"en": {"email": {"subject": "Hi", "text": "There"}}})

        answer = manager.post(ADD, {**fields, "template": str(template.pk), "channels": ["email", "sms"]})

        assert errors(answer) == {"channels": ["“Mail Only” has no words for SMS."]}

    def test_a_template_without_words_for_the_category_is_refused(self, manager, fields):
        template = factories.template("texts", {"en": {"sms": {"body": "Hi"}}})

        answer = manager.post(ADD, {**fields, "template": str(template.pk)})

        assert list(errors(answer)) == ["template"]

    def test_only_published_templates_are_offered(self):
        factories.template("done")
        factories.template("not-yet", published=False)

        offered = CampaignForm().fields["template"].queryset
        assert [template.slug for template in offered] == ["done"]

    def test_a_kept_list_is_there_to_be_edited(self, manager):
        people = factories.recipients(3)
        campaign = make_campaign(to=people[:2])

        answer = manager.get(page(campaign))

        assert "person-0\nperson-1" in answer.content.decode()
        assert answer.status_code == 200


class TestCheck:
    def test_it_shows_the_message_and_starts_nothing(self, manager):
        factories.recipients(12)
        campaign = make_campaign(data={"order": "A17"})

        html = manager.get(button(campaign, "check")).content.decode()

        assert "Order A17 is on its way" in html
        assert button(campaign, "submit") in html
        assert Campaign.objects.get().status == CampaignStatus.DRAFT

    def test_it_names_the_merge_fields_that_would_stay_empty(self, manager):
        factories.recipients(1)
        lacking = make_campaign(data={})
        filled = Campaign.objects.create(
            name="Filled", template=lacking.template, category=lacking.category, data={"order": "A17"}
        )

        warned, silent = (manager.get(button(one, "check")) for one in (lacking, filled))

        assert warned.context["preview"].wordings[0].lacking == ["order"]
        assert "has no value for it" in warned.content.decode()
        assert silent.context["preview"].wordings[0].lacking == []
        assert "has no value for" not in silent.content.decode()

    def test_an_audience_of_nobody_cannot_be_submitted(self, manager):
        campaign = make_campaign()

        answer = manager.post(button(campaign, "submit"), follow=True)

        assert "nobody in this audience" in answer.content.decode()
        assert Campaign.objects.get().status == CampaignStatus.DRAFT

    def test_of_a_started_campaign_it_leads_to_its_page(self, manager):
        factories.recipients(1)
        campaign = start(make_campaign())

        assert manager.get(button(campaign, "check"))["Location"] == page(campaign)

    def test_a_note_of_who_sent_it_back_stands_on_the_form(self, manager):
        factories.recipients(1)
        campaign = make_campaign()
        CampaignService().submit(campaign.pk)
        CampaignService().send_back(campaign.pk, "Say until when <b>it</b> holds")

        html = manager.get(page(campaign)).content.decode()

        assert "Say until when &lt;b&gt;it&lt;/b&gt; holds" in html

    def test_a_segment_that_names_something_gone_is_told_and_no_error(self, manager):
        campaign = make_campaign()
        lost = {"all": [{"field": "list", "op": "in", "value": 4711}]}
        Campaign.objects.update(audience="segment", segment=Segment.objects.create(name="Lost", definition=lost))
        User.objects.get().user_permissions.add(Permission.objects.get(codename="view_recipient"))

        assert manager.get(button(campaign, "check")).status_code == 200
        answer = manager.post(button(campaign, "submit"), follow=True)
        assert "has to be put right first" in answer.content.decode()


class TestLaunch:
    @pytest.fixture
    def approved(self) -> Campaign:
        factories.recipients(12)
        campaign = make_campaign(data={"order": "A17"})
        CampaignService().submit(campaign.pk)
        return CampaignService().approve(campaign.pk)

    def test_it_asks_and_starts_on_post_and_completes(self, manager, approved):
        html = manager.get(button(approved, "launch")).content.decode()
        assert "goes to 12 people" in html
        assert "Order A17 is on its way" in html
        assert Campaign.objects.get().status == CampaignStatus.APPROVED

        answer = manager.post(button(approved, "launch"))

        assert answer["Location"] == page(approved)
        approved.refresh_from_db()
        hand_out(approved)
        assert Notification.objects.count() == 12
        assert manager.get(page(approved)).status_code == 200

    @pytest.mark.parametrize("typed", ["", "11", "twelve", "-12", "1.2e1"])
    def test_many_people_want_their_number_typed(self, manager, approved, settings, typed):
        settings.CAMPAIGN_TYPE_ABOVE = 11

        answer = manager.post(button(approved, "launch"), {"size": typed})

        assert answer.status_code == 200
        assert "Type 12, the number of people" in answer.content.decode()
        assert Campaign.objects.get().status == CampaignStatus.APPROVED

    @pytest.mark.parametrize("typed", ["12", " 1,2 "])
    def test_the_right_number_sends_it(self, manager, approved, settings, typed):
        settings.CAMPAIGN_TYPE_ABOVE = 11

        manager.post(button(approved, "launch"), {"size": typed})

        assert Campaign.objects.get().status == CampaignStatus.SENDING

    def test_a_second_press_is_told_that_it_is_too_late(self, manager, approved):
        manager.post(button(approved, "launch"))

        answer = manager.post(button(approved, "launch"), follow=True)

        assert "sending already" in answer.content.decode()
        assert Campaign.objects.get().status == CampaignStatus.SENDING

    def test_what_was_changed_since_the_approval_goes_back_to_review_with_a_sentence(self, manager, approved):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE campaigns_campaign DISABLE TRIGGER campaign_guard")
            Campaign.objects.update(data={"order": "B18"})
            cursor.execute("ALTER TABLE campaigns_campaign ENABLE TRIGGER campaign_guard")

        answer = manager.post(button(approved, "launch"), follow=True)

        assert "in review again" in answer.content.decode()
        assert Campaign.objects.get().status == CampaignStatus.IN_REVIEW

    def test_sending_back_wants_a_word_why(self, approved):
        client = sign_in("approver", "view", "approve")
        CampaignService().reopen(approved.pk)
        CampaignService().submit(approved.pk)

        silent = client.post(button(approved, "send-back"), {"note": "  "})
        assert "Say what is to be changed" in silent.content.decode()
        assert Campaign.objects.get().status == CampaignStatus.IN_REVIEW

        client.post(button(approved, "send-back"), {"note": "Too loud."})
        assert (Campaign.objects.get().status, Campaign.objects.get().review_note) == ("draft", "Too loud.")


class TestRunning:
    def test_pause_resume_and_cancel_are_buttons_of_the_page(self, manager):
        factories.recipients(2)
        campaign = start(make_campaign())

        for name, status in [("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")]:
            assert button(campaign, name) in manager.get(page(campaign)).content.decode()
            assert manager.post(button(campaign, name)).status_code == 302
            assert Campaign.objects.get().status == status
        told = manager.get(page(campaign)).content.decode()
        assert all(f"<b>{word}</b>" in told for word in ("Paused", "Resumed", "Cancelled"))

    def test_cancel_asks_first(self, manager):
        factories.recipients(2)
        campaign = start(make_campaign())

        assert manager.get(button(campaign, "cancel")).status_code == 200
        assert Campaign.objects.get().status == CampaignStatus.SENDING

    @pytest.mark.parametrize(
        "name", ["pause", "resume", "submit", "approve", "reopen", "archive", "unarchive", "duplicate"]
    )
    def test_steps_are_not_taken_by_following_a_link(self, manager, name):
        assert manager.get(button(make_campaign(), name)).status_code == 405

    def test_a_step_needs_the_csrf_token(self):
        client = sign_in("strict", "change", "view", "submit", enforce_csrf_checks=True)
        factories.recipients(2)
        campaign = make_campaign()

        assert client.post(button(campaign, "submit")).status_code == 403
        assert Campaign.objects.get().status == CampaignStatus.DRAFT

    def test_a_copy_is_a_draft_opened_for_editing(self, manager):
        factories.recipients(2)
        campaign = start(make_campaign(data={"order": "A17"}))

        answer = manager.post(button(campaign, "duplicate"))

        copy = Campaign.objects.exclude(pk=campaign.pk).get()
        assert answer["Location"] == page(copy)
        assert (copy.status, copy.data, copy.template_id) == ("draft", {"order": "A17"}, campaign.template_id)

    def test_the_archive_is_out_of_the_way(self, manager):
        campaign = make_campaign("Long ago")
        manager.post(button(campaign, "archive"))

        assert "Long ago" not in manager.get(LIST).content.decode()
        assert "Long ago" in manager.get(LIST, {"archived": "yes"}).content.decode()
        assert "Long ago" in manager.get(LIST, {"archived": "all"}).content.decode()
        manager.post(button(campaign, "unarchive"))
        assert "Long ago" in manager.get(LIST).content.decode()


class TestWhoMay:
    @pytest.mark.parametrize("name", ["submit", "launch", "pause", "resume", "cancel", "duplicate", "archive"])
    def test_a_viewer_cannot_press_anything(self, viewer, name):
        factories.recipients(2)
        campaign = make_campaign()

        assert viewer.post(button(campaign, name)).status_code == 403
        assert Campaign.objects.get().status == CampaignStatus.DRAFT

    def test_a_viewer_sees_the_figures_without_the_buttons(self, viewer):
        factories.recipients(2)
        campaign = start(make_campaign())

        html = viewer.get(page(campaign)).content.decode()

        assert 'id="snapshot"' in html
        assert button(campaign, "pause") not in html
        assert viewer.get(button(campaign, "live")).json()["people"]["audience"] == 2

    def test_a_viewer_reads_a_draft_without_being_offered_to_send_it(self, viewer):
        html = viewer.get(page(make_campaign())).content.decode()

        assert "_review" not in html

    def test_a_viewer_without_access_to_recipients_sees_nobodys_name(self, viewer):
        factories.recipients(2)
        campaign = start(make_campaign())

        assert "Person 0" not in viewer.get(page(campaign)).content.decode()

    @pytest.mark.parametrize("name", ["live", "check", "plan", "draft-plan", "launch", "pause", "resume", "cancel"])
    def test_nobody_gets_past_the_sign_in(self, name):
        campaign = make_campaign()

        answer = Client().get(button(campaign, name))

        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("admin:login"))

    def test_staff_without_the_permission_see_no_campaign(self):
        factories.recipients(2)
        client = sign_in("stranger")
        template = factories.template("sale")

        for campaign in (make_campaign(template=template), start(make_campaign(template=template))):
            assert client.get(page(campaign)).status_code == 403

    @pytest.mark.parametrize("name", ["live", "check", "plan", "launch"])
    def test_staff_without_the_permission_are_refused(self, name):
        assert sign_in("stranger").get(button(make_campaign(), name)).status_code == 403

    @pytest.mark.parametrize("name", ["live", "check", "launch", "cancel"])
    def test_a_campaign_that_is_not_there_is_not_found(self, manager, name):
        assert manager.get(reverse(f"campaign-{name}", args=[4711])).status_code == 404


class TestStarted:
    def test_a_form_opened_before_the_start_changes_nothing_after_it(self, manager, fields):
        factories.recipients(2)
        campaign = make_campaign(template=factories.template("other"))
        CampaignService().send(campaign.pk)

        answer = manager.post(page(campaign), {**fields, "name": "Hijacked"}, follow=True)

        assert "by now; nothing was changed" in answer.content.decode()
        kept = Campaign.objects.get()
        assert (kept.name, kept.status, kept.template.slug) == ("Sale", "sending", "other")

    def test_a_started_campaign_cannot_be_deleted_and_a_draft_can(self, manager):
        factories.recipients(2)
        draft, started = make_campaign(to=[]), start(make_campaign("Gone out", template=factories.template("other")))

        for campaign, status in [(started, 403), (draft, 302)]:
            delete = reverse("admin:campaigns_campaign_delete", args=[campaign.pk])
            assert manager.post(delete, {"post": "yes"}).status_code == status
        assert list(Campaign.objects.values_list("name", flat=True)) == ["Gone out"]

    def test_a_draft_has_no_figures(self, manager):
        assert manager.get(button(make_campaign(), "live")).status_code == 409

    def test_the_list_shows_status_and_progress_with_a_bounded_number_of_queries(
        self, manager, django_assert_max_num_queries
    ):
        factories.recipients(2)
        template = factories.template("sale")
        for n in range(8):
            hand_out(start(make_campaign(f"Campaign {n}", template=template)))

        with django_assert_max_num_queries(10):
            html = manager.get(LIST).content.decode()

        assert html.count("2 of 2") == 8
        assert "Completed" in html

    def test_the_figures_cost_a_bounded_number_of_queries(self, manager, django_assert_max_num_queries):
        factories.recipients(30)
        campaign = start(make_campaign())
        hand_out(campaign)

        with django_assert_max_num_queries(12):
            assert manager.get(button(campaign, "live")).json()["people"]["handled"] == 30


def test_a_draft_of_a_long_list_is_saved_in_a_constant_number_of_queries(
    manager, fields, django_assert_max_num_queries
):
    factories.recipients(2000)
    pasted = "\n".join(f"person-{n}" for n in range(2000))

    with django_assert_max_num_queries(30):
        answer = manager.post(ADD, {**fields, "audience": "list", "recipients": pasted})

    assert answer.status_code == 302
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM campaigns_campaignmember")
        assert cursor.fetchone()[0] == 2000


class TestVariants:
    @pytest.fixture
    def campaign(self) -> Campaign:
        factories.recipients(20)
        made = make_campaign(test_percent=50, data={"order": "A17"})
        for label, body in (("A", "Short"), ("B", "Long and warm"), ("C", "Funny")):
            template = factories.template(f"t-{label}", {"en": {"in_app": {"title": body, "body": body}}}, name=body)
            weight = 40 if label == "A" else 30
            CampaignVariant.objects.create(campaign=made, label=label, template=template, weight=weight)
        return made

    def test_the_check_and_the_question_show_each_wording_that_goes_out(self, manager, campaign):
        html = manager.get(button(campaign, "check")).content.decode()

        assert all(body in html for body in ("Short", "Long and warm", "Funny"))
        assert "A Short (40%) · B Long and warm (30%) · C Funny (30%)" in html
        assert "Order A17 is on its way" not in html

    def test_an_operator_chooses_after_a_question_and_a_viewer_does_not(self, manager, viewer, campaign):
        hand_out(start(campaign))
        figures = button(campaign, "variants")
        address = manager.get(figures).json()["choose"]
        assert viewer.get(figures).json()["choose"] == ""
        assert viewer.post(f"{address}?variant=B").status_code == 403
        assert manager.post(f"{address}?variant=Z").status_code == 404

        asked = manager.get(f"{address}?variant=B")
        assert "Send B, “Long and warm”, to everybody else?" in asked.content.decode()
        assert Campaign.objects.get().winner is None
        manager.post(f"{address}?variant=B", {"confirmed": "1"})

        assert Campaign.objects.get().winner.label == "B"
        assert manager.get(figures).json()["choose"] == ""
        late = manager.post(f"{address}?variant=C", {"confirmed": "1"}, follow=True)
        assert "There is no winner to choose any more" in late.content.decode()

    def test_the_first_wording_is_the_campaigns_own_unless_another_is_chosen(self, manager, fields):
        other = factories.template("other")

        manager.post(ADD, {**fields, "weight_a": "50", "variant_b": str(other.pk), "weight_b": "50"})

        slugs = Campaign.objects.get().variants.values_list("label", "template__slug")
        assert list(slugs) == [("A", "sale"), ("B", "other")]
