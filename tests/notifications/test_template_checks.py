"""What keeps a wording from being published, and what is only worth a look."""

from typing import Any

import pytest

from notifications.services.template_checks import CHECKS, Severity, findings, problems
from notifications.services.template_checks.sizes import MAX_PUSH_BYTES, push_bytes
from notifications.services.template_variables import variable_faults
from tests import factories

HTML = '<p>Hi</p>\n<a href="{}">x</a>'


def email(**fields: str) -> dict[str, Any]:
    return {"en": {"email": {"subject": "Hello", "text": "Hi", **fields}}}


def html(source: str) -> dict[str, Any]:
    return email(html=source)


def link(url: str) -> dict[str, Any]:
    return html(HTML.format(url))


def sms(body: str) -> dict[str, Any]:
    return {"en": {"sms": {"body": body}}}


def errors(content: Any, *, purpose: str = "transactional", **variables: Any) -> list[tuple[str, str]]:
    """(pointer less /content, code) of what blocks."""
    found = problems(content, purpose=purpose, variables=variables, default_locale="en")
    return [(error.pointer.removeprefix("/content"), error.code) for error in found]


def warnings(content: Any, *, purpose: str = "transactional", **variables: Any) -> list[tuple[str, str]]:
    found = findings(content, purpose=purpose, variables=variables, default_locale="en")
    told = [one for one in found if one.severity is Severity.WARNING]
    return [(one.pointer.removeprefix("/content"), one.code) for one in told]


def test_a_sound_content_has_nothing_to_tell() -> None:
    assert findings(factories.CONTENT, purpose="transactional", variables={"order": "A-1"}, default_locale="en") == []


class TestVariables:
    def test_what_is_neither_declared_nor_the_recipients_is_unknown(self) -> None:
        content = sms("{{ order.id }} {{ order.idd }} {{ recipient.name }} {{ recipient.nmae }} {{ coupon }}")

        found = problems(content, purpose="transactional", variables={"order": {"id": "A"}}, default_locale="en")

        assert [error.code for error in found] == ["unknown_variable"] * 3
        said = [error.message for error in found]
        assert "order.idd" in said[0]
        assert "order.id?" in said[0]
        assert "Did you mean recipient.name?" in said[1]
        assert "Declare it" in said[2]

    def test_its_line_is_told_once(self) -> None:
        [found] = findings(sms("a\nb {{ x }}\n{{ x }}"), purpose="", variables={}, default_locale="en")

        assert (found.pointer, found.line) == ("/content/en/sms/body", 2)

    @pytest.mark.parametrize(
        "body",
        [
            "{{ recipient.attributes.plan }}",
            "{{ unsubscribe_url }}",
            "{% for item in items %}{{ item.name }}{% endfor %}",
            "{{ items[0].name }} {{ items.size }}",
            "{% assign made = 'x' %}{{ made }}",
        ],
    )
    def test_what_every_message_has_and_what_the_wording_makes_is_known(self, body: str) -> None:
        assert errors(sms(f"x {body}"), items=[{"name": "Socks"}]) == []

    @pytest.mark.parametrize(
        ("variables", "code"),
        [
            ([], "invalid"),
            ({"a b": 1}, "invalid"),
            ({"1a": 1}, "invalid"),
            ({"recipient": {}}, "reserved"),
            ({"unsubscribe_url": "x"}, "reserved"),
            ({"a": "\x00"}, "invalid"),
            ({"a": "x" * 40_000}, "too_large"),
            ({f"a{n}": 1 for n in range(101)}, "too_many"),
        ],
    )
    def test_a_declaration_of_the_wrong_kind_is_refused(self, variables: Any, code: str) -> None:
        assert [(error.pointer, error.code) for error in variable_faults(variables)] == [("/variables", code)]

    def test_a_sound_declaration_passes(self) -> None:
        assert variable_faults({"order": {"id": "A", "items": [1, None]}, "_x9": True}) == []


