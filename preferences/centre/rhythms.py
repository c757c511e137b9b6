"""How often each kind of message comes: what may be chosen on the page, and what a form of it changes."""

from collections.abc import Sequence
from dataclasses import dataclass

from preferences.digesting import choosing
from preferences.digesting.rules import read_word, spelled
from preferences.digesting.words import said_by
from preferences.kinds import PART
from preferences.models import Category, Recipient
from preferences.services import DigestChange


@dataclass(frozen=True, slots=True)
class Option:
    """`value` is `<slug>=<word>`, the word as `digesting.rules.spelled` writes it."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A category whose messages may be gathered, and what may be chosen: what was said among it, whatever it is."""

    category: Category
    options: list[Option]

    @property
    def shown(self) -> str:
        return next(option.value for option in self.options if option.is_chosen)


def offered(recipient: Recipient, categories: Sequence[Category]) -> list[Rhythm]:
    """One for each category that may be gathered on a channel it uses."""
    said = said_by(recipient)
    return [
        Rhythm(
            category,
            [
                Option(f"{category.slug}={text}", label, is_chosen=text == spelled(said.get(category.pk)))
                for text, label in choosing.offered(category, said.get(category.pk), said.get(None))
            ],
        )
        for category in categories
        if choosing.may_be_gathered(category)
    ]


def changes(shown: Sequence[str], chosen: Sequence[str]) -> list[DigestChange]:
    """What somebody chose who was shown these: only what differs, as for the switches. Raises ValueError for what this
    page cannot have sent."""
    if max(len(shown), len(chosen)) > PART:
        raise ValueError("That are more choices than this page has.")
    seen = set(shown)
    found = []
    for one in chosen:
        if one in seen:
            continue
        slug, _, text = one.partition("=")
        try:
            found.append(DigestChange.of(slug, read_word(text)))
        except ValueError:
            raise ValueError("This is no choice of the page.") from None
    return found
