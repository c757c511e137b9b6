"""Protections taken out one at a time, to prove that the checks of the ledger would notice (`MUTATION=<name>`)."""

import re
from collections.abc import Callable
from typing import Any


def install(name: str) -> None:
    if name:
        _MUTATIONS[name]()


def no_confirms() -> None:
    """The relay takes what it has written to the socket for stored."""
    from notifications.messaging.publisher import RabbitPublisher, Window

    send = Window.send

    def hopeful(self: Any, channel: Any) -> None:
        send(self, channel)
        self.taken = [True] * len(self.messages)
        self.done.set()

    Window.send = hopeful  # type: ignore[method-assign]
    RabbitPublisher._setup = lambda self, channel: None  # type: ignore[method-assign]


def no_compare_and_set() -> None:
    """The claim takes what it is given, whoever has it."""
    from notifications.services import tracking_sql

    blind, times = re.subn(r"AND (?:\w+\.)?status = 'queued'", "", tracking_sql.CLAIM)
    assert times == 1, "the claim no longer looks as this mutation expects it"
    tracking_sql.CLAIM = blind


def no_mandatory() -> None:
    """A message that no queue wants is confirmed and dropped."""
    from pika.channel import Channel

    publish = Channel.basic_publish

    def careless(self: Any, *args: Any, mandatory: bool = False, **kwargs: Any) -> Any:
        return publish(self, *args, mandatory=False, **kwargs)

    Channel.basic_publish = careless


def no_reconciler() -> None:
    """Nobody looks for what was left behind."""
    from notifications.reconciler import Reconciler, Sweep

    Reconciler.step = lambda self: Sweep()  # type: ignore[method-assign]


_MUTATIONS: dict[str, Callable[[], None]] = {
    "no_confirms": no_confirms,
    "no_compare_and_set": no_compare_and_set,
    "no_mandatory": no_mandatory,
    "no_reconciler": no_reconciler,
}