class TestUnsubscribe:
    LINK = '<a href="{{ unsubscribe_url }}">Unsubscribe</a>'

    def test_marketing_email_needs_the_link_and_other_email_does_not(self) -> None:
        assert errors(html("<p>Offer</p>"), purpose="marketing") == [("/en/email/html", "no_unsubscribe")]
        assert errors(email(), purpose="marketing") == [("/en/email/text", "no_unsubscribe")]
        assert errors(html("<p>Offer</p>")) == []
        assert errors(sms("Offer"), purpose="marketing") == []

    def test_the_link_where_it_is_read_is_enough(self) -> None:
        assert errors(email(text="Bye: {{ unsubscribe_url }}"), purpose="marketing") == []
        assert errors(html(self.LINK), purpose="marketing") == []
        assert warnings(html(self.LINK), purpose="marketing") == [("/en/email/text", "no_unsubscribe")]

    @pytest.mark.parametrize(
        "hidden", ["{% comment %}" + LINK + "{% endcomment %}", "{% if false %}" + LINK + "{% endif %}"]
    )
    def test_a_link_that_nobody_gets_does_not_count(self, hidden: str) -> None:
        assert errors(html(f"<p>Offer</p>{hidden}"), purpose="marketing") == [("/en/email/html", "no_unsubscribe")]

    def test_every_language_needs_it(self) -> None:
        content = {**html(self.LINK), "de": {"email": {"subject": "Hallo", "text": "Hallo"}}}

        assert errors(content, purpose="marketing") == [("/de/email/text", "no_unsubscribe")]


class TestLinks:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "#",
            "/orders",
            "www.shop.example",
            "//shop.example",
            "http:/shop.example",
            "https://https://shop.example",
            "https://shop .example",
            "https://shop..example/",
            "https://shop.example:99999/",
            "https://shop.example/%zz",
            "https://bank.example@shop.example/",
            "https://shop/",
            "localhost:8000/x",
            "mailto:",
            "www.shop.example/{{ order }}",
        ],
    )
    def test_a_broken_link_is_told_with_its_line(self, url: str) -> None:
        [found] = findings(link(url), purpose="", variables={"order": "A"}, default_locale="en")

        assert (found.pointer, found.code, found.line) == ("/content/en/email/html", "broken_link", 2)

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " java\tscript:alert(1)",
            "&#106;avascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "ftp://shop.example/",
            "{% if order %}https://shop.example/{% else %}javascript:alert(1){% endif %}",
            "{% assign bad = 'javascript:alert(1)' %}{{ bad }}",
            "{% cycle 'javascript:alert(1)', 'x' %}",
        ],
    )
    def test_an_unsafe_scheme_is_told(self, url: str) -> None:
        assert errors(link(url), order="A") == [("/en/email/html", "unsafe_scheme")]

    @pytest.mark.parametrize(
        "url",
        [
            "https://shop.example/orders/{{ order }}?a=%20#top",
            "https://{{ order }}.shop.example/",
            "{{ address }}",
            "{{ address }}/{{ recipient.name }}",
            "{% if order %}https://a.example/{% else %}https://b.example/{% endif %}",
            "https://shop.example/{% if order %}?x=1{% endif %}",
            "https://bücher.example/",
            "https://[2001:db8::1]:8080/",
            "mailto:help@shop.example",
            "tel:112",
            "#section",
        ],
    )
    def test_a_sound_link_passes(self, url: str) -> None:
        assert errors(link(url), order="A", address="https://shop.example") == []

    @pytest.mark.parametrize(
        "source",
        [
            '<img src="javascript:x">',
            '<p style="background: url(javascript:x)">x</p>',
            "<style>p { background: url('javascript:x') }</style>",
            '<form action="javascript:x"></form>',
        ],
    )
    def test_every_place_of_a_link_is_looked_at(self, source: str) -> None:
        assert errors(html(source)) == [("/en/email/html", "unsafe_scheme")]

    def test_links_of_text_and_of_their_own_fields(self) -> None:
        assert errors(sms("See https://shop..example.")) == [("/en/sms/body", "broken_link")]
        assert errors(sms("See (https://shop.example/a).")) == []
        push = {"title": "t", "body": "b", "image": "https://cdn..example/x.png", "link": "/orders/{{ order }}"}
        assert errors({"en": {"push": push}}, order="A") == [("/en/push/image", "broken_link")]

    def test_a_link_that_anybody_can_read_on_the_way_is_a_warning(self) -> None:
        assert errors(link("http://shop.example/")) == []
        assert warnings(link("http://shop.example/")) == [("/en/email/html", "insecure_link")]


