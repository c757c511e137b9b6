"""Templates in the admin: versions are only added, faults are told beside their field, publishing picks one."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from notifications.admin.template_forms import sample_data
from notifications.models import MessageTemplate, Notification, TemplateVersion
from notifications.services.templates import catalogue, new_version
from tests import factories
from tests.admin import page, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_catalogue():
    catalogue.clear()


def at(name: str, template: MessageTemplate, *number: int) -> str:
    return reverse(f"admin:notifications_messagetemplate_{name}", args=[template.pk, *number])


def may_act() -> Client:
    """Someone who writes templates and may not see recipients."""
    user = User.objects.create_user("writer", password="pw", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__endswith="_messagetemplate"))
    client = Client()
    client.force_login(user)
    return client


def wording(**fields: Any) -> dict[str, Any]:
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
    def test_fills_in_the_samples_or_one_s_own(self):
        template = factories.template()
        client = signed_in(may="everything")

        samples = client.get(at("version", template, 1)).content.decode()
        own = client.post(at("version", template, 1), {"sample": "order = A-77"}).content.decode()

        assert "Your order A-1001 has left." in samples
        assert "Your order A-77 has left." in own

    def test_as_a_recipient_in_their_language(self):
        factories.recipient("ada", locale="de-AT", name="Ada")
        template = factories.template()

        response = signed_in(may="everything").post(
            at("version", template, 1), {"sample": "", "preview_recipient": "ada"}
        )

        [(locale, [email, *_])] = response.context["previews"]
        assert locale == "de-AT"
        assert (email["locale"], email["tried"]) == ("de", "de → en")
        assert "Bestellung" in email["fields"]["subject"]

    def test_whoever_may_not_see_recipients_cannot_ask_for_one(self):
        factories.recipient("ada", name="Ada Secret")
        client = may_act()

        response = client.post(at("version", factories.template(), 1), {"sample": "", "preview_recipient": "ada"})

        assert response.status_code == 200
        assert "Ada Secret" not in response.content.decode()
        assert "preview_recipient" not in response.content.decode()

    def test_html_stays_in_a_sandbox(self):
        content = {"en": {"email": {"subject": "s", "text": "t", "html": "<script>alert(1)</script><p>{{ x }}</p>"}}}
        template = factories.template(content=content)

        body = (
            signed_in(may="everything")
            .post(at("version", template, 1), {"sample": "x = <img src=x onerror=alert(2)>"})
            .content.decode()
        )

        assert 'sandbox=""' in body
        assert "<script>alert(1)" not in body
        assert "<img src=x" not in body

    @pytest.mark.parametrize("sample", ["{", "[1]", "a b = c", "recipient = x", "a = " + "[" * 5000])
    def test_data_that_cannot_be_read_is_told_or_taken_as_text(self, sample):
        response = signed_in(may="everything").post(at("version", factories.template(), 1), {"sample": sample})

        assert response.status_code == 200
        assert ("sample" in response.context["form"].errors) == (not sample.startswith("a = "))

    def test_a_wording_that_fails_says_why(self):
        template = factories.template(content={"en": {"sms": {"body": "{{ broken"}}})

        response = signed_in(may="everything").get(at("version", template, 1))

        [(_, [channel])] = response.context["previews"]
        assert channel["error"]

    def test_what_keeps_it_from_being_published_is_told_and_publishing_refused(self):
        template = factories.template(content={"en": {"sms": {"body": "a\n{{ nope }}"}}}, published=False)
        client = signed_in(may="everything")

        shown = client.get(at("version", template, 1)).content.decode()
        client.post(at("publish", template, 1))

        assert "en, SMS, Body, line 2" in shown
        assert "There is no variable nope." in shown
        template.refresh_from_db()
        assert template.published is None

    def test_sample_data_has_a_value_for_each_merge_field(self):
        content = {
            "en": {
                "sms": {
                    "body": "{{ order }} {{- user.name }} {{ user }} {% for x in items %}{{ x }}{% endfor %}"
                    "{{ recipient.name }} {{ unsubscribe_url }}"
                }
            }
        }

        assert sample_data(content) == {"order": "[order]", "user": {"name": "[name]"}, "x": "[x]"}


class TestLive:
    def look(self, template, posted, client=None):
        response = (client or signed_in(may="everything")).post(at("live", template), posted)
        assert response.status_code == 200
        return response.json()

    def test_shows_what_is_typed_and_saves_nothing(self):
        template = factories.template()

        told = self.look(template, wording(**{"declared": "code = 7"}))

        assert "Your code is 7" in told["frames"]["sms"]
        assert told["findings"] == []
        assert told["names"] == ["recipient.name", "code", "unsubscribe_url"]
        template.refresh_from_db()
        assert template.variables == factories.VARIABLES
        assert TemplateVersion.objects.count() == 1

    def test_tells_each_fault_with_its_input_and_line(self):
        told = self.look(
            factories.template(),
            {
                "locale": ["en", "de"],
                "en--sms--body": "Hello\n{{ nope }}",
                "en--push--title": "t",
                "de--sms--body": "{% if %}",
                "en--email--subject": "x" * 9_000,
            },
        )

        found = {one["key"]: (one["line"], one["severity"]) for one in told["findings"]}
        assert found["en--sms--body"] == (2, "error")
        assert found["de--sms--body"] == (1, "error")
        assert found["en--push--body"] == (None, "error")
        assert found["en--email--subject"] == (None, "error")

    def test_a_text_message_is_counted(self):
        told = self.look(factories.template(), {"en--sms--body": "ж" * 71})

        assert "71 of 134 characters in Unicode (UCS-2), 2 text messages of at most 67 each" in told["frames"]["sms"]

    def test_style_sheets_are_written_into_the_mail(self):
        mail = {"en--email--subject": "s", "en--email--text": "t"}
        told = self.look(factories.template(), {**mail, "en--email--html": "<style>p{color:red}</style><p>x</p>"})

        assert "color: red;" in told["frames"]["email"]

    def test_a_language_falls_back(self):
        posted = wording(locale=["en", "pt"], preview_locale="pt-BR", **{"pt--sms--body": "Oi", "declared": "code = 7"})
        told = self.look(factories.template(), {**posted, "en--push--title": "t", "en--push--body": "only English"})

        assert "Oi" in told["frames"]["sms"]
        assert "pt → en" in told["frames"]["sms"]
        assert "only English" in told["frames"]["push"]
        assert "reads pt-BR" in told["reader"]

    def test_as_a_recipient(self):
        factories.recipient("ada", name="Ada", locale="")
        template = factories.template()

        assert "Ada, who reads en" in self.look(template, wording(preview_recipient="ada"))["reader"]

    @pytest.mark.parametrize("odd", [{"preview_recipient": "nobody"}, {"preview_locale": "<b>"}])
    def test_a_reader_that_is_none_is_told(self, odd):
        assert self.look(factories.template(), wording(**odd))["reader_error"]

    @pytest.mark.parametrize("posted", [{}, {"declared": "broken"}, {"locale": ["<", "x" * 99] * 60}])
    def test_an_odd_form_is_no_error(self, posted):
        self.look(factories.template(), posted)

    def test_is_a_post_of_those_who_may_write(self):
        template = factories.template()

        assert signed_in(may="everything").get(at("live", template)).status_code == 405
        assert signed_in(may="view").post(at("live", template), wording()).status_code == 403


class TestDiff:
    def test_shows_what_differs_to_whoever_may_look(self):
        template = factories.template(content={"en": {"sms": {"body": "one\ntwo\nthree"}}})
        new_version(template, {"en": {"sms": {"body": "one\n2\nthree"}}, "de": {"sms": {"body": "eins"}}}, by=None)

        response = signed_in(may="view").get(at("diff", template), {"from": "1", "to": "2"})

        assert [(place, change.change) for change, place in response.context["changes"]] == [
            ("de, SMS, Body", "added"),
            ("en, SMS, Body", "changed"),
        ]

    @pytest.mark.parametrize("query", [{}, {"from": "1"}, {"from": "x", "to": "1"}, {"from": "1", "to": "9" * 30}])
    def test_versions_that_are_not_there(self, query):
        assert signed_in(may="view").get(at("diff", factories.template()), query).status_code == 404


class TestHistory:
    def test_says_who_wrote_and_published_what(self):
        template = factories.template()
        client = signed_in(may="everything")
        client.post(at("draft", template), wording(note="Shorter <b>"))
        client.post(at("publish", template, 2))

        shown = client.get(page(template)).content.decode()

        assert "Shorter &lt;b&gt;" in shown
        assert shown.count("user-everything") >= 3  # who is signed in, who wrote, who published
        assert "What was published when" in shown

    def test_an_older_version_is_rolled_back_to(self):
        template = factories.template()
        client = signed_in(may="everything")
        client.post(at("draft", template), wording())
        client.post(at("publish", template, 2))

        assert "Roll back to v1" in client.get(at("version", template, 1)).content.decode()
        client.post(at("publish", template, 1))

        assert "Rolled back to v1" in client.get(page(template, "history")).content.decode()

    def test_the_draft_s_variables_are_the_template_s(self):
        template = factories.template()

        signed_in(may="everything").post(at("draft", template), wording(declared="code = 9\nname = Bo"))

        template.refresh_from_db()
        assert template.variables == {"code": 9, "name": "Bo"}

    def test_a_language_is_added_without_losing_what_was_typed(self):
        template = factories.template()

        response = signed_in(may="everything").post(
            at("draft", template), wording(**{"en--sms--body": "half typed {{", "new_locale": "pt-BR", "add": "1"})
        )

        shown = response.content.decode()
        assert "half typed {{" in shown
        assert 'name="pt-BR--sms--body"' in shown
        assert "Nothing is saved yet" not in shown
        assert TemplateVersion.objects.count() == 1


class TestTestSend:
    @pytest.fixture(autouse=True)
    def _people(self):
        factories.category("orders")
        factories.recipient("ada", name="Ada")
        factories.recipient("bo", locale="de")

    def posted(self, **fields):
        return {"recipients": "ada, bo\n", "category": "orders", "channels": ["sms"], **fields}

    def test_a_draft_goes_to_those_who_were_named(self):
        template = factories.template(published=False)

        response = signed_in(may="everything").post(at("test", template, 1), self.posted())

        assert response.url == at("version", template, 1)
        sent = Notification.objects.order_by("id")
        assert {one.source for one in sent} == {"test:user-everything"}
        assert [one.content["sms"]["body"] for one in sent] == [
            "Your order A-1001 has left.",
            "Ihre Bestellung A-1001 ist unterwegs.",
        ]

    @pytest.mark.parametrize(
        ("odd", "field"),
        [
            ({"recipients": "nobody"}, "recipients"),
            ({"recipients": ",".join(f"p{n}" for n in range(21))}, "recipients"),
            ({"recipients": " , "}, "recipients"),
            ({"category": "none"}, "category"),
            ({"channels": ["fax"]}, "channels"),
        ],
    )
    def test_a_fault_is_told_and_nothing_sent(self, odd, field):
        template = factories.template()

        response = signed_in(may="everything").post(at("test", template, 1), self.posted(**odd))

        assert field in response.context["test_form"].errors
        assert not Notification.objects.exists()

    def test_only_those_may_who_write_and_see_people(self):
        template = factories.template()

        assert signed_in(may="view").post(at("test", template, 1), self.posted()).status_code == 403
        assert may_act().post(at("test", template, 1), self.posted()).status_code == 403
        assert not Notification.objects.exists()
