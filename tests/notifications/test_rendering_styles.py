"""Style sheets of emails: written into the elements, without asking anybody for anything."""

from html.parser import HTMLParser

import pytest

from notifications.services.rendering import compile_content, normalise_inline
from notifications.services.rendering.styles import inline_styles


def email(html: str, **context: object) -> str:
    return compile_content("email", {"subject": "s", "text": "t", "html": html})(context)["html"]


@pytest.mark.parametrize("source", ["<p>x</p>", "<p>{{ name }}</p>", "<p>{{ name | upcase }}</p>"])
def test_a_rule_is_written_into_its_elements_whichever_way_the_text_is_made(source: str) -> None:
    html = email(f"<style>p {{ color: red }}</style>{source}", name="Ada")

    assert '<p style="color: red;">' in html
    assert "p { color" not in html


def test_what_cannot_be_written_into_an_element_stays() -> None:
    html = email("<style>@media (max-width: 500px) { p { color: blue } } a:hover { color: green }</style><p>x</p>")

    assert "@media (max-width: 500px)" in html
    assert "a:hover" in html


def test_a_mail_without_a_style_sheet_is_left_as_it_is() -> None:
    assert email("<p>{{ name }} &amp; co", name="A") == "<p>A &amp; co"


def test_links_and_escapes_come_through() -> None:
    link = '<a data-track="off" href="https://x.example/?a=1&amp;b={{ name }}">{{ name }}</a>'
    found: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, dict(attrs)))  # type: ignore[method-assign]

    parser.feed(email(f"<STYLE>a{{color:red}}</STYLE>{link}", name='"><b onclick="x'))

    [(_, attrs)] = [(tag, attrs) for tag, attrs in found if tag == "a"]
    assert attrs["href"] == 'https://x.example/?a=1&b="><b onclick="x'
    assert attrs["data-track"] == "off"
    assert "b" not in [tag for tag, _ in found]


def test_nothing_is_fetched_or_read(tmp_path) -> None:
    secret = tmp_path / "secret.css"
    secret.write_text("p { color: secret }")

    html = inline_styles(
        f'<link rel="stylesheet" href="file://{secret}"><link rel="stylesheet" href="http://127.0.0.1:9/x.css">'
        "<style>@import url('http://127.0.0.1:9/y.css'); b { color: red }</style><p>x</p>"
    )

    assert "secret" not in html.replace(str(secret), "")
    assert "<p>x</p>" in html


def test_inline_content_has_its_styles_written_in_too() -> None:
    content = normalise_inline({"email": {"subject": "s", "text": "t", "html": "<style>p{color:red}</style><p>x</p>"}})

    assert '<p style="color: red;">' in content["email"]["html"]


@pytest.mark.parametrize("css", ["}}}{{{", "p{color:", "<b>", "p{" * 500])
def test_a_style_sheet_of_any_kind_is_no_error(css: str) -> None:
    assert "x" in inline_styles(f"<style>{css}</style><p>x</p>")
