from typing import Any, ClassVar

import pytest

from notifications.models import Notification, TemplateVersion
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def template(db: None) -> None:
    factories.template("order-shipped")


def test_templates_are_listed_by_slug_with_what_is_published(api: Api) -> None:
    factories.template("a-draft", published=False)

    first, second = api.get("templates/").json()["results"]

    assert (first["slug"], first["published"]) == ("a-draft", None)
    assert second["published"]["channels"] == ["email", "in_app", "push", "sms"]
    assert second["published"]["locales"] == ["de", "en"]


def test_a_template_shows_its_wording(api: Api) -> None:
    content = api.get("templates/order-shipped/").json()["content"]

    assert content["en"]["push"]["title"] == "On its way"


def test_a_preview_fills_in_every_channel(api: Api) -> None:
    shown = api.post("templates/order-shipped/preview/", {"data": {"order": "A-1"}}).json()

    assert set(shown["channels"]) == {"email", "in_app", "push", "sms"}
    assert shown["channels"]["sms"] == {"body": "Your order A-1 has left."}
    assert "Ada Lovelace" in shown["channels"]["email"]["text"]


def test_a_preview_says_what_the_data_lacks_and_what_the_text_message_costs(api: Api) -> None:
    shown = api.post("templates/order-shipped/preview/", {"data": {"order": "A-1"}, "channel": "sms"}).json()
    assert shown["missing"] == []
    assert shown["sms"] == {"encoding": "GSM-7", "units": len(shown["channels"]["sms"]["body"]), "segments": 1}

    shown = api.post("templates/order-shipped/preview/", {"channel": "push"}).json()
    assert shown["missing"] == ["order"]
    assert shown["sms"] is None


def test_a_preview_of_one_channel_in_another_language(api: Api) -> None:
    shown = api.post("templates/order-shipped/preview/", {"data": {"order": "A"}, "channel": "sms", "locale": "de-AT"})

    assert shown.json()["channels"] == {"sms": {"body": "Ihre Bestellung A ist unterwegs."}}


def test_a_preview_escapes_data_in_html(api: Api) -> None:
    shown = api.post("templates/order-shipped/preview/", {"data": {"order": "<b>"}, "channel": "email"}).json()

    assert "&lt;b&gt;" in shown["channels"]["email"]["html"]


def test_a_draft_can_be_tried_by_its_number(api: Api) -> None:
    draft = factories.template("a-draft", published=False)
    assert TemplateVersion.objects.filter(template=draft, number=1, published_at=None).exists()

    assert codes(api.post("templates/a-draft/preview/", {})) == {"/version": "unpublished"}
    assert codes(api.post("templates/a-draft/preview/", {"version": 2})) == {"/version": "unknown"}
    assert api.post("templates/a-draft/preview/", {"version": 1, "data": {"order": "A"}}).status_code == 200


def test_a_channel_the_template_does_not_have_is_a_fault(api: Api) -> None:
    factories.template("mail-only", {"en": {"email": factories.CONTENT["en"]["email"]}})

    assert codes(api.post("templates/mail-only/preview/", {"channel": "sms"})) == {"/channel": "no_content"}


@pytest.mark.parametrize("body", [{"data": []}, {"channel": "fax"}, {"locale": "x" * 36}, {"version": 0}, {"x": 1}])
def test_a_preview_of_the_wrong_shape_is_422(api: Api, body: object) -> None:
    assert codes(api.post("templates/order-shipped/preview/", body))


def test_an_unknown_template_is_404(api: Api) -> None:
    assert api.get("templates/none/").status_code == 404
    assert api.post("templates/none/preview/", {}).status_code == 404


