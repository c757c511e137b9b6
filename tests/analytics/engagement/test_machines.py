"""Who is a program, by what a request says of itself."""

import pytest

from analytics.engagement.machines import AGENTS, Visit, machine

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
PEOPLE = [
    CHROME,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
    " Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Linux; Android 12; CUBOT X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 7.0; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Avast/131",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) [Pinterest/iOS]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 [FBAN/FBIOS;FBAV/490.0]",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36 Instagram 350.0",
    # these fetch when the mail is opened
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Microsoft Outlook 16.0.17",
    "Thunderbird/128.0",
]


def visit(agent: str | None = CHROME, method: str = "GET", **headers: str) -> Visit:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Visit(method, named if agent is None else {"user-agent": agent, **named})


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_are_people(agent: str) -> None:
    assert machine(visit(agent)) == ""


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (visit(method="HEAD"), "head"),
        (visit(sec_purpose="prefetch"), "prefetch"),
        (visit(sec_purpose="prefetch;prerender"), "prefetch"),
        (visit(purpose="preview"), "prefetch"),
        (visit(x_moz="prefetch"), "prefetch"),
        (visit(x_purpose="preview"), "prefetch"),
        (visit(None), "no_agent"),
        (visit("  "), "no_agent"),
        (visit("-"), "no_agent"),
        (visit("Mozilla/5.0"), "privacy_proxy"),
        (
            visit(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135"
                " Safari/537.36 Edge/12.246 Mozilla/5.0"
            ),
            "privacy_proxy",
        ),
        (visit("Barracuda Sentinel (EE)"), "scanner"),
        (visit(f"{CHROME} (compatible; Proofpoint URL Defense)"), "scanner"),
        (visit("Microsoft Office Existence Discovery"), "scanner"),
        (visit("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"), "preview"),
        (visit("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"), "preview"),
        (visit("WhatsApp/2.24.20.89 A"), "preview"),
        (
            visit(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1"
                " Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0"  # iMessage
            ),
            "preview",
        ),
        (visit("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), "bot"),
        (visit("curl/8.5.0"), "bot"),
        (visit("python-requests/2.32"), "bot"),
        (visit("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/131.0 Safari/537.36"), "bot"),
        (visit("SomeBot"), "bot"),
    ],
)
def test_programs_are_known_for_what_they_are(asked: Visit, kind: str) -> None:
    assert machine(asked) == kind


def test_a_purpose_that_is_no_prefetch_is_a_person_s() -> None:
    assert machine(visit(purpose="navigate", sec_purpose="")) == ""


def test_no_word_of_the_tables_is_in_a_person_s_browser() -> None:
    said = " ".join(PEOPLE).lower()

    assert [word for words in AGENTS.values() for word in words if word in said] == []


def test_the_tables_are_in_lower_case() -> None:
    assert all(word == word.lower() for words in AGENTS.values() for word in words)
