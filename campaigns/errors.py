"""What a campaign can refuse. The admin shows the messages as they stand."""

from collections.abc import Sequence

from notifications.errors import CarillonError


class WrongState(CarillonError):
    """The step is not possible from the state the campaign is in (by now)."""


class NotReady(CarillonError):
    """The campaign can't be sent as it is; the message says what to do."""


class DefinitionInvalid(CarillonError):
    """A segment's definition can't be used. `errors` are (JSON Pointer into the definition, sentence)."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = list(errors)
        at, message = self.errors[0]
        super().__init__(f"{at}: {message}" if at else message)


#: The audience can't be told, in a sentence for who sees the campaign and not the definition.
AUDIENCE_LOST = "A segment of its audience names something that is gone. Open the segment and put it right."


class NotAllowed(CarillonError):
    """This person may not take the step; the message says who may."""


class NameTaken(CarillonError):
    """Something of this kind has this name already."""


class InUse(CarillonError):
    """It can't be deleted; the message says what uses it."""


class UploadRefused(CarillonError):
    """A file can't be used as it is; the message says what to do."""
