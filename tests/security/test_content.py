"""Feed content is text, links lead where a link may lead, and every answer says what a page may load and run. What the
policies do in a browser: tests/browser/test_content_policy.py."""

import pytest
from django.test import Client

from channels_app.content import clean
from channels_app.links import is_safe_link
from core.content_policy import HEADER
from notifications.errors import RenderError
from notifications.providers.base import Failure
from notifications.services.rendering.cleaning import FORBIDDEN_SCHEMES, cleaner
from notifications.services.rendering.fields import FIELDS
from preferences.models import Recipient
from tests.channels_app.conftest import message

BAD_LINKS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:x",
    "//evil.example/x",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "http://",
    "ftp://evil.example",
    "mailto:a@b.example",
]


def directives(header: str) -> dict[str, str]:
    return dict(part.strip().partition(" ")[::2] for part in header.split(";"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/admin/login/",
        "/admin/nowhere/",
        "/api/docs/",
        "/api/docs/?script=",
        "/api/schema/",
        "/api/v1/notifications/",
        "/api/v1/nowhere/",
        "/inbox/",
        "/nowhere/",
        "/healthz",
        "/static/channels_app/carillon-inbox.js",
        "/",
    ],
)
def test_every_answer_has_a_policy_under_which_no_inline_script_runs_and_nobody_frames_it(path: str) -> None:
    answer = Client().get(path)

    policy = directives(answer[HEADER])
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert ("'unsafe-eval'" in policy["script-src"]) == path.startswith("/admin/")
    assert not any(source in policy["script-src"] for source in ("http", "*", "data:", "blob:"))


@pytest.mark.django_db
def test_the_page_of_the_api_holds_no_inline_script() -> None:
    assert "<script>" not in Client().get("/api/docs/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("link", BAD_LINKS)
def test_a_link_that_is_no_link_never_reaches_the_feed(person: Recipient, link: str) -> None:
    assert isinstance(clean(message(person, link=link.strip())), Failure)
    assert not is_safe_link(link)


@pytest.mark.parametrize("channel", ["push", "in_app"])
@pytest.mark.parametrize("link", [link for link in BAD_LINKS if not link.startswith(" ")])
def test_a_link_that_is_no_link_is_refused_when_it_is_rendered(channel: str, link: str) -> None:
    with pytest.raises(RenderError):
        cleaner("link", FIELDS[channel]["link"])(link)


@pytest.mark.parametrize("scheme", sorted(FORBIDDEN_SCHEMES))
def test_no_setting_allows_a_scheme_that_runs(settings, scheme: str) -> None:
    settings.LINK_SCHEMES = ["http", "https", scheme]

    with pytest.raises(RenderError):
        cleaner("link", FIELDS["push"]["link"])(f"{scheme}:alert(1)")


@pytest.mark.django_db
def test_markup_is_kept_as_the_text_it_is(person: Recipient) -> None:
    written = "<script>alert(1)</script>"

    kept = clean(message(person, written, body=written))

    assert (kept.title, kept.body) == (written, written)  # shown with textContent: tests/browser/inbox/test_inbox.py