class TestSizes:
    def test_a_subject_beyond_what_is_kept(self) -> None:
        assert errors(email(subject="{{ order }}" + "x" * 200), order="y" * 56) == [("/en/email/subject", "too_long")]
        assert errors(email(subject="{{ order }}" + "x" * 200), order="y" * 55) == []

    def test_a_push_beyond_what_phones_take(self) -> None:
        def push(emoji: int) -> dict[str, Any]:
            return {"en": {"push": {"title": "t", "body": "😀" * emoji}}}

        room = MAX_PUSH_BYTES - push_bytes({"title": "t", "body": ""})
        assert errors(push(room // 4)) == []
        assert errors(push(room // 4 + 1)) == [("/en/push/body", "too_long")]

    def test_a_text_message_of_more_than_ten_segments(self) -> None:
        assert errors(sms("x" * 1_530)) == []
        assert errors(sms("ж" * 670)) == []
        assert errors(sms("ж" * 671)) == [("/en/sms/body", "too_long")]
        assert errors(sms("{{ order }}"), order="x" * 1_531)[0] == ("/en/sms/body", "too_long")

    def test_a_character_that_doubles_the_bill_is_a_warning(self) -> None:
        [found] = findings(sms("x" * 100 + "’"), purpose="", variables={}, default_locale="en")

        assert (found.code, found.severity) == ("ucs2", Severity.WARNING)
        assert "’ makes it 2 text messages instead of 1" in found.message

    def test_many_segments_are_a_warning(self) -> None:
        assert warnings(sms("x" * 459)) == []
        assert warnings(sms("x" * 460)) == [("/en/sms/body", "dear")]

    def test_what_is_empty_with_the_samples_or_does_too_much(self) -> None:
        assert errors(sms("{{ order }}"), order="") == [("/en/sms/body", "empty")]
        loops = "{% for a in (1..900) %}{% for b in (1..900) %}x{% endfor %}{% endfor %}"
        assert errors(sms(loops)) == [("/en/sms/body", "render_error")]


class TestLocales:
    def test_a_language_that_says_less_or_what_nobody_gets(self) -> None:
        content = {"en": {"sms": {"body": "Hi"}}, "de": {"push": {"title": "t", "body": "b"}}}

        assert errors(content) == []
        assert warnings(content) == [("/de/push", "falls_back"), ("/de/push", "never_sent")]

    def test_the_default_language_must_be_there(self) -> None:
        assert errors({"de": {"sms": {"body": "Hallo"}}}) == [("", "default_locale")]


class TestStructure:
    def test_a_mistake_of_the_language_names_its_line_and_others_are_still_told(self) -> None:
        content = {"en": {"sms": {"body": "a\n{{ x | nonsense }}"}, "email": {"subject": "{{ x }}", "text": "t"}}}

        found = findings(content, purpose="", variables={}, default_locale="en")

        assert [(one.pointer, one.code, one.line) for one in found] == [
            ("/content/en/sms/body", "syntax", 2),
            ("/content/en/email/subject", "unknown_variable", 1),
        ]
        assert not found[0].message.startswith("line")

    @pytest.mark.parametrize(
        "content", [None, [], {}, "x", {"en": []}, {"en": {"fax": 1}}, {"en": {"sms": 1}}, {1: {}}]
    )
    def test_what_is_no_content_is_told_and_nothing_breaks(self, content: Any) -> None:
        assert errors(content)

    def test_what_is_told_is_bounded(self) -> None:
        names = " ".join(f"{{{{ x{n} }}}}" for n in range(300))

        assert len(errors(sms(names))) == 200


def test_errors_come_before_warnings_and_both_exist() -> None:
    content = {**link("http://shop.example/{{ who }}")}

    found = findings(content, purpose="", variables={}, default_locale="en")

    assert [one.severity for one in found] == [Severity.ERROR, Severity.WARNING]
    assert {check.severity for check in CHECKS} == set(Severity)
