"""Which addresses lead through us and which are left alone. Pure."""

import time
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.engagement.rewriting import (
    destination,
    origin,
    places,
    substituted,
    utm_of,
    with_pixel,
    with_utm,
    without_query,
)


def found(field: str, text: str) -> list[str]:
    """The destinations of what would be rewritten."""
    return [url for _, _, written in places(field, text) if (url := destination(field, written))]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="https://x.example/a">x</a>', ["https://x.example/a"]),
        ("<a href='https://x.example/a'>x</a>", ["https://x.example/a"]),
        ('<A HREF = "HTTPS://x.example">x</A>', ["HTTPS://x.example"]),
        ('<a class="b" style="c"\n href="http://x.example/a"\n>x</a>', ["http://x.example/a"]),
        ('<map><area href="https://x.example/m"></map>', ["https://x.example/m"]),
        ('<a href=" https://x.example/a ">x</a>', ["https://x.example/a"]),
        ('<a href="https://x.example/?a=1&amp;b=2">x</a>', ["https://x.example/?a=1&b=2"]),
        ('<a href="https://x.example/?a=1&copy=2">x</a>', ["https://x.example/?a=1&copy=2"]),
        ('<a href="https://x.example/?q=&#39;&#x41;">x</a>', ["https://x.example/?q='A"]),
        ('<!--[if mso]><a href="https://x.example/o"><![endif]-->', ["https://x.example/o"]),
        ('<a href="https://[2001:db8::1]:8443/a">x</a>', ["https://[2001:db8::1]:8443/a"]),
        ('<a href="https://x.example/straße">x</a>', ["https://x.example/straße"]),
        # What stays as it is
        ('<a href="/orders/1">x</a>', []),
        ('<a href="mailto:a@x.example">x</a>', []),
        ('<a href="tel:+49123">x</a>', []),
        ('<a href="shop://x.example/a">x</a>', []),
        ('<a href="javascript:alert(1)//https://x.example">x</a>', []),
        ('<a href="//x.example/a">x</a>', []),
        ('<a data-href="https://x.example/a">x</a>', []),
        ('<img src="https://x.example/a.png">', []),
        ('<link href="https://x.example/a.css">', []),
        ('<abbr href="https://x.example/a">x</abbr>', []),
        ('<a href="https://user:secret@x.example/a">x</a>', []),
        ('<a href="https://münchen.example/a">x</a>', []),
        ('<a href="https://x.example\\@evil.example">x</a>', []),
        ('<a href="https://x.example/a b">x</a>', []),
        ('<a href="https://">x</a>', []),
        ('<a href="https://x.example:99999999/">x</a>', []),
        ('<a href="https://x.example/a', []),
        (f'<a href="https://x.example/{"a" * 1400}">x</a>', []),
        ('<a data-track="off" href="https://x.example/a">x</a>', []),
        ("<a href='https://x.example/a' data-track=off>x</a>", []),
        (
            '<a data-track="off" href="https://x.example/a">x</a><a href="https://x.example/b">x</a>',
            ["https://x.example/b"],
        ),
    ],
)
def test_links_of_html(html: str, expected: list[str]) -> None:
    assert found("html", html) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Look: https://x.example/a.", ["https://x.example/a"]),
        ("https://x.example", ["https://x.example"]),
        ("(see https://x.example/a_(b)), and https://y.example!", ["https://x.example/a_(b)", "https://y.example"]),
        ("<https://x.example/a>", ["https://x.example/a"]),
        ("HTTP://X.example/a?b=c&d=e#f", ["HTTP://X.example/a?b=c&d=e#f"]),
        ("请看https://x.example/a。谢谢", ["https://x.example/a"]),
        ("请看 https://x.example/a谢谢", []),
        ("https://x.example/straße", []),
        ("xhttps://x.example/a", []),
        ("svn+http://x.example/a", []),
        ("ftp://x.example/a and shop://b", []),
        ("www.x.example and x.example", []),
        ("://x.example", []),
    ],
)
def test_links_of_text(text: str, expected: list[str]) -> None:
    assert found("text", text) == found("body", text) == expected


