import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from notifications.models.api_key import KeyMode, Scope
from notifications.services import api_keys


class Command(BaseCommand):
    """Make an API key and print it, once."""

    help = "Make an API key and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="who will use it, for example 'shop backend'")
        parser.add_argument("--test", action="store_true", help="a test key: only ever reaches the simulator")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            metavar="S",
            choices=Scope.values,
            help=f"may be repeated; all of them when not given. One of: {', '.join(Scope.values)}",
        )
        parser.add_argument("--expires-in", type=int, metavar="DAYS", help="days until it stops working; default never")
        parser.add_argument(
            "--owner", metavar="USER", help="the account it acts as with campaigns; none: it only reads"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts")

    def _owner(self, username: str | None) -> User | None:
        owner = User.objects.filter(username=username).first() if username else None
        if username and owner is None:
            raise CommandError(f"There is no account {username!r}.")
        return owner

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["name"].strip()
        days: int | None = options["expires_in"]
        if not name or len(name) > 100:
            raise CommandError("The name must have 1 to 100 characters.")
        if days is not None and not 1 <= days <= 3650:
            raise CommandError("--expires-in must be between 1 and 3650 days.")
        mode = KeyMode.TEST if options["test"] else KeyMode.LIVE
        expires_at = timezone.now() + timedelta(days=days) if days is not None else None
        owner = self._owner(options["owner"])
        key, plaintext = api_keys.issue(name, mode, options["scope"], expires_at, owner)
        if options["json"]:
            facts = {"name": key.name, "prefix": key.prefix, "mode": key.mode, "scopes": key.scopes, "key": plaintext}
            self.stdout.write(json.dumps(facts))
            return
        self.stdout.write(plaintext)
        self.stderr.write(f"Scopes: {', '.join(key.scopes)}. Keep the key now: it cannot be shown again.")
