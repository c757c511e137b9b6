"""Templates in the admin: versions are only added, faults are told beside their field, publishing picks one."""

import pytest
from django.urls import reverse

from notifications.admin.template_forms import sample_data
from notifications.models import MessageTemplate, TemplateVersion
from notifications.services.templates import catalogue
from tests import factories
from tests.admin import page, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_catalogue():
    catalogue.clear()


def at(name: str, template: MessageTemplate, *number: int) -> str:
    return reverse(f"admin:notifications_messagetemplate_{name}", args=[template.pk, *number])


def wording(**fields: str) -> dict[str, str]:
    """What the draft form posts: English, text messages, unless told otherwise."""
    return {"en--sms--body": "Your code is {{ code }}", **fields}


#: What the form of a template posts.
NEW = {"slug": "code", "name": "Code", "purpose": "transactional", "default_locale": "en"}


class TestNew:
    def test_leads_to_its_first_version(self):
        client = signed_in(may="everything")

        response = client.post(
            page(MessageTemplate, "add"),
            {
                "slug": "code",
                "name": "Code",
                "purpose": "transactional",
                "default_locale": "en",
                "variables": "code = 1",
            },
        )

        assert MessageTemplate.objects.get().variables == {"code": 1}
        assert response.url == at("draft", MessageTemplate.objects.get())
        assert client.get(response.url).status_code == 200

    def test_a_bad_default_locale_is_told(self):
        response = signed_in(may="everything").post(
            page(MessageTemplate, "add"), {"slug": "code", "name": "Code", "default_locale": "not a locale"}
        )

        assert "default_locale" in response.context["adminform"].form.errors


class TestDraft:
    def test_is_the_next_version_and_the_old_one_stays(self):
        template = factories.template()
        before = template.published.content
        client = signed_in(may="everything")

        response = client.post(at("draft", template), wording())

        newest, oldest = TemplateVersion.objects.order_by("-number")
        assert response.url == at("version", template, 2)
        assert newest.content == {"en": {"sms": {"body": "Your code is {{ code }}"}}}
        assert newest.created_by.username == "user-everything"
        assert newest.published_at is None
        assert oldest.content == before
        template.refresh_from_db()
        assert template.published_id == oldest.pk

    def test_starts_from_the_version_asked_for(self):
        template = factories.template()
        client = signed_in(may="everything")
        client.post(at("draft", template), wording(**{"en--sms--body": "the second"}))

        from_newest = client.get(at("draft", template)).content.decode()
        from_first = client.get(at("draft", template), {"from": "1"}).content.decode()

        assert "the second" in from_newest
        assert "the second" not in from_first
        assert "Your order {{ order }} has left." in from_first

    @pytest.mark.parametrize(
        ("posted", "field"),
        [
            (wording(**{"en--sms--body": "{{ broken"}), "en--sms--body"),
            (wording(**{"en--sms--body": "{% if x %}"}), "en--sms--body"),
            (wording(**{"en--email--subject": "No text"}), "en--email--text"),
            ({}, None),
            ({"de--sms--body": "only another language"}, None),
        ],
    )
    def test_a_fault_is_told_beside_its_field_and_nothing_is_saved(self, posted, field):
        template = factories.template()

        response = signed_in(may="everything").post(f"{at('draft', template)}?locale=de", posted)

        assert response.status_code == 200
        assert (field or "__all__") in response.context["form"].errors
        assert TemplateVersion.objects.count() == 1
        assert all(value in response.content.decode() for value in ("Nothing is saved yet",))

    def test_another_language_can_be_added(self):
        template = factories.template()
        client = signed_in(may="everything")

        assert 'name="pt-BR--sms--body"' in client.get(at("draft", template), {"locale": "pt-BR"}).content.decode()
        assert "bad&lt;" not in client.get(at("draft", template), {"locale": "bad<"}).content.decode()
        client.post(f"{at('draft', template)}?locale=pt-BR", wording(**{"pt-BR--sms--body": "Oi"}))

        assert TemplateVersion.objects.order_by("-number").first().content["pt-BR"] == {"sms": {"body": "Oi"}}

    @pytest.mark.parametrize("odd", [{"from": "x"}, {"from": "99"}, {"from": "9" * 30}])
    def test_an_odd_starting_point_is_no_error(self, odd):
        assert signed_in(may="everything").get(at("draft", factories.template()), odd).status_code == 200


