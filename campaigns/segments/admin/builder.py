"""The field in which a definition is put together, and what its page asks while somebody does."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from campaigns.errors import DefinitionInvalid
from campaigns.segments import estimating
from campaigns.segments.compiling import where
from campaigns.segments.offering import offered
from campaigns.segments.services import SegmentService
from core.forms import ObjectField

#: Bytes of a definition: fifty conditions with everything in them.
MAX_BYTES = 256 * 1024
#: How one is read that comes while somebody edits.
_GIVEN = ObjectField(max_bytes=MAX_BYTES, required=False)


class BuilderWidget(forms.Textarea):
    """A textarea of JSON, in front of which a script puts the builder. Without the script it is JSON."""

    class Media:
        css = {"all": ["campaigns/segments/builder.css"]}  # noqa: RUF012  Django's own way to declare it
        js = ["campaigns/segments/values.js", "campaigns/segments/builder.js"]  # noqa: RUF012  the same

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        id = (attrs or {}).get("id", f"id_{name}")
        context = {
            "name": name,
            "id": id,
            "value": value if isinstance(value, str) else "{}",
            "offered": offered(),
            "offered_id": f"{id}_offered",
            "url": reverse("admin:campaigns_segment_preview"),
        }
        return render_to_string("campaigns/segments/builder.html", context)


class DefinitionField(ObjectField):
    """A definition as JSON; {} or nothing is everyone."""

    widget = BuilderWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(max_bytes=MAX_BYTES, **options)

    def validate(self, value: Any) -> None:
        super().validate(value)
        try:
            where(value)
        except DefinitionInvalid as invalid:
            raise forms.ValidationError([message for _, message in invalid.errors[:5]]) from None


def preview(request: HttpRequest, *, segment: int | None = None) -> JsonResponse:
    """How many people a definition selects, and some of them for whoever may see people; or what is wrong with it, by
    place. That is an answer as well: half of what is asked is not finished yet. The count is remembered for a segment
    that says just this."""
    try:
        definition = _GIVEN.to_python(request.body.decode(errors="replace"))
        found = estimating.estimate(definition)
    except forms.ValidationError as error:
        return _answer({"errors": [{"at": "", "message": error.messages[0]}]})
    except DefinitionInvalid as invalid:
        return _answer({"errors": [{"at": at, "message": told} for at, told in invalid.errors]})
    if segment is not None:
        SegmentService().remember(segment, definition, found)
    people = _people(definition) if request.user.has_perm("preferences.view_recipient") else None
    return _answer({"people": found.people, "is_exact": found.is_exact, "words": str(found), "sample": people})


def _answer(content: dict[str, Any]) -> JsonResponse:
    return JsonResponse(content, headers={"Cache-Control": "no-store"})


def _people(definition: Mapping[str, object]) -> list[dict[str, str]]:
    return [
        {
            "external_id": person.external_id,
            "name": person.name,
            "locale": person.locale,
            "url": reverse("admin:preferences_recipient_change", args=[person.pk]),
        }
        for person in estimating.sample(definition)
    ]