@pytest.mark.parametrize(
    ("link", "is_rewritten"),
    [("https://x.example/a", True), ("/orders/1", False), ("shop://orders/1", False), ("https://x.example/a b", False)],
)
def test_a_link_field_is_one_address_or_none(link: str, is_rewritten: bool) -> None:
    assert found("link", link) == ([link] if is_rewritten else [])


def test_only_the_addresses_change() -> None:
    html = '<p>https://x.example/a</p><a href="https://x.example/a?b=1&amp;c=2" class="d">https://x.example/a</a>'

    made = substituted(html, places("html", html), ["NEW"])

    assert made == '<p>https://x.example/a</p><a href="NEW" class="d">https://x.example/a</a>'


@given(st.lists(st.text("ab/?&=#.%-_~", max_size=20), max_size=4), st.text(max_size=30))
def test_every_link_of_a_message_is_found_and_nothing_else_changes(paths: list[str], between: str) -> None:
    urls = [f"https://x.example/{path}" for path in paths]
    words = escape(between)
    html = "".join(f'{words}<a href="{escape(url)}">go</a>' for url in urls)

    at = places("html", html)

    assert [destination("html", written) for _, _, written in at] == urls
    assert substituted(html, at, ["!"] * len(at)) == f'{words}<a href="!">go</a>' * len(urls)


@given(st.text(max_size=300), st.sampled_from(["html", "text", "body", "link"]))
def test_any_text_is_looked_at_without_harm(text: str, field: str) -> None:
    for start, end, written in places(field, f"{text}://{text}"):
        assert f"{text}://{text}"[start:end] == written
        destination(field, written)


@pytest.mark.parametrize(
    ("field", "hostile"),
    [
        ("html", "<a href=" * 12_000),
        ("html", "<a " + "href " * 20_000),
        ("html", "<a data-track=" * 7_000),
        ("html", "<a href" + " " * 90_000),
        ("html", "<a " + 'x="' * 30_000),
        ("text", "://" * 30_000),
        ("text", "https://x.example/" + ")" * 90_000),
        ("text", "https://x.example/).;" * 4_000),
    ],
)
def test_a_hostile_text_costs_no_more_time_than_its_length(field: str, hostile: str) -> None:
    began = time.process_time()

    found(field, hostile)

    assert time.process_time() - began < 1.0


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://x.example:8443/a?b#c") == "https://x.example:8443"
    assert origin("https://x.example?b=/c") == "https://x.example"
    assert origin("https://x.example@evil.example/") == ""


def test_utm_parameters_join_those_of_the_address_and_never_replace_them() -> None:
    utm = utm_of({"utm": {"source": "carillon", "campaign": "spring & sun", "medium": 7, "other": "x", "term": ""}})

    assert utm == (("utm_source", "carillon"), ("utm_campaign", "spring & sun"))
    assert with_utm("https://x.example", utm) == "https://x.example?utm_source=carillon&utm_campaign=spring%20%26%20sun"
    assert with_utm("https://x.example/a?b=c&utm_source=me#d", utm) == (
        "https://x.example/a?b=c&utm_source=me&utm_campaign=spring%20%26%20sun#d"
    )
    assert with_utm("https://x.example/?utm_source=&utm_campaign=a", utm) == (
        "https://x.example/?utm_source=&utm_campaign=a"
    )


@pytest.mark.parametrize("metadata", [{}, {"utm": None}, {"utm": "source"}, {"utm": ["a"]}, {"utm": {"source": 1}}])
def test_metadata_of_another_shape_asks_for_no_parameters(metadata: dict[str, object]) -> None:
    assert utm_of(metadata) == ()


def test_the_pixel_stands_at_the_end_of_the_body() -> None:
    assert with_pixel("<body>Hi</body></html>", "P").startswith('<body>Hi<img src="P"')
    assert with_pixel("<BODY>Hi</BODY>", "P").endswith("</BODY>")
    assert with_pixel("<p>Hi</p>", "P").startswith('<p>Hi</p><img src="P"')


def test_a_timeline_shows_no_parameters_of_an_address() -> None:
    assert without_query("https://x.example/a?token=secret") == "https://x.example/a"
    assert without_query("https://x.example/a#secret") == "https://x.example/a"
