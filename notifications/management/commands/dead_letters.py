"""manage.py dead_letters: what was given up on and why, and putting it back, in a terminal. See docs/operations.md."""

import getpass
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from notifications.admin import timeline
from notifications.choices import Channel, FailureCode, Priority
from notifications.management.tables import Tables, printable
from notifications.models import DeadLetter, Delivery, Notification, ReplayRun
from notifications.models.dead_letter import DeadCause
from notifications.services import letters, replays
from notifications.services.letters import LetterFilter
from notifications.services.replays import ReplayRefused

#: Lines of a list at most.
MAX_LINES = 1_000
#: What an option says for letters without a provider or a code.
NONE = "none"


class Command(BaseCommand):
    help = "Look at dead letters and put them back: groups, list, show, replay, runs, stop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        commands.add_parser("groups", help="open letters by channel, provider and cause")
        listing = commands.add_parser("list", help="open letters, the newest first")
        _add_filter(listing)
        listing.add_argument("--limit", type=int, default=50, help=f"lines, up to {MAX_LINES:,} (default: 50)")
        show = commands.add_parser("show", help="one letter and its delivery's timeline")
        show.add_argument("id", type=int)
        replay = commands.add_parser("replay", help="put letters back at a rate, by the maintenance process")
        _add_filter(replay)
        replay.add_argument("--id", type=int, action="append", default=[], help="one letter; may be given again")
        replay.add_argument("--rate", type=int, required=True, metavar="N", help="letters a minute")
        replay.add_argument("--yes", action="store_true", help="do not ask")
        _add_by(replay)
        commands.add_parser("runs", help="the latest replays")
        stop = commands.add_parser("stop", help="end a replay before its time")
        stop.add_argument("run", type=int)
        _add_by(stop)

    def handle(self, *_: Any, command: str, **given: Any) -> None:
        self.tables = Tables(self.stdout)
        try:
            getattr(self, f"_{command}")(given)
        except BrokenPipeError:  # whoever reads, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _groups(self, _: dict[str, Any]) -> None:
        found = letters.groups()
        if not found:
            self.stdout.write("No open dead letters: all is well.")
            return
        self.tables.write(
            ("letters", "channel", "provider", "cause", "code", "oldest", "newest", "last error"),
            [
                (
                    g.count_words, g.channel, g.provider or NONE, g.cause, g.code or NONE,
                    _moment(g.oldest), _moment(g.newest), g.newest_detail,
                )
                for g in found
            ],
            numbers=1,
        )  # fmt: skip

    def _list(self, given: dict[str, Any]) -> None:
        if not 1 <= given["limit"] <= MAX_LINES:
            raise CommandError(f"--limit takes 1 to {MAX_LINES:,}.")
        found = list(_filter(given).open_letters().order_by("-id")[: given["limit"]])
        if not found:
            self.stdout.write("No open dead letter matches.")
            return
        self.tables.write(
            ("id", "died", "channel", "provider", "cause", "code", "delivery", "error"),
            [
                (
                    str(one.pk), _moment(one.created_at), one.channel, one.provider or NONE, one.cause,
                    one.code or NONE, str(one.delivery_id), one.detail,
                )
                for one in found
            ],
            numbers=1,
        )  # fmt: skip

    def _show(self, given: dict[str, Any]) -> None:
        letter = DeadLetter.objects.filter(pk=given["id"]).first()
        if letter is None:
            raise CommandError(f"There is no dead letter {given['id']}.")
        for name, value in (
            ("letter", str(letter.pk)),
            ("delivery", str(letter.delivery_id)),
            ("lane", f"{letter.channel}.{letter.priority}"),
            ("provider", letter.provider or NONE),
            ("cause", str(letter.get_cause_display())),
            ("code", letter.code or NONE),
            ("died", _moment(letter.created_at)),
            ("state", _state(letter)),
            ("error", printable(letter.detail) or "no words"),
        ):
            self.stdout.write(f"{name:<10}{value}")
        self.stdout.write("")
        steps = _timeline(letter)
        if not steps:
            self.stdout.write("Its delivery is gone with its week.")
            return
        self.tables.write(("when", "what", "by", "detail"), steps)

    def _replay(self, given: dict[str, Any]) -> None:
        wanted, rate = _filter(given), given["rate"]
        upto = letters.newest_id()
        matched = letters.count(wanted, upto=upto, cap=replays.MATCHED_CAP)
        if matched and not given["yes"]:
            self._ask(f"Replay {matched:,} of: {wanted.words()}, at {rate:,} a minute?")
        try:
            run = replays.start(wanted, per_minute=rate, by=given["by"] or _user(), via="command", upto=upto)
        except ReplayRefused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Replay {run.pk}: {run.matched:,} letters at {rate:,} a minute, some {_span(run.matched / rate)}.\n"
            f"The maintenance process carries it out. Watch: dead_letters runs. End it: dead_letters stop {run.pk}."
        )

    def _ask(self, question: str) -> None:
        try:
            answer = input(f"{question} [y/N] ")
        except EOFError:
            raise CommandError("Nobody is there to answer. Pass --yes to replay without being asked.") from None
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was replayed.")

    def _runs(self, _: dict[str, Any]) -> None:
        runs = list(ReplayRun.objects.order_by("-id")[:50])
        if not runs:
            self.stdout.write("Nothing was ever replayed.")
            return
        self.tables.write(
            ("run", "state", "back", "of", "a minute", "begun", "ended", "by", "via", "which"),
            [
                (
                    str(run.pk), run.state, f"{run.replayed:,}", f"{run.matched:,}", f"{run.per_minute:,}",
                    _moment(run.created_at), _moment(run.finished_at), run.by, run.via,
                    LetterFilter.of(run.filters).words(),
                )
                for run in runs
            ],
        )  # fmt: skip

    def _stop(self, given: dict[str, Any]) -> None:
        run = ReplayRun.objects.filter(pk=given["run"]).first()
        if run is None:
            raise CommandError(f"There is no replay {given['run']}.")
        if not replays.stop(run.pk, by=given["by"] or _user()):
            raise CommandError(f"Replay {run.pk} is not running: {run.get_state_display().lower()}.")
        run.refresh_from_db()
        self.stdout.write(f"Replay {run.pk} stopped: {run.replayed:,} of {run.matched:,} went back.")