class TestWriting:
    BODY: ClassVar = {"slug": "hello", "name": "Hello", "variables": {"order": {"id": "A-1"}}}
    CONTENT: ClassVar = {"en": {"sms": {"body": "Order {{ order.id }}"}}}

    def test_from_nothing_to_published_and_back(self, api: Api) -> None:
        made = api.post("templates/", {**self.BODY, "purpose": "marketing"})
        assert made.status_code == 201
        assert (made.json()["purpose"], made.json()["published"]) == ("marketing", None)

        first = api.post("templates/hello/versions/", {"content": self.CONTENT, "publish": True, "note": "First"})
        assert first.status_code == 201
        assert (first.json()["number"], first.json()["is_published"]) == (1, True)
        assert first.json()["by"] == f"api:{api.key.prefix}"
        second = {"en": {"sms": {"body": "Number {{ order.id }}"}}}
        assert not api.post("templates/hello/versions/", {"content": second}).json()["is_published"]
        assert api.post("templates/hello/versions/2/publish/").json()["is_published"]
        assert api.get("templates/hello/").json()["published"]["number"] == 2

        back = api.post("templates/hello/roll-back/", {})
        assert (back.status_code, back.json()["number"]) == (200, 1)
        assert api.post("templates/hello/roll-back/", {"version": 2}).json()["is_published"]
        page = api.get("templates/hello/versions/?limit=1").json()
        assert [one["number"] for one in page["results"]] == [2]
        assert "content" not in page["results"][0]
        assert api.get(f"templates/hello/versions/?cursor={page['next_cursor']}").json()["results"][0]["number"] == 1

    def test_what_the_checks_find_is_told_and_nothing_is_kept(self, api: Api) -> None:
        api.post("templates/", self.BODY)
        content = {"en": {"sms": {"body": "a\n{{ nope }}"}}}

        refused = api.post("templates/hello/versions/", {"content": content, "publish": True})

        assert codes(refused) == {"/content/en/sms/body": "unknown_variable"}
        assert refused.json()["errors"][0]["detail"].startswith("Line 2: ")
        assert TemplateVersion.objects.filter(template__slug="hello").count() == 0
        kept = api.post("templates/hello/versions/", {"content": content}).json()
        assert kept["findings"] == [
            {
                "pointer": "/content/en/sms/body",
                "code": "unknown_variable",
                "severity": "error",
                "detail": "There is no variable nope. Declare it among the template's variables.",
                "line": 2,
            }
        ]
        assert codes(api.post("templates/hello/versions/1/publish/")) == {"/content/en/sms/body": "unknown_variable"}

    def test_a_wording_is_checked_without_keeping_it(self, api: Api) -> None:
        mail = {"en": {"email": {"subject": "s", "text": "t"}}}

        assert api.post("templates/order-shipped/check/", {"content": mail}).json() == {
            "publishable": True,
            "findings": [],
        }
        told = api.post("templates/order-shipped/check/", {"content": mail, "purpose": "marketing"}).json()
        assert not told["publishable"]
        assert [one["code"] for one in told["findings"]] == ["no_unsubscribe"]
        assert TemplateVersion.objects.count() == 1

    def test_two_versions_are_compared(self, api: Api) -> None:
        api.post("templates/order-shipped/versions/", {"content": {"en": {"sms": {"body": "Short"}}}})

        told = api.get("templates/order-shipped/diff/?old=1&new=2").json()

        changed = [one for one in told["changes"] if one["change"] == "changed"]
        assert [(line["mark"], line["text"]) for line in changed[0]["lines"]] == [
            ("-", "Your order {{ order }} has left."),
            ("+", "Short"),
        ]
        assert codes(api.get("templates/order-shipped/diff/?old=1&new=7")) == {"new": "unknown"}
        assert codes(api.get("templates/order-shipped/diff/?old=x")) == {"old": "type", "new": "required"}

    def test_what_stands_around_the_wording_is_changed(self, api: Api) -> None:
        changed = api.patch("templates/order-shipped/", {"name": "Shipped", "variables": {"order": 1}})

        assert (changed.json()["name"], changed.json()["variables"]) == ("Shipped", {"order": 1})
        assert changed.json()["description"] == ""
        assert codes(api.patch("templates/order-shipped/", {"default_locale": "fr"})) == {
            "/default_locale": "no_content"
        }

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({"slug": "a b"}, "/slug"),
            ({"default_locale": "not a locale"}, "/default_locale"),
            ({"variables": {"recipient": 1}}, "/variables"),
            ({"variables": []}, "/variables"),
            ({"name": "\x00"}, "/name"),
            ({"purpose": "fun"}, "/purpose"),
        ],
    )
    def test_what_cannot_be_is_told_at_its_place(self, api: Api, body: dict[str, Any], fault: str) -> None:
        assert fault in codes(api.post("templates/", {**self.BODY, **body}))

    def test_conflicts(self, api: Api) -> None:
        assert api.post("templates/", {"slug": "order-shipped", "name": "x"}).status_code == 409
        assert api.post("templates/order-shipped/roll-back/", {}).status_code == 409
        assert codes(api.post("templates/order-shipped/roll-back/", {"version": 9})) == {"/version": "unknown"}

    def test_what_is_not_there_is_404(self, api: Api) -> None:
        assert api.get("templates/order-shipped/versions/9/").status_code == 404
        assert api.post(f"templates/order-shipped/versions/{10**12}/publish/").status_code == 404
        assert api.post("templates/none/versions/", {"content": self.CONTENT}).status_code == 404

    def test_a_key_that_only_reads_writes_nothing(self) -> None:
        reader = Api(scopes=["catalog:read"])

        assert reader.post("templates/order-shipped/check/", {"content": self.CONTENT}).status_code == 200
        for path in ("templates/", "templates/order-shipped/versions/", "templates/order-shipped/roll-back/"):
            assert reader.post(path, {}).json()["missing_scope"] == "catalog:write"
        assert reader.post("templates/order-shipped/test/", {}).json()["missing_scope"] == "notifications:write"


