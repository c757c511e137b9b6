"""Domain errors. No HTTP in them: the API maps them to problem details, the admin to form errors."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a draft. `pointer` is a JSON Pointer (RFC 6901) into the draft."""

    pointer: str
    code: str
    message: str


class CarillonError(Exception):
    """Base of everything the pipeline raises on purpose."""


class DraftsRejected(CarillonError):
    """A batch was refused whole. `errors` maps the index of each bad draft to what is wrong with it."""

    def __init__(self, errors: dict[int, list[FieldError]]) -> None:
        self.errors = errors
        first = next(iter(errors.values()))[0]
        super().__init__(f"{len(errors)} draft(s) rejected; first: {first.pointer} {first.message}")


class AlreadyLeft(CarillonError):
    """Cancel came too late: every delivery has left for its provider or ended."""


class ContentInvalid(CarillonError):
    """Inline content or a template's content is not acceptable. `errors` says where and why."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__(f"{len(errors)} error(s) in the content; first: {errors[0].pointer} {errors[0].message}")


class NothingBefore(CarillonError):
    """A template cannot be rolled back: no other version was ever published."""


class RenderError(CarillonError):
    """A template could not be rendered with this data. Permanent: the same input fails again."""


class BrokerUnavailable(CarillonError):
    """The broker did not take the messages, or may not have: publish again."""


class RecordUnavailable(CarillonError):
    """PostgreSQL could not be read or written: nothing was recorded, nothing may be acked."""
