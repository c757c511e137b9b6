"""The processes that make up a running Carillon, each as something the supervisor can fork."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management import call_command

from channels_app.limits import CUT_BYTES
from notifications.beats import Heart
from notifications.lanes import CHANNELS
from notifications.messaging import uses_broker


def web(host: str, port: int) -> None:
    """HTTP and WebSockets, until SIGTERM. Says when it listens."""
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server

    from config.asgi import application

    def ready() -> None:
        sys.stdout.write(f"Ready: http://{host}:{port}/\n")
        sys.stdout.flush()

    Server(
        application=application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        ready_callable=ready,
        server_name="",
        websocket_max_frame_size=CUT_BYTES,
        websocket_max_message_size=CUT_BYTES,
    ).run()


def web_is_present(reactor: Any) -> None:
    """Beats for as long as Twisted's reactor runs; daphne offers no other end to hold on to."""
    heart = Heart("web", "web")
    heart.start()
    reactor.addSystemEventTrigger("after", "shutdown", heart.stop)


def everything(host: str, port: int) -> dict[str, Callable[[], object]]:
    """One of each: web, one worker per channel and one for webhooks, campaigns, events, maintenance; with a broker, the
    relay."""
    children: dict[str, Callable[[], object]] = {"web": partial(web, host, port)}
    if uses_broker():
        children["relay"] = partial(call_command, "run_relay")
    for channel in CHANNELS:
        children[f"worker-{channel}"] = partial(call_command, "run_worker", "--channel", channel)
    children["campaigns"] = partial(call_command, "run_campaigns")
    children["events"] = partial(call_command, "run_events", simulator_webhook_url=_webhook_url(host, port))
    children["maintenance"] = partial(call_command, "run_maintenance")
    return children


def _webhook_url(host: str, port: int) -> str:
    """Where the simulator finds the web process beside it, whatever is in front of that."""
    if settings.SIMULATOR_WEBHOOK_URL:
        return str(settings.SIMULATOR_WEBHOOK_URL)
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
