"""What the gates of one channel are told of, and the two answers that most of them give."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifications.choices import Channel, SkipReason
from notifications.explain.facts import Person, Rules
from notifications.explain.rehearsal import Rehearsal, Trial
from notifications.explain.verdicts import Check, Source, Verdict
from notifications.services.admission import Admitted
from notifications.strategies.plan import delays
from preferences.services import CategoryInfo, Reach


@dataclass(frozen=True, slots=True)
class Case:
    """One channel of a rehearsal, with what is needed to tell of it. `gathered` are the channels on which it would wait
    for a digest."""

    went: Rehearsal
    trial: Trial
    person: Person
    rules: Rules
    admitted: Admitted
    category_name: str
    gathered: frozenset[str] = frozenset()

    @property
    def channel(self) -> str:
        return self.trial.channel

    @property
    def label(self) -> str:
        return str(Channel(self.channel).label)

    @property
    def reach(self) -> Reach:
        return self.admitted.reach

    @property
    def category(self) -> CategoryInfo:
        return self.admitted.terms.category

    @property
    def turn(self) -> timedelta:
        """How long after the start its step is due: of the channels that take part, which what is gathered does not."""
        plan = self.admitted.terms.plan
        if plan is None:
            return timedelta()
        trials = self.went.trials.items()
        usable = tuple(name for name, trial in trials if trial.claims and name not in self.gathered)
        return timedelta(seconds=delays(plan, usable).get(self.channel, 0))

    @property
    def due(self) -> datetime:
        """When it would leave if nothing held it."""
        return max(self.went.now, self.went.draft.send_at or self.went.now) + self.turn


def passed(gate: str, says: str, seen: dict[str, str], sources: Sequence[Source]) -> Check:
    return Check(gate=gate, verdict=Verdict.PASS, says=says, seen=seen, sources=tuple(sources))


def skipped(gate: str, code: SkipReason, says: str, seen: dict[str, str], sources: Sequence[Source]) -> Check:
    return Check(gate=gate, verdict=Verdict.SKIP, says=says, code=code.value, seen=seen, sources=tuple(sources))
