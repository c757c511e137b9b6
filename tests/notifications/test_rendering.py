"""Templates become text: both ways of rendering agree, and what comes out is safe to hand on."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.errors import RenderError
from notifications.services.rendering import (
    FIELDS,
    compile_content,
    compile_field,
    compiler,
    missing,
    sandbox,
    variables,
)
from notifications.services.rendering.cleaning import cleaner

NAMES = st.sampled_from(["a", "b", "user", "name", "order_id", "x1"])
TEXTS = st.text(alphabet=st.sampled_from("ab <>&\"'{}%#-.\n\r\täß😀\u2028\\|"), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | TEXTS | st.just("<script>alert(1)</script>")
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8
)
CONTEXTS = st.dictionaries(NAMES, VALUES, max_size=5)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(".".join)
SPACE = st.sampled_from(["", " ", "  ", "\n", "\t"])
SLOTS = st.builds(lambda left, path, right: f"{{{{{left}{path}{right}}}}}", SPACE, PATHS, SPACE)
PLAIN_TEXTS = st.text(alphabet=st.sampled_from("ab <>&\"'{}%#-.\näß😀"), max_size=12)
SOURCES = st.lists(SLOTS | PLAIN_TEXTS, max_size=6).map("".join)


#: With what a field is cleaned of, also at the seams of literals and values.
ODD_TEXTS = st.text(alphabet=st.sampled_from("a <&%\r\n\t\x00\x1f\x9f\u2028\ud800\u00a0"), max_size=4)
ODD_DATA = st.dictionaries(NAMES, ODD_TEXTS | VALUES, max_size=6)
FIELD_SOURCES = st.lists(SLOTS | ODD_TEXTS, max_size=5).map("".join)


def content_or_error(render: Callable[[], dict[str, str]]) -> dict[str, str] | None:
    try:
        return render()
    except RenderError:
        return None


def rendered_plainly(channel: str, fields: dict[str, str], data: dict[str, Any]) -> dict[str, str]:
    """Each field by itself, then cleaned as a whole."""
    content = {}
    for name, spec in FIELDS[channel].items():
        source = fields.get(name, "")
        text = cleaner(name, spec)(compile_field(source, spec.html)(data)) if source else ""
        if text:
            content[name] = text
        elif spec.required:
            raise RenderError(f"{name} is empty")
    return content


def outcome(render: Any, context: dict[str, Any]) -> str:
    try:
        return str(render(context))
    except RenderError:
        return "RenderError"


class TestBothWaysAgree:
    @settings(max_examples=400, deadline=None)
    @given(source=SOURCES, context=CONTEXTS, html=st.booleans())
    def test_any_source_and_data_render_alike_on_the_fast_path_and_in_liquid(
        self, source: str, context: dict[str, Any], html: bool
    ) -> None:
        # Given a source that both ways accept
        try:
            liquid = sandbox.compile_liquid(source, html=html)
        except RenderError:
            with pytest.raises(RenderError):
                compile_field(source, html)
            return
        # When it is rendered by either
        ours = compile_field(source, html)
        # Then nobody can tell which one it was
        assert outcome(ours, context) == outcome(liquid, context)

    @settings(max_examples=400, deadline=None)
    @given(
        channel=st.sampled_from(sorted(FIELDS)), sources=st.lists(FIELD_SOURCES, min_size=4, max_size=4), data=ODD_DATA
    )
    def test_what_was_prepared_changes_no_field(self, channel: str, sources: list[str], data: dict[str, Any]) -> None:
        # Given a content whose literals and data hold line breaks, controls, markup and characters that do not print
        fields = dict(zip(FIELDS[channel], sources, strict=False))
        # When it is rendered with what was prepared, or field by field and each cleaned as a whole
        ours = content_or_error(lambda: compile_content(channel, fields)(data))
        plainly = content_or_error(lambda: rendered_plainly(channel, fields, data))
        # Then it is the same content, or neither can be sent
        assert ours == plainly

    @given(path=PATHS, context=CONTEXTS, html=st.booleans())
    @settings(max_examples=200, deadline=None)
    def test_a_lone_field_renders_alike(self, path: str, context: dict[str, Any], html: bool) -> None:
        source = f"{{{{ {path} }}}}"

        assert compile_field(source, html)(context) == sandbox.compile_liquid(source, html=html)(context)

    @pytest.mark.parametrize(
        "word",
        ["true", "nil", "empty", "blank", "size", "first", "last", "contains", "for", "now", "today", "forloop", "if"],
    )
    @pytest.mark.parametrize("prefix", ["", "a."])
    def test_a_word_with_a_meaning_of_its_own_renders_as_liquid_has_it(self, word: str, prefix: str) -> None:
        source = f"{{{{ {prefix}{word} }}}}"
        context = {word: "mine", "a": {word: "inner"}}
        try:
            expected = sandbox.compile_liquid(source, html=False)
        except RenderError:
            with pytest.raises(RenderError):
                compile_field(source, html=False)
        else:
            assert compile_field(source, html=False)(context) == expected(context)

    def test_a_template_of_plain_fields_never_reaches_liquid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(source: str, *, html: bool) -> None:
            raise AssertionError("liquid was asked")

        monkeypatch.setattr(compiler.sandbox, "compile_liquid", refuse)

        render = compile_field("Hello {{ user.name }}, {{count}} new", html=False)

        assert render({"user": {"name": "Ada"}, "count": 3}) == "Hello Ada, 3 new"


class TestValues:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(None, ""), (True, "true"), (False, "false"), (0, "0"), (1.5, "1.5"), ("", ""), ([1, "b"], "1b"), ("ä", "ä")],
    )
    def test_values_render_as_a_reader_expects(self, value: object, expected: str) -> None:
        assert compile_field("{{ v }}", html=False)({"v": value}) == expected

    @pytest.mark.parametrize("source", ["{{ nobody }}", "{{ user.nobody.here }}", "{{ text.more }}", "{{ list.more }}"])
    def test_what_is_unknown_renders_empty(self, source: str) -> None:
        context = {"user": {}, "text": "abc", "list": [1]}

        assert compile_field(f"[{source}]", html=False)(context) == "[]"

    def test_data_cannot_write_html(self) -> None:
        data = {"name": "<img src=x onerror=alert(1)>", "list": ["<b>"]}

        html = compile_field("<p>{{ name }} {{ list }}</p>", html=True)(data)

        assert html == "<p>&lt;img src=x onerror=alert(1)&gt; &lt;b&gt;</p>"

    def test_data_that_looks_like_a_template_is_only_text(self) -> None:
        assert compile_field("{{ a }}", html=False)({"a": "{{ b }}{% if %}", "b": "no"}) == "{{ b }}{% if %}"


class TestVariables:
    def test_the_data_a_template_reads_is_known_before_it_is_sent(self) -> None:
        source = "{{ user.name }}{% for item in order.items %}{{ item.price | times: rate }}{% endfor %}"

        assert variables(source) == {"user.name", "order.items", "rate"}

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("{{ user.name }} {{ user.age }} {{ nobody }}", {"user.age", "nobody"}),
            ("{{ items[0].id }} {{ items[5].id }} {{ items.size }} {{ items.first.x }}", {"items[5].id"}),
            ("{% for item in items %}{{ item.anything }}{% endfor %}", set()),
            ("{{ user.name.first_letter }}", {"user.name.first_letter"}),
        ],
    )
    def test_what_the_data_lacks_is_named(self, source: str, expected: set[str]) -> None:
        assert missing(source, {"user": {"name": "Ada"}, "items": [{"id": 1}]}) == expected


class TestPrepared:
    """What is done once, when a content is compiled."""

    def test_a_line_break_that_data_completes_is_one(self) -> None:
        # Given a literal that ends in half a line break, and nothing between the halves
        render = compile_content("sms", {"body": "one\r{{ nothing }}\ntwo"})

        assert render({}) == {"body": "one\ntwo"}

    def test_signs_of_formatting_are_only_text(self) -> None:
        render = compile_content("push", {"title": "100 % %s {{ a }} %(x)s {} {{ a }}%", "body": "{{ b }}%d"})

        assert render({"a": "%s", "b": 5}) == {"title": "100 % %s %s %(x)s {} %s%", "body": "5%d"}

    def test_one_value_goes_to_html_and_to_text(self) -> None:
        fields = {"subject": "{{ p }}", "text": "{{ p }} {{ n }}", "html": "<p>{{ p }} {{ n }}</p>"}

        content = compile_content("email", fields)({"p": "<kettle>", "n": 2})

        assert content == {"subject": "<kettle>", "text": "<kettle> 2", "html": "<p>&lt;kettle&gt; 2</p>"}

    def test_contents_are_not_shared_between_messages(self) -> None:
        render = compile_content("push", {"title": "Hello", "body": "{{ a }}"})
        first = render({"a": 1})
        first["title"] = "changed"

        assert render({"a": 2}) == {"title": "Hello", "body": "2"}

    @pytest.mark.parametrize("fields", [{"body": " \n "}, {"body": "x" * 1_531}])
    def test_what_no_data_could_make_a_field_of_is_refused_at_once(self, fields: dict[str, str]) -> None:
        with pytest.raises(RenderError, match="body"):
            compile_content("sms", fields)


class TestFields:
    def render(self, channel: str, context: dict[str, object] | None = None, **fields: str) -> dict[str, str]:
        return compile_content(channel, fields)(context or {})

    def test_data_cannot_add_a_header(self) -> None:
        # Given a subject with a merge field, and data that tries to end the header line
        data = {"name": "Ada\r\nBcc: all@example.com\x00\u2028x"}
        # When it is rendered
        content = self.render("email", data, subject="Hello {{ name }}", text="hi")
        # Then the subject is one line
        assert content["subject"] == "Hello Ada Bcc: all@example.com x"

    def test_text_keeps_its_line_breaks_and_loses_other_controls(self) -> None:
        content = self.render("sms", {"t": "one\r\ntwo\rthree\x00\x07\tfour"}, body="{{ t }}")

        assert content["body"] == "one\ntwo\nthree\tfour"

    def test_a_lone_surrogate_becomes_a_replacement_character(self) -> None:
        content = self.render("in_app", {"t": "a\ud800b"}, title="{{ t }}", body="{{ t }}")

        assert content == {"title": "a\ufffdb", "body": "a\ufffdb"}

    @pytest.mark.parametrize(("channel", "field"), [("email", "subject"), ("push", "title"), ("push", "body")])
    def test_what_is_only_shown_is_cut(self, channel: str, field: str) -> None:
        limit = FIELDS[channel][field].max_length
        fields = {name: "x" for name, spec in FIELDS[channel].items() if spec.required} | {field: "{{ t }}"}

        text = self.render(channel, {"t": "y" * (limit + 1)}, **fields)[field]

        assert len(text) == limit
        assert text.endswith("y…")

    @pytest.mark.parametrize("length", [1_531, 5_000])
    def test_what_a_cut_would_break_is_refused(self, length: int) -> None:
        with pytest.raises(RenderError, match=f"body has {length} characters; at most 1530"):
            self.render("sms", {"t": "y" * length}, body="{{ t }}")

    def test_a_required_field_that_comes_out_empty_is_refused(self) -> None:
        with pytest.raises(RenderError, match="body is empty with this data"):
            self.render("sms", body=" {{ missing }} ")

    def test_an_optional_field_that_comes_out_empty_is_left_out(self) -> None:
        content = self.render("in_app", title="Hello", body="{{ missing }}", link="{{ missing }}")

        assert content == {"title": "Hello"}

    def test_an_email_of_text_alone_stays_one_of_text_alone(self) -> None:
        assert self.render("email", subject="s", text="t") == {"subject": "s", "text": "t"}


class TestLinks:
    def link(self, link: str) -> str:
        return compile_content("in_app", {"title": "t", "link": "{{ l }}"})({"l": link}).get("link", "")

    @pytest.mark.parametrize(
        "link",
        ["https://example.com/a?b=c&d=%20#e", "http://example.com", "/orders/1", "/"],
    )
    def test_links_people_may_follow_stay_as_they_are(self, link: str) -> None:
        assert self.link(link) == link

    @pytest.mark.parametrize(
        "link",
        [
            "javascript:alert(1)",
            " JavaScript:alert(1)",
            "java\tscript:alert(1)",
            "\x01javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "//evil.example",
            "/\\evil.example",
            "https:///nohost",
            "https:",
            "http://[broken",
            "example.com",
            "ftp://example.com",
            "https://a\r\nSet-Cookie: x",
        ],
    )
    def test_other_links_are_refused(self, link: str) -> None:
        with pytest.raises(RenderError):
            self.link(link)

    def test_what_does_not_belong_in_a_url_is_encoded(self) -> None:
        assert self.link('https://example.com/a b"><i>') == "https://example.com/a%20b%22%3E%3Ci%3E"

    def test_an_app_may_allow_its_own_scheme(self, settings: Any) -> None:
        settings.LINK_SCHEMES = ["https", "shop"]

        assert self.link("shop://orders/1") == "shop://orders/1"

    def test_no_setting_allows_a_script(self, settings: Any) -> None:
        settings.LINK_SCHEMES = ["https", "javascript"]

        with pytest.raises(RenderError):
            self.link("javascript:alert(1)")
