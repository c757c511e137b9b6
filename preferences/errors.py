"""What is wrong with what a caller handed in. No HTTP: the API makes problem details of it, the admin form errors."""

from dataclasses import dataclass


class ValidationProblem(ValueError):
    """One value that cannot be taken. `code` is a stable word for machines, `message` a sentence for people; neither
    repeats the value, so both may be logged."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of one item of a batch."""

    field: str
    code: str
    message: str


class PreferencesError(Exception):
    """Base of what PreferencesService raises on purpose."""


class BatchRejected(PreferencesError):
    """A batch was refused whole and nothing was written. `errors` maps the index of each bad item to its problems."""

    def __init__(self, errors: dict[int, list[Problem]]) -> None:
        self.errors = errors
        first = next(iter(errors.values()))[0]
        super().__init__(f"{len(errors)} item(s) rejected; first: {first.field}: {first.message}")
