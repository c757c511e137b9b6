"""manage.py providers: who serves which channel and how each stands, switching off and on, in a terminal."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import redis
from notifications.management.tables import Tables
from notifications.services import providers
from notifications.services.providers import Standing


class Command(BaseCommand):
    help = "Look at the providers of every channel, switch one off or on, or reset its circuit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        commands.add_parser("list", help="every channel's chain and how each provider in it stands")
        off = commands.add_parser("off", help="ask it nothing until it is switched on again")
        off.add_argument("name")
        off.add_argument("--reason", required=True, help="why, for the next person who wonders")
        commands.add_parser("on", help="put it back into its chains").add_argument("name")
        commands.add_parser("reset", help="close its circuit and end its pause").add_argument("name")

    def handle(self, *_: Any, command: str, **given: Any) -> None:
        try:
            getattr(self, f"_{command}")(given)
        except providers.UnknownProvider as unknown:
            raise CommandError(str(unknown)) from unknown

    def _list(self, _: dict[str, Any]) -> None:
        overview = providers.overview()
        rows = [
            _row(chain.channel.value, str(position), one)
            for chain in overview.chains
            for position, one in enumerate(chain.providers, 1)
        ]
        rows += [_row("-", "-", one) for one in overview.others]
        head = ("channel", "#", "provider", "state", "messages", "failed", "slow", "for", "why")
        Tables(self.stdout).write(head, rows)
        if overview.redis_away:
            self.stderr.write("Redis does not answer: circuits and figures are unknown. Switches work.")

    def _off(self, given: dict[str, Any]) -> None:
        reason: str = given["reason"].strip()
        if not 1 <= len(reason) <= providers.MAX_REASON:
            raise CommandError(f"--reason takes 1 to {providers.MAX_REASON} characters.")
        changed = providers.switch_off(given["name"], by=getpass.getuser(), reason=reason)
        self.stdout.write(f"{given['name']} is {'switched off' if changed else 'off already: nothing was changed'}.")

    def _on(self, given: dict[str, Any]) -> None:
        changed = providers.switch_on(given["name"], by=getpass.getuser())
        self.stdout.write(f"{given['name']} is {'switched on' if changed else 'on already: nothing was changed'}.")

    def _reset(self, given: dict[str, Any]) -> None:
        try:
            providers.reset(given["name"], by=getpass.getuser())
        except redis.RedisError as error:
            raise CommandError("Redis does not answer: nothing was reset.") from error
        self.stdout.write(f"The circuit of {given['name']} is closed and its pause is over.")


def _row(channel: str, position: str, one: Standing) -> tuple[str, ...]:
    left = max(one.open_for, one.paused_for)
    why = f"{one.switch.by}: {one.switch.reason}" if one.switch else one.circuit.why if one.circuit else ""
    return (
        channel, position, one.name, one.state.value,
        "-" if one.circuit is None else f"{one.tally.calls:,}",
        "-" if one.failure_rate is None else f"{one.failure_rate:.1%}",
        "-" if one.slow_rate is None else f"{one.slow_rate:.1%}",
        f"{left:.0f} s" if left else "-",
        why or "-",
    )  # fmt: skip
