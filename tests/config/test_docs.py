"""The pages of the documentation lead to each other: no link to a file or a heading that is not there."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))


def headings(page: Path) -> set[str]:
    """As GitHub names them: lower case, no punctuation, dashes between words."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> Iterator[str]:
    yield from (to for to in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in to)


def leads_somewhere(page: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    return target.exists() and (not heading or target.suffix != ".md" or heading in headings(target))


def test_every_link_leads_somewhere():
    dead = [
        f"{page.relative_to(ROOT)}: {link}" for page in PAGES for link in links(page) if not leads_somewhere(page, link)
    ]

    assert dead == []


def test_every_page_can_be_reached_from_the_readme():
    found, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in found or page.suffix != ".md" or not page.is_file():
            continue
        found.add(page)
        ahead += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]

    assert set(PAGES) - found == set()


def test_the_web_process_is_started_without_a_log_of_addresses():
    """daphne's own access log has the whole of each URL: tokens of links and what was looked for among them."""
    lines = [line for page in PAGES for line in page.read_text().splitlines() if "config.asgi:application" in line]

    assert lines
    assert [line for line in lines if "--verbosity 0" not in line] == []
