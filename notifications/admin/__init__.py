"""The admin of the pipeline: what was sent and what became of it, wordings, keys, waiting and given-up work."""

from notifications.admin import (
    api_key,
    dead_letter,
    delivery,
    digest,
    notification,
    outbox,
    provider,
    rate_limit,
    received_event,
    replay,
    sandbox,
    simulated_call,
    template,
)

__all__ = [
    "api_key",
    "dead_letter",
    "delivery",
    "digest",
    "notification",
    "outbox",
    "provider",
    "rate_limit",
    "received_event",
    "replay",
    "sandbox",
    "simulated_call",
    "template",
]
