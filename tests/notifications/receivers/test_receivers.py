"""The receivers there are, each by the contract; and what is the simulator's own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.conf import settings as conf

from core import standard_webhooks
from core.ids import uuid7
from notifications import registry
from notifications.choices import EventType
from notifications.receivers import simulated
from notifications.receivers.base import Receiver, Unverified
from tests.notifications.receivers import mailhouse
from tests.notifications.receivers.contract import NOW, ReceiverContract


class TestSimulated(ReceiverContract):
    events = frozenset(simulated.EVENTS.values())
    foreign = (
        b"", b"{", b"[]", b"null", b'{"events": 7}', b'{"events": [{}]}', b'{"events": [{"id": 1}]}', b"\xff",
        b'{"events": [{"id": "a", "event": "delivered", "message": "sim-nobody"}]}',
        b'{"events": [{"id": "a", "event": "inbound", "from": "+49151", "text": 7}]}',
        b'{"events": [{"id": "a", "event": "inbound", "text": "STOP", "at": "2027-01-15T08:00:00"}]}',  # where?
        b"[" * 5000,
    )  # fmt: skip

    def make(self, name: str) -> Receiver:
        return simulated.SimulatedReceiver(name)

    def body(self, events: Sequence[tuple[UUID, EventType | None]]) -> bytes:
        return msgspec.json.encode(
            simulated.Webhook(
                [
                    simulated.Event(f"e-{n}", simulated.WORDS[type] if type else "processed", f"sim-{id.hex}")
                    for n, (id, type) in enumerate(events)
                ]
            )
        )

    def inbound(self, texts: Sequence[str], sender: str, at: datetime) -> bytes:
        return msgspec.json.encode(
            simulated.Webhook(
                [simulated.Event(f"in-{n}", "inbound", sender=sender, text=text, at=at) for n, text in enumerate(texts)]
            )
        )

    def sign(self, name: str, body: bytes, at: float) -> Mapping[str, str]:
        secret = simulated.secret(name, conf.SECRET_KEY)
        return standard_webhooks.sign([secret], id="msg_1", timestamp=int(at), body=body)

    def test_a_bounce_says_why_in_both_words(self) -> None:
        event = simulated.Event("e-1", "bounce", f"sim-{uuid7().hex}", "550 5.1.1, no such mailbox")
        body = msgspec.json.encode(simulated.Webhook([event]))

        (incoming,) = self.make("vendor").verify_and_parse(self.sign("vendor", body, NOW), body, NOW)

        assert (incoming.code, incoming.detail) == ("invalid_address", "550 5.1.1, no such mailbox")

    def test_its_secret_is_of_this_installation_this_purpose_and_this_provider(self, settings: Any) -> None:
        known = simulated.secret("vendor", settings.SECRET_KEY)
        body = self.body([])

        assert known != simulated.secret("another", settings.SECRET_KEY)
        settings.SECRET_KEY = "x" * 60
        with pytest.raises(Unverified):
            self.make("vendor").verify_and_parse(
                standard_webhooks.sign([known], id="msg_1", timestamp=int(NOW), body=body), body, NOW
            )


class TestMailhouse(ReceiverContract):
    """Proof that the contract asks for nothing that only the simulator does."""

    events = frozenset(mailhouse.EVENTS.values())
    foreign = (b"{", b"[]", b'{"id": "1", "state": "DELIVRD", "ref": "nobody"}')

    def make(self, name: str) -> Receiver:
        return mailhouse.MailhouseReceiver(name, key=f"key of {name}")

    def body(self, events: Sequence[tuple[UUID, EventType | None]]) -> bytes:
        words = {type: word for word, type in mailhouse.EVENTS.items()}
        return b"\n".join(
            msgspec.json.encode({"id": f"e-{n}", "state": words[type] if type else "ENROUTE", "ref": id})
            for n, (id, type) in enumerate(events)
        )

    def inbound(self, texts: Sequence[str], sender: str, at: datetime) -> bytes:
        return b"\n".join(
            msgspec.json.encode({"id": f"m-{n}", "mo": text, "msisdn": sender, "ts": int(at.timestamp())})
            for n, text in enumerate(texts)
        )

    def sign(self, name: str, body: bytes, at: float) -> Mapping[str, str]:
        time = str(int(at))
        signed = mailhouse.signature(f"key of {name}".encode(), time, body)
        return {"x-mailhouse-time": time, "x-mailhouse-signature": signed}


def test_every_simulated_provider_has_a_receiver_and_the_feed_has_none() -> None:
    having = {name for name in conf.PROVIDERS if registry.receiver(name) is not None}

    assert having == set(conf.PROVIDERS) - {"feed"}
    assert registry.receiver("nobody") is None


def test_the_registry_builds_a_receiver_once_from_its_options(settings: Any) -> None:
    entry = {"class": "tests.notifications.receivers.mailhouse.MailhouseReceiver", "options": {"key": "k"}}
    settings.PROVIDERS = {**settings.PROVIDERS, "mailhouse": {"class": "x", "receiver": entry}}

    found = registry.receiver("mailhouse")

    assert isinstance(found, mailhouse.MailhouseReceiver)
    assert found is registry.receiver("mailhouse")
    assert found.name == "mailhouse"
