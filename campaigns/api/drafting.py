"""A body as the admin's own form, so that the API refuses what the form refuses, in the same words."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

import msgspec
from django.contrib.auth.models import User

from campaigns.api.shapes import CampaignBody, VariantShape
from campaigns.forms import CampaignForm
from campaigns.models import Campaign
from campaigns.models.variant import LABELS
from campaigns.services import AudienceService, DraftService
from core.api.problems import FieldProblem, Invalid, pointer
from core.api.rendering import dumps
from notifications.models import MessageTemplate
from preferences.models import Category
from preferences.strategies import Refused, asked

#: Where a fault of a form's field stands in the body, as far as it is called otherwise there.
_PLACES: dict[str, tuple[str | int, ...]] = {
    "weekdays": ("recurs_on",),
    "month_days": ("recurs_on",),
    "how": ("strategy",),
    "how_wait": ("strategy", "first"),
    "how_steps": ("strategy", "escalate"),
} | {
    f"{kind}_{label.lower()}": ("variants", place, field)
    for place, label in enumerate(LABELS)
    for kind, field in (("variant", "template"), ("weight", "weight"))
}


def keep(campaign: Campaign, body: Mapping[str, Any], *, by: User) -> Campaign:
    """Save the draft as the body says, all fields given. Raises Invalid with a pointer for each fault."""
    form = CampaignForm(_as_form(body), instance=campaign)
    if not form.is_valid():
        raise Invalid(
            [
                FieldProblem(pointer(*_PLACES.get(name, (name,))) if name != "__all__" else "", "invalid", str(text))
                for name, texts in form.errors.items()
                for text in texts
            ]
        )
    kept = DraftService().keep(form.save(commit=False), form.parts, by=by)
    form.save_m2m()
    return kept


#: Fields of the body that are no plain column.
_OWN = frozenset(
    {"template", "category", "segment", "saved_list", "exclude_segments", "exclude_lists", "variants", "recipients"}
)


def as_body(campaign: Campaign) -> dict[str, Any]:
    """A draft as the body that would make it, for a change of some of it."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(CampaignBody):
        if hasattr(campaign, field.name) and field.name not in _OWN:
            values[field.name] = getattr(campaign, field.name)
    variants = campaign.variants.select_related("template")
    return values | {
        "template": campaign.template.slug,
        "category": campaign.category.slug,
        "segment": campaign.segment_id,
        "saved_list": campaign.saved_list_id,
        "exclude_segments": list(campaign.exclude_segments.values_list("pk", flat=True)),
        "exclude_lists": list(campaign.exclude_lists.values_list("pk", flat=True)),
        "recipients": AudienceService().as_text(campaign).splitlines(),
        "leave_out_unknown": True,  # who was erased since is no fault of the change
        "variants": [VariantShape(variant.template.slug, variant.weight) for variant in variants],
    }


def _as_form(body: Mapping[str, Any]) -> dict[str, Any]:
    """The names and texts that the form reads."""
    faults: list[FieldProblem] = []
    days = [str(day) for day in body["recurs_on"]]
    given: dict[str, Any] = {name: _text(value) for name, value in body.items() if name not in _OTHERWISE}
    given |= {
        "template": _template(body["template"], faults, "template"),
        "category": _category(body["category"], faults),
        "channels": [str(channel) for channel in body["channels"]],
        "exclude_segments": [str(id) for id in body["exclude_segments"]],
        "exclude_lists": [str(id) for id in body["exclude_lists"]],
        "recipients": "\n".join(body["recipients"]),
        "leave_out_unknown": body["leave_out_unknown"],
        "data": dumps(body["data"]).decode(),
        "weekdays": [day for day in days if int(day) <= 7],
        "month_days": ", ".join(days),
        **_order(body["strategy"], faults),
    }
    for place, (label, variant) in enumerate(zip(LABELS, body["variants"], strict=False)):
        at = ("variants", place, "template")
        given[f"variant_{label.lower()}"] = _template(variant.template, faults, *at)
        given[f"weight_{label.lower()}"] = str(variant.weight)
    if faults:
        raise Invalid(faults)
    return given


def _order(value: Any, faults: list[FieldProblem]) -> dict[str, str]:
    """A strategy as the form reads it."""
    if value is None:
        return {}
    try:
        wanted = asked(msgspec.to_builtins(value))
    except Refused as refused:
        faults += [FieldProblem(f"/strategy{one.path}", one.code, one.message) for one in refused.faults]
        return {}
    given = {"how": wanted.strategy}
    if wanted.wait is not None:
        given |= {"how_wait_0": str(wanted.wait), "how_wait_1": "1"}
    for n, step in enumerate(wanted.steps or ()):
        row = {"channel": step.channel, "number": str(step.after), "unit": "1", "unless": step.unless}
        given |= {f"how_steps-{n}-{part}": text for part, text in row.items()}
    return given


_OTHERWISE = frozenset(
    {
        "template",
        "category",
        "channels",
        "strategy",
        "exclude_segments",
        "exclude_lists",
        "recipients",
        "leave_out_unknown",
        "data",
        "recurs_on",
        "variants",
    }
)


def _text(value: Any) -> str:
    """As a browser would send it; a moment in UTC, as the form takes it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    return value.strftime("%H:%M:%S") if isinstance(value, time) else str(value)


def _template(slug: str, faults: list[FieldProblem], *at: str | int) -> str:
    found = MessageTemplate.objects.filter(slug=slug).first()
    if found is None:
        faults.append(FieldProblem(pointer(*at), "unknown", "There is no template with this slug."))
    elif found.published_id is None:
        faults.append(FieldProblem(pointer(*at), "unpublished", "This template has no published version."))
    return str(found.pk) if found else ""


def _category(slug: str, faults: list[FieldProblem]) -> str:
    found = Category.objects.filter(slug=slug).values_list("pk", flat=True).first()
    if found is None:
        faults.append(FieldProblem("/category", "unknown", "There is no category with this slug."))
    return str(found or "")