def _add_filter(parser: ArgumentParser) -> None:
    parser.add_argument("--channel", choices=Channel.values)
    parser.add_argument("--priority", choices=Priority.values)
    parser.add_argument("--provider", help=f"its name in PROVIDERS, or '{NONE}'")
    parser.add_argument("--cause", choices=DeadCause.values)
    parser.add_argument("--code", choices=[*FailureCode.values, NONE])
    parser.add_argument("--since", type=_when, help="died from this moment on, UTC unless it says otherwise")
    parser.add_argument("--until", type=_when, help="died before this moment")


def _add_by(parser: ArgumentParser) -> None:
    parser.add_argument("--by", default="", help="who asks, for the record (default: the user of this system)")


def _user() -> str:
    """Who is signed in to this system; an account without a name is told by its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _filter(given: dict[str, Any]) -> LetterFilter:
    names = ("channel", "priority", "provider", "cause", "code", "since", "until")
    facts: dict[str, Any] = {name: "" if given[name] == NONE else given[name] for name in names}
    return LetterFilter(**facts, ids=tuple(sorted(set(given.get("id", ())))))


def _when(text: str) -> datetime:
    """A date or a moment, ISO 8601."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"{text!r} is not a moment; write 2026-03-01 or 2026-03-01T14:30.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _timeline(letter: DeadLetter) -> list[tuple[str, ...]]:
    delivery = Delivery.objects.filter(pk=letter.delivery_id).first()
    notification = Notification.objects.filter(pk=delivery.notification_id).first() if delivery else None
    cards = timeline.cards(notification, None, only=letter.delivery_id) if notification else []
    return [
        (_moment(step.at) if step.at else "now", step.title, step.meta, step.detail)
        for card in cards
        for step in card.steps
    ]


def _state(letter: DeadLetter) -> str:
    if letter.replayed_at is None:
        return "open"
    if letter.is_closed:
        return f"closed {_moment(letter.replayed_at)}: there was nothing left to put back"
    return f"replayed {_moment(letter.replayed_at)} by {letter.replayed_by}"


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def _span(minutes: float) -> str:
    if minutes < 1:
        return "seconds"
    return f"{minutes:,.0f} min" if minutes < 120 else f"{minutes / 60:,.0f} h"
