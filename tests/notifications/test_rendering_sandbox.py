"""Hostile templates: none takes long, none takes much memory, none sees more than its data."""

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.errors import RenderError
from notifications.services.rendering import compile_field
from notifications.services.rendering.filters import FILTERS

DATA: dict[str, Any] = {
    "text": "x" * 30_000,
    "list": ["y" * 1_000] * 30,
    "dicts": [{"a": {"b": "z" * 100}}] * 100,
    "number": 10,
    "user": {"name": "Ada"},
}
CPU_SECONDS = 1.5  # each takes a few hundredths, the worst about 0.3
BYTES = 32 * 1024 * 1024

REFUSED = {
    "a range of a thousand million": "{% for i in (1..1000000000) %}x{% endfor %}",
    "a huge range, reversed and offset": "{% for i in (1..1000000000) reversed limit:1 offset:99999999 %}{% endfor %}",
    "a range by name": "{% assign r = (1..1000000000) %}{% if r contains 'x' %}y{% endif %}",
    "a range that is listed": "{{ (1..1000000000) | join: ',' }}",
    "nested loops": "{% for i in (1..99) %}" * 3 + "x" + "{% endfor %}" * 3,
    "loops in a row": "{% for i in (1..999) %}{% if true %}{% endif %}{% endfor %}" * 1_500,
    "a long loop body": "{% for i in (1..999) %}" + "{% if true %}{% endif %}" * 4_000 + "{% endfor %}",
    "filters in a loop": "{% for i in (1..999) %}{% assign x = text | upcase | downcase %}{% endfor %}",
    "text that doubles": "{% assign a = 'xxxxxxxx' %}" + "{% assign a = a | append: a %}" * 60 + "{{ a }}",
    "a capture that doubles": "{% capture a %}{{ text }}{% endcapture %}"
    + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 60,
    "a list that doubles": "{% assign a = list %}" + "{% assign a = a | concat: a %}" * 40,
    "a number that squares": "{% assign a = 99999999 %}" + "{% assign a = a | times: a %}" * 60 + "{{ a }}",
    "replacing nothing by much": "{{ text | replace: '', text }}",
    "replacing each by much": "{{ text | replace: 'x', text }}",
    "a list of every character": "{{ text | split: '' | join: 'xxxxxxxxxxxxxxxxxxxxxxxxx' }}",
    "escape on escape": "{{ text | replace: 'x', '&' " + "| escape " * 200 + "}}",
    "many variables": "".join(f"{{% assign v{n} = text %}}" for n in range(5_000)),
    "much output": "{{ text }}" * 9_000,
    "a list printed often": "{{ list }}{{ dicts }}" * 2_000,
    "deep nesting": "{% if number %}" * 5_000,
    "deep brackets": "{{ " + "a[" * 600 + "b" + "]" * 600 + " }}",
    "open parentheses": "{{ " + "(" * 1_900 + " }}",
    "open quotes": ("{{ " + "['" * 900 + " }}") * 50,
    "openings alone": "{{" * 50_000,
    "tag openings alone": "{%" * 50_000,
    "an endless expression": "{{ a" + " or a" * 20_000 + " }}",
    "comments without end": "{% comment %}" * 7_000,
    "raw without end": "{%raw%}" * 14_000,
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
def test_a_hostile_template_is_refused_quickly(source: str, html: bool) -> None:
    start = time.thread_time()

    with pytest.raises(RenderError):
        compile_field(source, html)(DATA)

    assert time.thread_time() - start < CPU_SECONDS


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED.keys())
def test_a_hostile_template_is_refused_in_little_memory(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RenderError):
            compile_field(source, html=True)(DATA)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < BYTES


@pytest.mark.parametrize("source", ["{% include 'x' %}", "{% render 'x' %}", "{% liquid echo x %}", "{% tablerow %}"])
def test_no_tag_reaches_beyond_the_template(source: str) -> None:
    with pytest.raises(RenderError):
        compile_field(source, html=False)


