"""How many people a throttled campaign may hand out now. Pure: values in, values out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

#: Seconds that a campaign which could not keep up may catch up on: a twentieth of a minute, so that no minute has more
#: than 5% too many.
_CATCH_UP = 3.0
#: Seconds of people in one chunk, at least: smaller ones would be all transaction.
_STEP = 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """`paced` people were handed out since `since`, at `per_minute` at most."""

    per_minute: int
    since: datetime
    paced: int

    def at(self, now: datetime) -> "Pace":
        """The same pace, counted from later when it is too far behind."""
        credit = self._credit(now)
        if credit < self._most + 1:  # less is the rest of a person, which slow paces live on
            return self
        return Pace(self.per_minute, now - timedelta(seconds=self._most * 60 / self.per_minute), 0)

    def allowance(self, now: datetime) -> int:
        """People who may be handed out now; 0 until they are worth a chunk."""
        credit = min(int(self._credit(now)), self._most)
        return credit if credit >= max(1, int(self.per_minute / 60 * _STEP)) else 0

    @property
    def _most(self) -> int:
        return max(1, ceil(self.per_minute / 60 * _CATCH_UP))

    def _credit(self, now: datetime) -> float:
        # Rounded: a float of seconds is a hair below the whole number of people as often as above it.
        return round((now - self.since).total_seconds() * self.per_minute / 60, 6) - self.paced