class TestPublish:
    def test_is_a_post_and_takes_effect(self):
        template = factories.template()
        client = signed_in(may="everything")
        client.post(at("draft", template), wording())

        client.get(at("publish", template, 2))
        assert catalogue.published("order-shipped").version_id == template.published_id
        client.post(at("publish", template, 2))

        catalogue.clear()
        assert catalogue.published("order-shipped").version_id == TemplateVersion.objects.get(number=2).pk

    def test_an_older_version_can_be_published_again(self):
        template = factories.template()
        first = template.published_id
        client = signed_in(may="everything")
        client.post(at("draft", template), wording())
        client.post(at("publish", template, 2))

        client.post(at("publish", template, 1))

        template.refresh_from_db()
        assert template.published_id == first

    def test_a_version_that_is_not_there_is_not_found(self):
        template = factories.template()
        client = signed_in(may="everything")

        assert client.post(at("publish", template, 7)).status_code == 404
        assert client.get(at("version", template, 10**12)).status_code == 404

    def test_those_who_only_look_write_and_publish_nothing(self):
        template = factories.template(published=False)
        client = signed_in(may="view")

        assert client.get(at("version", template, 1)).status_code == 200
        assert client.get(at("draft", template)).status_code == 403
        assert client.post(at("draft", template), wording()).status_code == 403
        assert client.post(at("publish", template, 1)).status_code == 403
        template.refresh_from_db()
        assert template.published is None
        assert TemplateVersion.objects.count() == 1


class TestPreview:
    def test_renders_with_made_up_data_and_with_one_s_own(self):
        template = factories.template()
        client = signed_in(may="everything")

        made_up = client.get(at("version", template, 1)).content.decode()
        own = client.post(at("version", template, 1), {"sample": '{"order": "A-77"}'}).content.decode()

        assert "Your order [order] has left." in made_up
        assert "Your order A-77 has left." in own

    def test_html_stays_in_a_sandbox(self):
        content = {"en": {"email": {"subject": "s", "text": "t", "html": "<script>alert(1)</script><p>{{ x }}</p>"}}}
        template = factories.template(content=content)

        body = (
            signed_in(may="everything")
            .post(at("version", template, 1), {"sample": '{"x": "<img src=x onerror=alert(2)>"}'})
            .content.decode()
        )

        assert 'sandbox=""' in body
        assert "<script>alert(1)" not in body
        assert "<img src=x" not in body

    @pytest.mark.parametrize("sample", ["{", "[1]", "null", "[" * 5000, '{"order": ' * 500])
    def test_data_that_is_no_object_is_told(self, sample):
        response = signed_in(may="everything").post(at("version", factories.template(), 1), {"sample": sample})

        assert response.status_code == 200
        assert "sample" in response.context["form"].errors

    def test_a_wording_that_fails_says_why(self):
        template = factories.template(content={"en": {"sms": {"body": "{{ broken"}}})

        response = signed_in(may="everything").get(at("version", template, 1))

        [(_, [channel])] = response.context["previews"]
        assert channel["error"]

    def test_sample_data_has_a_value_for_each_merge_field(self):
        content = {
            "en": {"sms": {"body": "{{ order }} {{- user.name }} {{ user }} {% for x in items %}{{ x }}{% endfor %}"}}
        }

        assert sample_data(content) == {"order": "[order]", "user": {"name": "[name]"}, "x": "[x]"}