@pytest.mark.parametrize(
    "path",
    ["user.__class__", "user.keys", "text.__class__.__mro__", "user['__init__']", "list.append", "number.real", "now"],
)
def test_only_the_items_of_plain_data_can_be_reached(path: str) -> None:
    assert compile_field(f"[{{{{ {path} }}}}{{% if false %}}{{% endif %}}]", html=False)(DATA) == "[]"


def test_an_object_that_slips_into_the_data_gives_nothing_away() -> None:
    class Account:
        secret = "hunter2"

        def __str__(self) -> str:
            return "an account"

    for source in ("{{ a.secret }}", "{{ a['secret'] }}", "{% if true %}{{ a.secret }}{% endif %}"):
        assert compile_field(source, html=False)({"a": Account()}) == ""


@pytest.mark.parametrize(
    "source", ["{{ a | truncate: b }}", "{% for i in l limit: b %}{% endfor %}", "{{ b | slice: b }}", "{{ l | sort }}"]
)
def test_a_failure_does_not_quote_the_data(source: str) -> None:
    # Given a template that cannot do with this data what it says
    render = compile_field("one\n" + source, html=False)
    # When it is rendered
    with pytest.raises(RenderError) as caught:
        render({"a": {"iban": "DE89"}, "b": "secret@example.com", "l": [{"iban": "DE89"}, "secret"]})
    # Then the message, which ends in the timeline and in logs, says where and not with what
    assert str(caught.value).startswith("line 2: ")
    assert "secret" not in str(caught.value)
    assert "DE89" not in str(caught.value)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(RenderError, match="line 3"):
        compile_field("one\ntwo\n{% if x = = 1 %}{% endif %}\n", html=False)


ESCAPE = st.sampled_from([name for name in FILTERS if name not in {"date", "slice"}])


@settings(max_examples=300, deadline=None)
@given(names=st.lists(ESCAPE, min_size=1, max_size=4), argument=st.sampled_from(["", ": '<i>'", ": bad", ": 5"]))
def test_no_chain_of_filters_lets_data_write_html(names: list[str], argument: str) -> None:
    source = "{{ bad | " + " | ".join(f"{name}{argument}" for name in names) + " }}"
    try:
        html = compile_field(source, html=True)({"bad": "<script>alert(1)</script>"})
    except RenderError:
        return
    assert "<script" not in html.lower()


class TestWhatManagersWrite:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("{% if user.name %}Hi {{ user.name | upcase }}{% else %}Hi{% endif %}", "Hi ADA"),
            ("{{ missing | default: 'friend' }}", "friend"),
            ("{% for i in items %}{{ i.name }}{% unless forloop.last %}, {% endunless %}{% endfor %}", "a, b"),
            ("{% case number %}{% when 10 %}ten{% else %}other{% endcase %}", "ten"),
            ("{{ 'now' | date: '%Y' }}", "now"),
            ("{{ when | date: '%d.%m.%Y %H:%M' }}", "05.11.2026 09:30"),
            ("{{ 0 | date: '%Y-%m-%d' }}", "1970-01-01"),
            ("{% for i in (1..3) %}*{% endfor %}", "***"),
            ("{% assign total = number | times: 2 %}{{ total }}", "20"),
            ("{{ '<b>bold</b>' | strip_html }}", "bold"),
            ("{{ items | map: 'name' | join: ' & ' }}", "a & b"),
            ("{%- comment -%} {{ nobody }} {%- endcomment -%}ok", "ok"),
        ],
    )
    def test_everyday_liquid_works(self, source: str, expected: str) -> None:
        data = {
            "user": {"name": "Ada"},
            "items": [{"name": "a"}, {"name": "b"}],
            "number": 10,
            "when": "2026-11-05T09:30:00+00:00",
        }

        assert compile_field(source, html=False)(data) == expected

    def test_a_long_order_confirmation_is_well_within_the_budget(self) -> None:
        row = "<tr><td style='padding:8px'>{{ item.name | escape }}</td><td>{{ item.price | times: 1.19 }}</td></tr>\n"
        source = "<p>filler</p>" * 5_000 + "{% for item in items %}" + row * 3 + "{% endfor %}"
        items = [{"name": f"Thing {n}", "price": n} for n in range(200)]

        assert compile_field(source, html=True)({"items": items}).count("<tr>") == 600
