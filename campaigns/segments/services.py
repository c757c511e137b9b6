"""Segments as they are kept: checked when they are written, counted when somebody looks, kept while they are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError
from django.db.models.functions import Now

from campaigns.errors import DefinitionInvalid, InUse, NameTaken
from campaigns.segments.compiling import where
from campaigns.segments.definition import conditions, read
from campaigns.segments.estimating import Estimate, estimate
from campaigns.segments.models import RecipientList, Segment
from campaigns.segments.vocabulary import Takes

#: Names in a sentence that says who uses something.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a segment is to say; None leaves it as it is."""

    name: str | None = None
    description: str | None = None
    definition: Mapping[str, object] | None = None


class SegmentService:
    """Writes segments. Raises DefinitionInvalid, NameTaken or InUse."""

    def create(self, wishes: Wishes, *, by: AbstractBaseUser | None) -> Segment:
        return self.change(Segment(created_by_id=by.pk if by else None), wishes)

    def change(self, segment: Segment, wishes: Wishes) -> Segment:
        """Write what is wished. A definition that differs forgets the count."""
        if wishes.definition is not None:
            where(wishes.definition)
            if segment.definition != wishes.definition:
                segment.people, segment.counted_at = None, None
            segment.definition = dict(wishes.definition)
        if wishes.name is not None:
            segment.name = wishes.name
        if wishes.description is not None:
            segment.description = wishes.description
        segment.updated_at = Now()
        saved: Segment = save_named(segment)
        return saved

    def count(self, segment: Segment) -> Estimate:
        """How many people it is now; remembered."""
        found = estimate(segment.definition)
        self.remember(segment.pk, segment.definition, found)
        return found

    def remember(self, segment_id: int, definition: Mapping[str, object], found: Estimate) -> None:
        """Keep a count of this definition, if it is still the segment's."""
        Segment.objects.filter(pk=segment_id, definition=dict(definition)).update(
            people=found.people, is_exact=found.is_exact, counted_at=Now()
        )

    def delete(self, segment: Segment) -> None:
        delete_unused(segment, used_by(segment))


def save_named(row: Any) -> Any:
    """Save a row whose name nobody else may have; raises NameTaken."""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "name" not in str(error):
            raise
        raise NameTaken(f"There is a {row._meta.verbose_name} of this name already.") from None
    row.refresh_from_db()
    return row


def delete_unused(row: Segment | RecipientList, users: list[str]) -> None:
    """Delete it if nobody names it; raises InUse with a sentence."""
    if users:
        raise InUse(in_use(row, users))
    try:
        row.delete()
    except ProtectedError:  # a campaign took it up in this moment
        raise InUse(in_use(row, used_by(row))) from None


def in_use(row: Segment | RecipientList, users: list[str]) -> str:
    """Why it can't be deleted."""
    named = ", ".join(users[:_NAMED]) + (f" and {len(users) - _NAMED:,} more" if len(users) > _NAMED else "")
    return f"“{row.name}” can't be deleted, because it is used by {named}."


def used_by(row: Segment | RecipientList) -> list[str]:
    """Campaigns and segments that name it, in words."""
    users = [f"the campaign “{name}”" for name in _campaigns(row)]
    if isinstance(row, RecipientList):
        # A segment is a page of JSON and an installation has hundreds; only a deletion asks, of a page at a time.
        segments = Segment.objects.only("name", "definition").iterator()
        users += [f"the segment “{s.name}”" for s in segments if row.pk in lists_of(s.definition)]
    return users


def _campaigns(row: Model) -> list[str]:
    """By every field of a campaign that can point here, so that a new one is never forgotten."""
    names: dict[int, str] = {}
    for relation in row._meta.related_objects:
        model = relation.related_model
        if model._meta.model_name == "campaign":
            names.update(model._default_manager.filter(**{relation.field.name: row}).values_list("pk", "name"))
    return list(names.values())


def lists_of(definition: Mapping[str, object]) -> set[int]:
    """The lists that a definition names; none of one that can't be used."""
    try:
        return {cast("int", c.value) for c in conditions(read(definition)) if c.op.takes is Takes.LIST}
    except DefinitionInvalid:
        return set()
