"""From what PreferencesService refuses to problem details with pointers."""

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework import exceptions

from core.api.problems import FieldProblem, Invalid, pointer
from preferences import validation
from preferences.models import Recipient
from preferences.services import BatchRejected, ValidationProblem


@contextmanager
def reported(items: str = "") -> Iterator[None]:
    """Inside, a refused batch becomes 422: `/<items>/<index>/<field>`, or `/<field>` where there is one item only;
    an unknown recipient becomes 404."""
    try:
        yield
    except BatchRejected as rejected:
        raise Invalid(
            [
                _in_path(problem.code, problem.message)
                if problem.field == "external_id" and not items
                else FieldProblem(
                    pointer(*((items, index) if items else ()), problem.field), problem.code, problem.message
                )
                for index, problems in sorted(rejected.errors.items())
                for problem in problems
            ]
        ) from None
    except Recipient.DoesNotExist:
        raise exceptions.NotFound() from None


def recipient_of(external_id: str, *, held: bool = False) -> Recipient:
    """The recipient a path names, locked until the transaction ends if `held`; raises NotFound."""
    rows = Recipient.objects.select_for_update() if held else Recipient.objects.all()
    found = rows.filter(external_id=external_id).first() if validation.is_external_id(external_id) else None
    if found is None:
        raise exceptions.NotFound()
    return found


def check_path_id(external_id: str) -> None:
    """An id to be created must be one that the same path finds again; raises Invalid."""
    try:
        kept = validation.external_id(external_id)
    except ValidationProblem as problem:
        raise Invalid([_in_path(problem.code, problem.message)]) from None
    if kept != external_id:
        raise Invalid([_in_path("invalid_external_id", "An id does not begin or end with white space.")])


def _in_path(code: str, message: str) -> FieldProblem:
    return FieldProblem("", code, message, parameter="external_id")
