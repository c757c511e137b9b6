"""What a definition names: categories, lists and campaigns that must exist when it is used."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.apps import apps

from campaigns.errors import DefinitionInvalid
from campaigns.segments.definition import Condition
from campaigns.segments.models import RecipientList
from campaigns.segments.values import Engagement, Wish
from campaigns.segments.vocabulary import Takes
from preferences.choices import Purpose
from preferences.models import Category


@dataclass(frozen=True, slots=True)
class KnownCategory:
    id: int
    is_required: bool
    is_marketing: bool


@dataclass(slots=True)
class Known:
    """The categories that a definition names, by slug. Its lists and campaigns exist, too."""

    categories: dict[str, KnownCategory] = field(default_factory=dict)

    def category(self, slug: str) -> KnownCategory:
        return self.categories[slug]


def look_up(conditions: Iterable[Condition]) -> Known:
    """Everything these name, in a query for each kind. Raises DefinitionInvalid for what isn't there (any more)."""
    conditions = list(conditions)
    errors: list[tuple[str, str]] = []
    slugs = {c: c.value.category for c in conditions if isinstance(c.value, Wish | Engagement) and c.value.category}
    lists = {c: c.value for c in conditions if c.op.takes is Takes.LIST}
    campaigns = {c: c.value.campaign for c in conditions if isinstance(c.value, Engagement) and c.value.campaign}
    known = Known(_categories(slugs.values()) if slugs else {})
    errors += [
        (f"{c.at}/value/category", "There is no such category.") for c in slugs if slugs[c] not in known.categories
    ]
    if lists:
        there = set(RecipientList.objects.filter(pk__in=lists.values()).values_list("pk", flat=True))
        errors += [(f"{c.at}/value", "There is no such list (any more).") for c in lists if lists[c] not in there]
    if campaigns:
        # By name, because the campaign's model imports this package's.
        model = apps.get_model("campaigns", "Campaign")
        there = set(model._default_manager.filter(pk__in=campaigns.values()).values_list("pk", flat=True))
        errors += [
            (f"{c.at}/value/campaign", "There is no such campaign.") for c in campaigns if campaigns[c] not in there
        ]
    if errors:
        raise DefinitionInvalid(errors)
    return known


def _categories(slugs: Iterable[str]) -> dict[str, KnownCategory]:
    rows = Category.objects.filter(slug__in=set(slugs)).values_list("slug", "id", "is_required", "purpose")
    return {
        slug: KnownCategory(id, is_required, purpose == Purpose.MARKETING) for slug, id, is_required, purpose in rows
    }
