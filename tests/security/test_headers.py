"""CR and LF never reach a header: refused with 422 where they are given, spaces where data brings them in."""

from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from notifications.errors import RenderError
from notifications.services.rendering.compiler import compile_content
from notifications.services.rendering.fields import FIELDS, Kind
from notifications.services.rendering.validation import validate_template
from preferences.models import Recipient
from tests import factories
from tests.api import Api, codes, pointers
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import work

BREAKS = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1e"]
LINES = [(channel, name) for channel, specs in FIELDS.items() for name, spec in specs.items() if spec.kind is Kind.LINE]
GOOD: dict[str, dict[str, str]] = {
    "email": {"subject": "Hi", "text": "x"},
    "push": {"title": "Hi", "body": "x"},
    "in_app": {"title": "Hi", "body": "x"},
}
INJECTED = "Hi{}Bcc: victim@example.com"


def one_line(text: str) -> bool:
    return len(text.splitlines()) <= 1 and "\r" not in text and "\n" not in text and "\x00" not in text


@pytest.fixture
def shop(db: None) -> None:
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("user-42")


@pytest.mark.usefixtures("shop")
class TestTheApi:
    @pytest.mark.parametrize("line_break", BREAKS, ids=repr)
    @pytest.mark.parametrize(("channel", "name"), LINES)
    def test_a_line_break_in_a_line_is_refused_with_its_place(
        self, api: Api, channel: str, name: str, line_break: str
    ) -> None:
        content = {channel: {**GOOD[channel], name: INJECTED.format(line_break)}}

        answer = api.post("notifications/", {"recipient": "user-42", "category": "orders", "content": content})

        assert pointers(answer) == [f"/content/{channel}/{name}"]

    def test_a_line_break_in_the_one_wording_s_title_is_refused(self, api: Api) -> None:
        content = {"title": INJECTED.format("\r\n"), "body": "x"}

        answer = api.post("notifications/", {"recipient": "user-42", "category": "orders", "content": content})

        assert pointers(answer) == ["/content/title"]

    @pytest.mark.parametrize("field", ["name", "email", "phone", "locale", "timezone"])
    @pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"], ids=repr)
    def test_a_line_break_in_what_a_person_is_called_is_refused(self, api: Api, field: str, line_break: str) -> None:
        good = {"name": "Ada", "email": "ada@example.com", "phone": "+4915112345678", "locale": "de", "timezone": "UTC"}
        bad = {field: f"{good[field]}{line_break}Bcc: victim@example.com"}

        assert pointers(api.patch("recipients/user-42/", bad)) == [f"/{field}"]
        assert pointers(api.put("recipients/user-42/", bad)) == [f"/{field}"]
        bulk = {"recipients": [{"external_id": "ok"}, {"external_id": "bad", **bad}]}
        assert pointers(api.post("recipients/bulk/", bulk)) == [f"/recipients/1/{field}"]

    def test_a_line_break_in_a_device_s_label_or_token_is_refused(self, api: Api) -> None:
        path, good = "recipients/user-42/device-tokens/", {"platform": "fcm", "token": "t" * 32}

        assert pointers(api.post(path, {**good, "label": "a\r\nb"}))
        assert pointers(api.post(path, {**good, "token": "t" * 32 + "\r\nX: y"})) == ["/token"]

    def test_a_line_break_in_an_id_is_refused(self, api: Api) -> None:
        assert codes(api.post("recipients/bulk/", {"recipients": [{"external_id": "a\r\nb"}]}))
        assert api.put("recipients/a%0d%0ab/", {"name": "x"}).status_code in {404, 422}
        assert list(Recipient.objects.values_list("external_id", flat=True)) == ["user-42"]

    def test_a_request_id_with_a_line_break_is_not_given_back(self, api: Api) -> None:
        answer = Client().get("/healthz", headers={"X-Request-Id": "a\r\nSet-Cookie: x=y"})

        assert one_line(answer["X-Request-Id"])
        assert "Set-Cookie" not in answer["X-Request-Id"]


@pytest.mark.parametrize(("channel", "name"), LINES)
def test_a_line_break_in_a_template_s_line_is_refused_when_it_is_saved(channel: str, name: str) -> None:
    content = {"en": {channel: {**GOOD[channel], name: INJECTED.format("\r\n")}}}

    assert [error.pointer for error in validate_template(content)] == [f"/content/en/{channel}/{name}"]


@pytest.mark.parametrize("source", ["{{ name }}", "Order {{ name }} left", "{% if true %}{{ name }}{% endif %}"])
@effort(max_examples=60, deadline=None, derandomize=True)
@given(value=st.text(max_size=30) | st.sampled_from(BREAKS).map(INJECTED.format))
def test_a_merge_value_never_breaks_a_line(source: str, value: str) -> None:
    render = compile_content("email", {"subject": source, "text": "x"})

    try:
        subject = render({"name": value})["subject"]
    except RenderError:  # nothing is left of it, and an email needs a subject
        assert not any(character.isprintable() and not character.isspace() for character in value)
    else:
        assert one_line(subject)
        subject.encode()


@pytest.mark.usefixtures("shop")
def test_a_line_break_in_the_data_reaches_no_provider(api: Api, settings: Any) -> None:
    provider = use_provider(settings, FakeProvider("fake"))
    line = "{{ order }}"
    factories.template(
        "injected",
        {
            "en": {
                "email": {"subject": line, "preheader": line, "text": line},
                "push": {"title": line, "body": line},
                "in_app": {"title": line, "body": line},
            }
        },
    )
    data = {"order": INJECTED.format("\r\n")}

    answer = api.post(
        "notifications/", {"recipient": "user-42", "category": "orders", "template": "injected", "data": data}
    )
    assert answer.status_code == 202
    work()

    assert {call.channel for call in provider.calls} == {"email", "push", "in_app"}
    for call in provider.calls:
        for name, spec in FIELDS[call.channel].items():
            if spec.kind is Kind.LINE and name in call.content:
                assert one_line(call.content[name]), (call.channel, name)
        assert one_line(call.address)
