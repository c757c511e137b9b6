import pytest

from notifications.models import TemplateVersion
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
