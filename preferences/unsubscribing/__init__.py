"""The way out of a kind of message with one click (RFC 8058): a signed address per message, and the page behind it."""

from preferences.unsubscribing.tokens import address

__all__ = ["address"]
