"""What the templates of a draft ask for: one field each on its form."""

from collections.abc import Iterable
from typing import Any

from notifications.models import MessageTemplate


def asked_values(template_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Each variable that these templates declare, by name, with its sample value. What is no template's id, as a
    form may send it, asks for nothing."""
    numbers = {int(given) for given in template_ids if given.isdecimal() and len(given) < 19}
    declared = MessageTemplate.objects.filter(pk__in=numbers).order_by("pk").values_list("variables", flat=True)
    found: dict[str, Any] = {}
    for variables in declared:
        for name, sample in variables.items():
            found.setdefault(name, sample)
    return [{"name": name, "sample": sample} for name, sample in found.items()]