class TestTrying:
    def test_a_preview_with_samples_of_words_that_are_not_kept(self, api: Api) -> None:
        body = {"content": {"en": {"sms": {"body": "{{ order }}!"}}}, "samples": True}

        shown = api.post("templates/order-shipped/preview/", body).json()

        assert (shown["channels"], shown["version"], shown["missing"]) == ({"sms": {"body": "A-1001!"}}, None, [])
        assert codes(api.post("templates/order-shipped/preview/", {"content": {"en": {"sms": {"body": "{{"}}}})) == {
            "/content/en/sms/body": "syntax"
        }

    def test_a_preview_as_a_recipient_takes_the_scope(self, api: Api) -> None:
        factories.recipient("ada", name="Ada", locale="de-AT")
        body = {"recipient": "ada", "data": {"order": "A", "recipient": {"name": "Eve"}}, "channel": "email"}

        shown = api.post("templates/order-shipped/preview/", body).json()

        assert (shown["locale"], shown["locales"]) == ("de-AT", {"email": "de"})
        english = api.post("templates/order-shipped/preview/", {**body, "locale": "en"}).json()
        assert "Hello Ada," in english["channels"]["email"]["text"]
        assert codes(api.post("templates/order-shipped/preview/", {"recipient": "x"})) == {"/recipient": "unknown"}
        reader = Api(scopes=["catalog:read"])
        assert reader.post("templates/order-shipped/preview/", body).json()["missing_scope"] == "recipients:read"

    def test_a_test_goes_to_those_who_were_named(self, api: Api) -> None:
        factories.category("orders")
        factories.recipient("ada")
        body = {"recipients": ["ada"], "category": "orders", "channels": ["sms"], "data": {"order": "T-1"}}

        sent = api.post("templates/order-shipped/test/", body)
        again = api.post("templates/order-shipped/test/", body)

        assert (sent.status_code, sent.json()["deliveries"], again.json()["deliveries"]) == (202, 1, 1)
        row = Notification.objects.get(pk=sent.json()["notifications"]["ada"])
        assert (row.source, row.content["sms"]["body"]) == (f"test:{api.key.prefix}", "Your order T-1 has left.")
        assert not row.is_test

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({"recipients": ["nobody"]}, {"/recipients/0": "render_error"}),
            ({"recipients": []}, {"/recipients": "length"}),
            ({"recipients": [f"p{n}" for n in range(21)]}, {"/recipients": "length"}),
            ({"category": "none"}, {"/category": "unknown"}),
            ({"version": 9}, {"/version": "unknown"}),
        ],
    )
    def test_a_test_that_cannot_be_is_told(self, api: Api, body: dict[str, Any], fault: dict[str, str]) -> None:
        factories.category("orders")
        factories.recipient("ada")

        refused = api.post("templates/order-shipped/test/", {"recipients": ["ada"], "category": "orders", **body})

        assert codes(refused) == fault
        assert not Notification.objects.exists()
