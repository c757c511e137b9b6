"""The words on digests that a form offers: for the page of the person and for the admin."""

from preferences.choices import DigestRhythm
from preferences.digesting.rules import DIGEST_COLUMNS, DigestRule, DigestWord, digest_rule, in_force, spelled
from preferences.digesting.wording import how_often
from preferences.models import Category

_OFFERED = (DigestRhythm.AS_IT_COMES, DigestRhythm.HOURLY, DigestRhythm.DAILY, DigestRhythm.WEEKLY)


def may_be_gathered(category: Category) -> bool:
    """Whether a person's word on digests means anything: on a channel that the category uses."""
    return not category.is_required and bool(set(category.channels) & set(category.digest_channels))


def offered(category: Category | None, own: DigestWord | None, wide: DigestWord | None) -> list[tuple[str, str]]:
    """(the word as `rules.spelled` writes it, what it comes to) for a category, or (None) for all of them; the first is
    no word. `own` is what was said, and is among them whatever it is; `wide` was said of all categories."""
    rule = DigestRule()
    if category is not None:
        rule = digest_rule([getattr(category, name) for name in DIGEST_COLUMNS])
    words = [None, *(DigestWord(rhythm.value) for rhythm in _OFFERED)]
    if own not in words:
        words.append(own)
    return [(spelled(word), _label(rule, word, wide, is_wide=category is None)) for word in words]


def _label(rule: DigestRule, word: DigestWord | None, wide: DigestWord | None, *, is_wide: bool) -> str:
    if is_wide and (word is None or not word.at):
        return str(DigestRhythm(word.rhythm if word else DigestRhythm.DEFAULT).label)
    says = how_often(in_force(rule, word or wide, is_required=False))
    if word is None:
        return f"As usual: {says[:1].lower()}{says[1:]}"
    return "Every hour" if word.rhythm == DigestRhythm.HOURLY else says
