import json
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.panel import Panel

from config import processes
from config.demo import HOST
from config.embedded import STATE, write_private
from core import supervisor
from notifications.services import api_keys

#: After the children's own limit.
MARGIN_SECONDS = 2.0


class Command(BaseCommand):
    """Everything, with demo data, in one terminal. `config.demo` has started the servers before this runs."""

    help = "Run Carillon on this machine with demo data: servers, web, workers and all. See `manage.py demo --help`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--traffic", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(highlight=False, soft_wrap=True)
        with console.status("Preparing the database…"):
            call_command("migrate", verbosity=0, interactive=False)
            call_command("seed_demo", quiet=True)
        key = _api_key(Path(settings.BASE_DIR) / STATE / "api_key")
        _welcome(console, settings.PUBLIC_URL, key, traffic=options["traffic"])
        children = processes.everything(HOST, options["port"])
        if options["traffic"]:
            children["traffic"] = partial(call_command, "demo_traffic", "--rate", options["traffic"])
        supervisor.run(children, drain_seconds=settings.DRAIN_SECONDS + MARGIN_SECONDS)
        console.print("Stopped.")


def _api_key(path: Path) -> str:
    """The key of the printed curl line, the same from start to start as long as the database knows it."""
    if path.exists():
        try:
            api_keys.authenticate(path.read_text())
        except api_keys.InvalidKey:
            pass  # another database, or revoked: the next one is as good
        else:
            return path.read_text()
    _, plaintext = api_keys.issue("demo")
    write_private(path, plaintext)
    return plaintext


def _welcome(console: Console, url: str, key: str, *, traffic: str) -> None:
    transport = "RabbitMQ" if settings.BROKER_URL else "PostgreSQL (set BROKER_URL for RabbitMQ)"
    rows = {
        "Inbox": f"{url}/inbox/   of the demo recipient {settings.DEMO_RECIPIENT}",
        "Admin": f"{url}/admin/   sign in as admin, password admin",
        "Dashboard": f"{url}/admin/dashboard/",
        "API docs": f"{url}/api/docs/",
        "Work by": transport,
        "Traffic": f"about {traffic} made-up notifications a second"
        if traffic
        else "none; bin/run --traffic makes some",
    }
    text = "\n".join(f"[bold]{name:<10}[/bold] {what}" for name, what in rows.items())
    console.print(Panel(text, title="Carillon", title_align="left", expand=False, padding=(1, 2)))
    console.print("Send a notification from another terminal and watch it arrive in the inbox. Again within five")
    console.print("minutes it is skipped as a duplicate; another order number is another message.\n")
    console.print(curl(url, key), markup=False)
    console.print("\nCtrl-C stops everything.\n")


def curl(url: str, key: str) -> str:
    """One notification on four channels, to be pasted as it is."""
    body = {
        "recipient": settings.DEMO_RECIPIENT,
        "category": "orders",
        "template": "order-shipped",
        "data": {"order": "A-1001", "eta": "tomorrow"},
    }
    return (
        f"curl -i {url}/api/v1/notifications/ \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{json.dumps(body)}'"
    )
