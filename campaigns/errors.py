"""What a campaign can refuse. The admin shows the messages as they stand."""

from notifications.errors import CarillonError


class WrongState(CarillonError):
    """The step is not possible from the state the campaign is in (by now)."""


class NotReady(CarillonError):
    """The campaign can't be sent as it is; the message says what to do."""
